"""Reads what a project runs on this machine: its config file, the disk and this interpreter, into a plan.

Must not read the environment: whoever asks hands one in.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from devrun.config import ProjectConfig
from devrun.firsts import ONE_AT_A_TIME
from devrun.parse import load
from devrun.places import Places
from devrun.plan import Plan
from devrun.planning import Choices, Host, Source, make_plan
from devrun.project import Project


class LocalDisk:
    """The disk that a plan asks (``planning.Disk``)."""

    def is_file(self, path: Path) -> bool:
        return path.is_file()

    def is_dir(self, path: Path) -> bool:
        return path.is_dir()

    def real(self, path: Path) -> Path:
        return Path(os.path.realpath(path))

    def read(self, path: Path) -> str:
        return path.read_text("utf-8-sig")


def is_debugged() -> bool:
    """Say whether a debugger runs this interpreter: debugpy and PyCharm's are both pydevd."""
    return "pydevd" in sys.modules


def config_of(project: Project) -> tuple[ProjectConfig, Places]:
    """Return what the config file says, and where. Raises ConfigError."""
    # Relative to where the person is: terminals and editors make `file:line` of it to click on.
    with ONE_AT_A_TIME:
        return load(project.config, os.path.relpath(project.config))


def plan_of(project: Project, choices: Choices, environ: Mapping[str, str]) -> Plan:
    """Return what this project runs on this machine. Raises ConfigError or UsageError."""
    config, places = config_of(project)
    host = Host(environ, LocalDisk(), Path(sys.executable), debugged=is_debugged())
    name = config.name or project.folder.name
    return make_plan(Source(config, places, project.config), choices, host, f"{name}-{secrets.token_hex(4)}")

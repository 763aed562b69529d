"""Finds the running stack of the project around the working directory and asks its launcher."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devrun.cli.reading import here
from devrun.control.asking import ask_launcher, running_in
from devrun.errors import NoStackError
from devrun.outputs.statefile import StackRecord
from devrun.outputs.writer import shown
from devrun.project import Project, addressed, find


def running_stack(config: Path | None, stack: str | None = None) -> tuple[Project, StackRecord]:
    """Return the project and its running stack; ``stack``: the DEVRUN_STACK of a private one.

    Raises NoProjectError, ConfigError or NoStackError.
    """
    project = addressed(find(here(), config), os.environ.get("DEVRUN_STACK", "") if stack is None else stack)
    if stack is not None and project.private is None:
        raise NoStackError(f"no private stack {shown(stack)} is running in {shown(project.folder)}")
    return project, running_in(project)


def ask_stack(config: Path | None, kind: str, **options: object) -> Mapping[str, Any]:
    """Return what the launcher of the running stack answers. Raises DevrunError."""
    project, record = running_stack(config)
    return ask_launcher(project, record, kind, options)

"""Finds the running stack of the project around the working directory and asks its launcher, or says that none runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devrun.cli.reading import here
from devrun.control.client import NobodyListensError, ask
from devrun.errors import NoStackError
from devrun.lock import repair, running
from devrun.outputs.statefile import StackRecord
from devrun.outputs.writer import shown
from devrun.project import Project, find

PATIENCE = 1.0
"""Seconds in which a stack that goes down is gone after its socket."""


def running_stack(config: Path | None) -> tuple[Project, StackRecord]:
    """Return the project and its running stack. Raises NoProjectError, ConfigError or NoStackError."""
    project = find(here(), config)
    return project, _running(project)


def ask_stack(config: Path | None, kind: str, **options: object) -> Mapping[str, Any]:
    """Return what the launcher of the running stack answers. Raises DevrunError."""
    project, record = running_stack(config)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask(str(project.state_dir), kind, options)
        except NobodyListensError:
            if time.monotonic() > deadline:
                break
        time.sleep(0.02)
        record = _running(project)
    raise NoStackError(
        f"the stack in {shown(project.folder)} (pid {record.pid}) does not listen: it is going down",
        hint="try again in a moment",
    )


def _running(project: Project) -> StackRecord:
    record = running(project)
    if record is not None:
        return record
    complaints = repair(project)
    message = f"no stack is running in {shown(project.folder)}"
    raise NoStackError("\n".join([message, *complaints]), hint="`devrun up` starts one")

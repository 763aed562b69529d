"""Finds the running stack of the project around the working directory and asks its launcher, or says that none runs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devrun.cli.reading import here
from devrun.control.client import LauncherError, NobodyListensError, ask
from devrun.errors import DevrunError, NoStackError, UsageError
from devrun.lock import is_held, repair, running
from devrun.outputs.statefile import StackRecord
from devrun.outputs.writer import shown
from devrun.project import Project, addressed, find

PATIENCE = 1.0
"""Seconds in which a stack that goes down is gone after its socket."""
START_SECONDS = 3.0
"""Seconds in which a launcher that has the lock has written down where its stack is."""


def running_stack(config: Path | None, stack: str | None = None) -> tuple[Project, StackRecord]:
    """Return the project and its running stack; ``stack``: the DEVRUN_STACK of a private one.

    Raises NoProjectError, ConfigError or NoStackError.
    """
    project = addressed(find(here(), config), os.environ.get("DEVRUN_STACK", "") if stack is None else stack)
    if stack is not None and project.private is None:
        raise NoStackError(f"no private stack {shown(stack)} is running in {shown(project.folder)}")
    return project, _running(project)


def ask_stack(config: Path | None, kind: str, **options: object) -> Mapping[str, Any]:
    """Return what the launcher of the running stack answers. Raises DevrunError."""
    project, record = running_stack(config)
    return ask_launcher(project, record, kind, options)


def ask_launcher(project: Project, record: StackRecord, kind: str, options: Mapping[str, object]) -> Mapping[str, Any]:
    """As ``ask_stack``, of a stack that has been found."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask(str(project.state_dir), kind, options)
        except LauncherError as error:
            raise said(error) from None
        except NobodyListensError:
            if time.monotonic() > deadline:
                break
        time.sleep(0.02)
        record = _running(project)
    raise NoStackError(
        f"the stack in {shown(project.folder)} (pid {record.pid}) does not listen: it is going down",
        hint="try again in a moment",
    )


def said(error: LauncherError) -> DevrunError:
    """Return what the launcher has refused as the error that it is for a user."""
    match error.code:
        case "unknown-name":
            return UsageError(error.said)
        case "going-down":
            return NoStackError(error.said)
        case "not-paused" | "taken":
            return DevrunError(error.said)
        case _:
            return error


def _running(project: Project) -> StackRecord:
    deadline = time.monotonic() + START_SECONDS
    while True:
        record = running(project)
        if record is not None:
            return record
        if time.monotonic() > deadline or not is_held(project):
            break
        time.sleep(0.02)
    complaints = repair(project)
    message = f"no stack is running in {shown(project.folder)}"
    raise NoStackError("\n".join([message, *complaints]), hint="`devrun up` starts one")

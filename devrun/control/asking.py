"""Finds the running stack of a project and asks its launcher, or says that none runs.

Starts nothing. Blocks: for threads that may wait.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from devrun.control.client import LauncherError, NobodyListensError, ask
from devrun.errors import DevrunError, NoStackError, UsageError
from devrun.lock import is_held, repair, running
from devrun.outputs.statefile import StackRecord
from devrun.outputs.writer import shown
from devrun.project import Project

PATIENCE = 1.0
"""Seconds in which a stack that goes down is gone after its socket."""
START_SECONDS = 3.0
"""Seconds in which a launcher that has the lock has written down where its stack is."""


def ask_launcher(project: Project, record: StackRecord, kind: str, options: Mapping[str, object]) -> Mapping[str, Any]:
    """Return what the launcher of a stack that has been found answers. Raises DevrunError."""
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
        record = running_in(project)
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


def running_in(project: Project) -> StackRecord:
    """Return the running stack of the project; one that is just starting is waited for. Raises NoStackError."""
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

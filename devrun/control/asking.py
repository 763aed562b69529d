"""Finds the running stack of a project and asks its launcher, or says that none runs.

Starts nothing. Blocks: for threads that may wait.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from devrun.control.client import LauncherError, NobodyListensError, stream
from devrun.errors import DevrunError, NoStackError, UnknownNameError
from devrun.lock import is_held, repair, running
from devrun.outputs.statefile import StackRecord
from devrun.outputs.writer import shown
from devrun.project import Project

__tracebackhide__ = True
"""For pytest: what went wrong went wrong in the test, or in the app."""

PATIENCE = 1.0
"""Seconds in which a stack that goes down is gone after its socket."""
START_SECONDS = 3.0
"""Seconds in which a launcher that has the lock has written down where its stack is."""


class Answer(Struct, frozen=True):
    """What a launcher answers to a request: ``parts`` come ahead of the ``data``."""

    parts: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any]


def ask_launcher(project: Project, record: StackRecord, kind: str, options: Mapping[str, object]) -> Mapping[str, Any]:
    """Return the data of what the launcher of a stack that has been found answers. Raises DevrunError."""
    return answer_of(project, record, kind, options).data


def answer_of(project: Project, record: StackRecord, kind: str, options: Mapping[str, object]) -> Answer:
    """As ``ask_launcher``, with all that comes ahead of the data."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return _collected(stream(str(project.state_dir), kind, options))
        except LauncherError as error:
            raise refusal(error.code, error.said) from None
        except NobodyListensError:
            if time.monotonic() > deadline:
                break
        time.sleep(0.02)
        record = running_in(project)
    raise NoStackError(
        f"the stack in {shown(project.folder)} (pid {record.pid}) does not listen: it is going down",
        hint="try again in a moment",
    )


def refusal(code: str, said: str) -> DevrunError:
    """Return what a launcher has refused as the error that it is for a user."""
    match code:
        case "unknown-name":
            return UnknownNameError(said)
        case "going-down":
            return NoStackError(said)
        case "not-paused" | "taken":
            return DevrunError(said)
        case _:
            return LauncherError(code, said)


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


def _collected(answers: Generator[Mapping[str, Any], None, Mapping[str, Any]]) -> Answer:
    parts: list[Mapping[str, Any]] = []
    while True:
        try:
            parts.append(next(answers))
        except StopIteration as end:
            return Answer(parts, end.value)

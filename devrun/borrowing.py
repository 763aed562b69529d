"""The stack that `devrun up` has up in a project, for a program that uses it and leaves it up.

Asks over the control socket, and makes sure first that the URLs lead to that stack. Blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from devrun.control.asking import Answer, answer_of, running_in
from devrun.control.protocol import AskStatus, Request
from devrun.errors import NoStackError
from devrun.handles import Stack
from devrun.outputs.statefile import StackRecord, endpoint_in
from devrun.outputs.writer import shown
from devrun.plan import Endpoint
from devrun.planning import Choices, stack_variables
from devrun.project import Project
from devrun.reading import config_of, plan_of
from devrun.strangers import replaced

__tracebackhide__ = True
"""For pytest: what went wrong went wrong in the test, or in the app."""

HEADER_SECONDS = 5.0
"""How long an app may take to say who it is. It may be busy: the stack has its socket."""


def borrowed(project: Project, environ: Mapping[str, str], seconds: float) -> Stack:
    """Return the stack that is up in ``project``, once it is ready.

    Raises NoStackError when there is none, or one of another folder; BrokenAppError or NotReadyError when it is not
    ready within ``seconds``.
    """
    record = running_in(project)
    if record.folder != project.folder:
        raise NoStackError(f"the stack in {shown(project.folder)} is of another folder: {shown(record.folder)}")
    launcher = _Launcher(project, record, environ)
    stack = Stack(launcher)
    stack.wait_ready(timeout=seconds)
    _check(launcher)
    return stack


class _Launcher(Struct, frozen=True):
    """The launcher of another process (``handles.Places``)."""

    project: Project
    record: StackRecord
    environ: Mapping[str, str]

    @property
    def places(self) -> _Launcher:
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part["name"] for part in self._parts())

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        return {part["name"]: endpoint_in(part["name"], part) for part in self._parts() if part["url"] is not None}

    @property
    def variables(self) -> dict[str, str]:
        plan = replace(plan_of(self.project, Choices(), self.environ), stack=self.record.stack)
        variables = stack_variables(plan, self.endpoints)
        if self.project.private is None:  # who has DEVRUN_STACK ends with the stack
            del variables["DEVRUN_STACK"]
        return variables

    def _parts(self) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = self.answer(AskStatus()).data["apps"]
        return parts

    def answer(self, request: Request) -> Answer:
        return answer_of(self.project, self.record, request.kind, asdict(request))


def _check(launcher: _Launcher) -> None:
    """Raise NoStackError if a URL of the stack leads elsewhere. Apps that are told not to say who they are do not."""
    apps = config_of(launcher.project)[0].apps
    named = [at for name, at in launcher.endpoints.items() if name in apps and apps[name].identify]
    with ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
        asked = thread.submit(lambda: asyncio.run(replaced(named, launcher.record.stack, HEADER_SECONDS)))
    wrong = asked.result()
    if wrong:
        raise NoStackError("\n".join(wrong), hint="`devrun down`, then `devrun up`")

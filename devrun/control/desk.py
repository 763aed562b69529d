"""Answers what is asked over the control socket, from the newest snapshot and what the engine reports.

A view like any other (``Sink``): it sees snapshots and never asks the core anything.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from devrun.control.memory import measure
from devrun.control.protocol import RefusedError, Request
from devrun.events import Notice
from devrun.life import pid_of
from devrun.outputs.status import (
    Details,
    StackStatus,
    document,
    statuses,
)
from devrun.reports import EngineReport
from devrun.state import Launching, Running, Snapshot

PATIENCE = 10.0
"""Seconds that an asker waits for the first snapshot of a stack that is only just starting."""


class Guard(Protocol):
    @property
    def pid(self) -> int: ...


class Desk:
    """To be made inside the running loop. ``folder``: the project's; ``engines``: asked for each answer that tells."""

    def __init__(self, folder: str, engines: Callable[[], EngineReport]) -> None:
        self.guard: Guard | None = None
        self._folder = folder
        self._engines = engines
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._snapshot: Snapshot | None = None
        self._begun = asyncio.Event()

    def update(self, snapshot: Snapshot) -> None:
        """Answer from this one from now on."""
        self._snapshot = snapshot
        self._begun.set()

    def tell(self, notice: Notice) -> None:
        """Do nothing: snapshots hold everything that is answered."""

    async def answer(self, request: Request) -> Mapping[str, Any]:
        """Return the data of the answer. Raises RefusedError."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._begun.wait()
        except TimeoutError:
            raise RefusedError("busy", "the stack is only just starting") from None
        # (Of the requests there is one kind so far.)
        details = await self._details() if request.verbose else None
        assert self._snapshot is not None
        return document(self._status(self._snapshot, details))

    def _status(self, snapshot: Snapshot, details: Details | None) -> StackStatus:
        now = self._loop.time()
        return StackStatus(
            stack=snapshot.stack,
            folder=self._folder,
            pid=os.getpid(),
            stage="stopping" if snapshot.stage == "killing" else snapshot.stage,
            up_seconds=now - self._since,
            apps=statuses(snapshot, now),
            details=details,
        )

    async def _details(self) -> Details:
        report = self._engines()
        memory = await asyncio.to_thread(measure, os.getpid(), self._known(report))
        return Details(report.apps, report.servers, memory)

    def _known(self, report: EngineReport) -> dict[int, str]:
        """The processes that have names, and their kinds."""
        assert self._snapshot is not None
        known = {server.pid: "fork servers" for server in report.servers if server.pid is not None}
        for app in report.apps.values():
            known |= {checkpoint.pid: "checkpoints" for checkpoint in app.checkpoints}
        for state in self._snapshot.apps.values():
            pid = pid_of(state.phase)
            if pid is not None:
                known[pid] = "workers"
        for command in self._snapshot.commands.values():
            if isinstance(command.phase, Launching | Running) and command.phase.pid is not None:
                known[command.phase.pid] = "commands"
        if self.guard is not None:
            known[self.guard.pid] = "guard"
        return known

"""How a stack and its processes are: the status, and with it engines, checkpoints and memory.

Looks at the process table in a thread. Knows no requests.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec.structs import replace

from devrun.control.memory import measure
from devrun.outputs.status import Details, StackStatus, statuses
from devrun.phases import pid_of
from devrun.reports import EngineReport
from devrun.state import Launching, Running, Snapshot


class Guard(Protocol):
    @property
    def pid(self) -> int: ...


class Inspector:
    """To be made inside the running loop. ``folder``: the project's; ``engines``: asked for each answer that tells."""

    def __init__(self, folder: str, engines: Callable[[], EngineReport]) -> None:
        self.guard: Guard | None = None
        self.debug_ports: Mapping[str, int] = {}
        self.pid = os.getpid()
        self._folder = folder
        self._engines = engines
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()

    async def status(self, snapshot: Snapshot, *, verbose: bool) -> StackStatus:
        details = await self._details(snapshot) if verbose else None
        now = self._loop.time()
        return StackStatus(
            stack=snapshot.stack,
            folder=self._folder,
            pid=self.pid,
            stage="stopping" if snapshot.stage == "killing" else snapshot.stage,
            up_seconds=now - self._since,
            apps=tuple(replace(app, debug_port=self.debug_ports.get(app.name)) for app in statuses(snapshot, now)),
            details=details,
        )

    async def _details(self, snapshot: Snapshot) -> Details:
        report = self._engines()
        memory = await asyncio.to_thread(measure, self.pid, self._known(snapshot, report))
        return Details(report.apps, report.servers, memory)

    def _known(self, snapshot: Snapshot, report: EngineReport) -> dict[int, str]:
        """The processes that have names, and their kinds."""
        known = {server.pid: "fork servers" for server in report.servers if server.pid is not None}
        for app in report.apps.values():
            known |= {checkpoint.pid: "checkpoints" for checkpoint in app.checkpoints}
        for state in snapshot.apps.values():
            pid = pid_of(state.phase)
            if pid is not None:
                known[pid] = "workers"
        for command in snapshot.commands.values():
            if isinstance(command.phase, Launching | Running) and command.phase.pid is not None:
                known[command.phase.pid] = "commands"
        if self.guard is not None:
            known[self.guard.pid] = "guard"
        return known

"""The fork engine: workers are forked from processes that have imported already what has not changed.

Decides what a worker is forked from: the latest checkpoint that is still as it should be, else a fork server, else
(where forking is not possible or not safe) a fresh interpreter.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field

from devrun.checkpoints import Checkpoints
from devrun.engine import Groups, Job, Made, Surroundings
from devrun.events import Run
from devrun.forker import Forked, Forker
from devrun.forkserver import NAMES
from devrun.homes import Homes
from devrun.reports import AppReport, CheckpointReport, EngineReport
from devrun.spawning import SpawnEngine, wires

CRASHES = frozenset(-number for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE))
TRIES = 3


class _App(Struct):
    """What is known of one app.

    ``unfit``: why it gets a fresh interpreter each time; ``fresh``: it got one the last time: no fork server was ready.
    """

    checkpoints: Checkpoints[_Parked]
    unfit: str | None = None
    refused: str | None = None
    fresh: bool = False
    importing: set[Run] = field(default_factory=set[Run])


class _Parked(Struct, eq=False):
    """A checkpoint. ``line``: the last one that was run of the file; None: it is parked in front of it."""

    forker: Forker
    line: int | None
    pid: int | None = None


class ForkEngine:
    """``tell`` hears what a person should know about an app."""

    def __init__(
        self,
        spawning: SpawnEngine,
        homes: Homes,
        surroundings: Surroundings,
        groups: Groups,
        checkpoints: int,
        tell: Callable[[str, str], None],
    ) -> None:
        self._spawning = spawning
        self._homes = homes
        self._surroundings = surroundings
        self._groups = groups
        self._tell = tell
        self._checkpoints = checkpoints
        self._apps = {name: _App(Checkpoints(checkpoints)) for name in homes.apps}
        self._greetings: set[asyncio.Task[None]] = set()

    def note(self, app: str, paths: Sequence[str]) -> None:
        """A change of anything but modules may mean anything: nothing that was imported before is used again then."""
        checkpoints = self._apps[app].checkpoints
        self._apps[app].importing.clear()  # a newer run takes their place
        if paths and all(path.endswith(".py") for path in paths):
            self._retire(checkpoints.edit([os.path.realpath(self._surroundings.folder / path) for path in paths]))
        else:
            self._retire(checkpoints.clear())

    async def make(self, job: Job) -> Made | None:
        app = self._apps[job.run.app]
        if app.unfit is None and not job.debugged and job.recipe.plan.cwd.is_dir():
            app.importing.add(job.run)
            with wires(self._surroundings.terminal) as ends:
                descriptors = [ends.channel.fileno(), ends.printed, *(sock.fileno() for sock in job.recipe.sockets)]
                forked: Forked | None = None
                try:
                    forked = await self._fork(job, app, descriptors)
                finally:
                    app.fresh = forked is None
                    if forked is None:
                        app.importing.discard(job.run)
                if forked is not None:
                    return ends.made(forked)
        return await self._spawning.make(job)

    async def make_page(self, job: Job) -> Made | None:
        return await self._spawning.make_page(job)

    def hear(self, run: Run, message: Mapping[str, Any], descriptors: deque[int]) -> bool:
        app = self._apps[run.app]
        match message["is"]:
            case "modules":
                app.importing.discard(run)
                modules = [(str(name), str(origin)) for name, origin in message["modules"]]
                self._homes.learn(run.app, modules, message["after"], message["seconds"])
                self._settle(run.app)
            case "failed":
                app.importing.discard(run)
                self._settle(run.app)
            case "parked":
                sock = socket.socket(fileno=descriptors.popleft())
                if run in app.importing:
                    self._park(app, message["file"], message["line"], sock)
                else:  # it may rest upon what was changed since
                    sock.close()
            case "unparked":
                app.refused = f"{message['file']}: the import up to it {message['reason']}"
            case "environ":
                self._retire(app.checkpoints.clear())
                self._homes.import_nothing_for(run.app, str(message["name"]))
                return True
            case "unfit":
                self._refuse(run.app, str(message["reason"]))
                return True
            case _:
                pass
        return False

    def ended(self, run: Run, code: int) -> bool:
        app = self._apps[run.app]
        if run not in app.importing:
            return False
        app.importing.discard(run)
        self._settle(run.app)
        if code not in CRASHES or app.unfit is not None:
            return False
        self._refuse(run.app, f"its import crashed in a forked process ({signal.Signals(-code).name})")
        return True

    def adopt(self, names: Collection[str]) -> None:
        for name in names:
            if name in self._apps:
                self._retire(self._apps[name].checkpoints.clear())
            # (Of an app that is no more there may still be a worker, which has something to say.)
            self._apps[name] = _App(Checkpoints(self._checkpoints))
        self._homes.adopt(names)

    def report(self) -> EngineReport:
        apps = {name: self._report(name, self._apps[name]) for name in self._homes.apps}
        return EngineReport(apps, self._homes.report())

    async def close(self) -> None:
        for app in self._apps.values():
            for parked in app.checkpoints.clear():
                parked.forker.close()
        for greeting in self._greetings:
            greeting.cancel()
        await self._homes.close()

    def _report(self, name: str, app: _App) -> AppReport:
        reason = app.unfit or self._homes.home(name).error
        parked = tuple(
            CheckpointReport(file, one.pid, one.line) for file, one in app.checkpoints.parked if one.pid is not None
        )
        engine: Literal["fork", "spawn"] = "fork" if reason is None else "spawn"
        return AppReport(engine, reason, app.refused, parked, fresh=app.fresh and reason is None)

    async def _fork(self, job: Job, app: _App, descriptors: list[int]) -> Forked | None:
        """Return a forked process; None if there is nothing that can be forked."""
        plan = job.recipe.plan
        message = {
            "environ": {"DEVRUN_APP": plan.name},
            "cwd": str(plan.cwd),
            "park": app.checkpoints.wanted if plan.reload else (),
            "roots": [str(plan.cwd), str(self._surroundings.folder)],
            "guessed": self._homes.preload == "auto",
            **NAMES,
        }
        for _, parked in reversed(app.checkpoints.parked):
            answer = await parked.forker.start(message, descriptors)
            if isinstance(answer, Forked):
                return answer
            app.checkpoints.drop(parked)
            parked.forker.retire()
        for _ in range(TRIES):
            home = await self._homes.ready(plan.name)
            if not await home.idle():
                return None
            server = home.server
            if server is None or not job.wanted():
                return None
            answer = await server.forker.start(message, descriptors)
            if isinstance(answer, Forked):
                return answer
            home.renew(server)
        return None

    def _park(self, app: _App, file: str, line: int | None, sock: socket.socket) -> None:
        parked = _Parked(Forker(sock, self._homes.terms.exits, lambda line: None), line)
        app.refused = None
        self._retire(app.checkpoints.park(file, parked, within=line is not None))
        task = asyncio.create_task(self._greet(app, parked))
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)

    async def _greet(self, app: _App, parked: _Parked) -> None:
        """Know a checkpoint from its greeting to its end."""
        greeting = await parked.forker.greeting
        if greeting is not None:
            pid = parked.pid = int(greeting["pid"])
            self._groups.add(pid)
            await parked.forker.ended
            self._groups.remove(pid)
        app.checkpoints.drop(parked)

    def _retire(self, unwanted: list[_Parked]) -> None:
        for parked in unwanted:
            parked.forker.retire()

    def _refuse(self, name: str, reason: str) -> None:
        self._apps[name].unfit = reason
        self._retire(self._apps[name].checkpoints.clear())
        self._tell(name, f"each reload starts a fresh interpreter: {reason}")

    def _settle(self, name: str) -> None:
        """Once nothing is being imported, let the fork server import what was learned: processor time is free now."""
        home = self._homes.home(name)
        if not any(self._apps[app].importing for app in home.apps):
            home.extend()

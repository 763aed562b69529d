"""Worker processes: made by an engine, spoken to, ended; what they say becomes events.

Decides nothing: ``step`` does. Knows engines by their protocol only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import asdict

from devrun.channel import Channel
from devrun.engine import Engine, Groups, Job, Made, Process, Recipe, Surroundings
from devrun.events import Event, Exited, Failure, Run, Spawned
from devrun.identity import Identity
from devrun.logs import LineReader, Logs
from devrun.plan import AppPlan
from devrun.spawning import kill_group
from devrun.wording import read_report
from devrun.worktree import branch_or_folder

TAIL_LINES = 20
DRAIN_SECONDS = 1.0
"""How long the output of a dead run may stay open: a process that left the group may hold it."""
EXEC_FAILED = 127
PROTOCOL = 1


class Spawner(Protocol):
    """Starts and ends runs. Every call returns at once; what comes of it arrives as events."""

    def start(self, run: Run, paths: tuple[str, ...]) -> None: ...

    def start_page(self, run: Run, failure: Failure) -> None: ...

    def begin(self, run: Run) -> None: ...

    def terminate(self, run: Run) -> None: ...

    def kill(self, run: Run) -> None: ...


class Debug(Protocol):
    """Lets editors into workers."""

    def wants(self, name: str, /) -> bool:
        """Whether an editor is to debug the next worker of an app."""
        ...

    def hear(self, run: Run, message: Mapping[str, Any], /) -> None:
        """Take a word of a worker's; those of other matters are passed over."""

    def leave(self, run: Run, /) -> None:
        """A run is to end, or has ended: nothing may hold it."""


class _Live(Struct):
    """A run from the call that starts it until all of it is gone. ``pid`` is None before it has a process and after.

    The recipe is the one by which it was started: the config may have changed since.
    """

    recipe: Recipe
    pid: int | None = None
    making: asyncio.Task[Made | None] | None = None
    channel: Channel | None = None
    console: int | None = None
    """The end of a debugger's socket that is for whoever attaches."""
    debugged: bool = False
    """Whether it lets an editor in before it imports the app."""
    hears: bool = False
    """Whether it obeys between two requests: it has imported the app, and serves it."""
    killed: bool = False
    again: bool = False
    task: asyncio.Task[None] | None = None


_Make = Callable[[], Coroutine[Any, Any, Made | None]]


class Workers:
    """The ``Spawner``: one process for each run."""

    def __init__(
        self,
        recipes: Mapping[str, Recipe],
        engine: Engine,
        emit: Callable[[Event], None],
        logs: Logs,
        groups: Groups,
        surroundings: Surroundings,
    ) -> None:
        self.debug: Debug | None = None
        self._recipes = recipes
        self._engine = engine
        self._emit = emit
        self._logs = logs
        self._groups = groups
        self._surroundings = surroundings
        self._live: dict[Run, _Live] = {}
        self._clock = asyncio.get_running_loop().time

    def start(self, run: Run, paths: tuple[str, ...]) -> None:
        debugged = self.debug is not None and self.debug.wants(run.app)
        live = self._live[run] = _Live(self._recipes[run.app], debugged=debugged)
        self._engine.note(run.app, paths)  # now, for a newer save may come before anything is made
        make = partial(self._engine.make, self._job(run, live))
        live.task = asyncio.create_task(self._live_through(run, live, make, None))

    def start_page(self, run: Run, failure: Failure) -> None:
        live = self._live[run] = _Live(self._recipes[run.app])
        make = partial(self._engine.make_page, self._job(run, live))
        live.task = asyncio.create_task(self._live_through(run, live, make, failure))

    def begin(self, run: Run) -> None:
        live = self._live.get(run)
        if live is not None and live.channel is not None:
            live.channel.send({"do": "begin"})

    def tell(self, app: str, message: Mapping[str, object]) -> bool:
        """Tell the newest worker of an app something; whether it hears that now."""
        runs = [run for run, live in self._live.items() if run.app == app and live.channel is not None]
        if not runs:
            return False
        live = self._live[max(runs, key=lambda run: run.generation)]
        assert live.channel is not None
        live.channel.send(message)
        return live.hears

    def terminate(self, run: Run) -> None:
        self._let_go(run)
        live = self._live.get(run)
        if live is not None and live.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have changed its user
                os.kill(live.pid, signal.SIGTERM)

    def kill(self, run: Run) -> None:
        live = self._live.get(run)
        if live is not None:
            live.killed = True
            if live.pid is not None:
                kill_group(live.pid)
            elif live.making is not None:
                live.making.cancel()

    def take_console(self, run: Run) -> int | None:
        """Return the descriptor of the terminal's end of a run's debugger: once, and the caller's from now on."""
        live = self._live.get(run)
        if live is None:
            return None
        console, live.console = live.console, None
        return console

    async def close(self) -> None:
        """Kill what is left and wait until all of it is gone."""
        for run in tuple(self._live):
            self.kill(run)
        await asyncio.gather(*(live.task for live in tuple(self._live.values()) if live.task is not None))
        await self._engine.close()

    def _job(self, run: Run, live: _Live) -> Job:
        return Job(run, live.recipe, lambda: not live.killed, live.debugged)

    def _let_go(self, run: Run) -> None:
        if self.debug is not None:
            self.debug.leave(run)

    async def _live_through(self, run: Run, live: _Live, make: _Make, failure: Failure | None) -> None:
        code = -signal.SIGKILL  # of a run that is killed before it has a process
        live.again = True
        while live.again and not live.killed:
            live.again = False
            try:
                made = await self._made(live, make)
            except (OSError, ValueError) as exc:  # ValueError: what no process can be given, as a NUL in a variable
                reason = exc.strerror if isinstance(exc, OSError) else exc
                self._logs.feed(run, [f"{live.recipe.plan.python} cannot be started: {reason}"])
                code = EXEC_FAILED
            else:
                if made is not None:
                    code = await self._follow(run, live, made, failure)
                    live.again |= self._engine.ended(run, code)
        del self._live[run]
        self._let_go(run)
        self._emit(Exited(run, code, self._logs.tail(run, TAIL_LINES), self._clock()))

    async def _made(self, live: _Live, make: _Make) -> Made | None:
        """Make a process. None if the run is not wanted any more: what a process is made from may take its time."""
        live.making = asyncio.create_task(make())
        await asyncio.wait([live.making])
        making, live.making = live.making, None
        return None if making.cancelled() else making.result()

    async def _follow(self, run: Run, live: _Live, made: Made, failure: Failure | None) -> int:
        """Attend to a worker and read what it prints, to the end of both; return its exit code."""
        live.pid = made.process.pid
        reader = LineReader(made.output, partial(self._logs.feed, run))
        live.channel = channel = Channel(made.channel, partial(self._hear, run, live))
        code = await self._attend(run, live, made.process, failure)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(channel.closed.wait(), DRAIN_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.finished.wait(), DRAIN_SECONDS)
        reader.close()
        channel.close()
        if live.console is not None:
            os.close(live.console)
            live.console = None
        return code

    async def _attend(self, run: Run, live: _Live, process: Process, failure: Failure | None) -> int:
        """Give the order, and return the worker's exit code when its whole group is gone."""
        assert live.channel is not None
        self._groups.add(process.pid)
        self._emit(Spawned(run, process.pid, self._clock()))
        if live.killed:  # asked while the process was being made
            kill_group(process.pid)
        live.channel.send({**self._order(run, live.recipe, failure), "debug": live.debugged})
        code = await process.wait()
        live.pid = None
        self._groups.remove(process.pid)
        return code

    def _hear(self, run: Run, live: _Live, line: bytes) -> None:
        assert live.channel is not None
        try:
            message = json.loads(line)
            live.again |= self._engine.hear(run, message, live.channel.descriptors)
            self._keep_console(live, message)
            if self.debug is not None:
                self.debug.hear(run, message)
            if message["is"] in ("imported", "failed"):
                live.hears = message["is"] == "imported"
            event = read_report(run, message, self._clock(), self._surroundings.folder)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            # User code shares the process and could write to any descriptor.
            self._logs.feed(run, [f"devrun: a report of the worker could not be read: {line[:200]!r}"])
        else:
            if event is not None:
                self._emit(event)

    def _keep_console(self, live: _Live, message: Mapping[str, Any]) -> None:
        assert live.channel is not None
        if (message["is"] == "paused" and not message["open"]) or message["is"] == "resumed":
            if live.console is not None:  # nobody has attached
                os.close(live.console)
            live.console = live.channel.descriptors.popleft() if message["is"] == "paused" else None

    def _order(self, run: Run, recipe: Recipe, failure: Failure | None) -> dict[str, object]:
        plan = recipe.plan
        return {
            "v": PROTOCOL,
            "name": plan.name,
            "token": f"{plan.name}-{run.generation}",
            "app": plan.target,
            "factory": plan.factory,
            "host": recipe.endpoint.host,
            "port": recipe.endpoint.port,
            "grace": plan.grace,
            "uvicorn": dict(plan.uvicorn),
            "identity": self._identity(plan),
            "fds": [sock.fileno() for sock in recipe.sockets],
            "nofile": list(self._surroundings.nofile),
            "page": None if failure is None else asdict(failure),
        }

    def _identity(self, plan: AppPlan) -> str | None:
        """What the app's responses say of who answers. The branch may be another one since the last start."""
        if not plan.identify:
            return None
        return str(Identity(self._surroundings.stack, plan.name, branch_or_folder(self._surroundings.folder)))

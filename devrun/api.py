"""The composition root: puts a plan's sockets, files, processes, watcher and views together, and takes them down.

Must not touch arguments, the environment or the console: ``cli`` hands in what it chose.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, Protocol

from msgspec import Struct

from devrun.control.desk import Desk, More
from devrun.control.inspecting import Inspector
from devrun.control.protocol import Handover, Request
from devrun.control.server import serving
from devrun.debugports import DebugPorts
from devrun.descriptors import raise_descriptor_limit
from devrun.engine import Engine, Groups, Recipe, Surroundings
from devrun.errors import DevrunError
from devrun.events import Event, FilesChanged, RestartAsked, Run, StackDown, StackStarting, StopAsked, UpAsked, Warned
from devrun.forker import Exits
from devrun.forking import ForkEngine
from devrun.forkserver import Terms
from devrun.guarding import guarded
from devrun.history import History
from devrun.holdings import Holdings
from devrun.homes import Homes
from devrun.launch import Commands
from devrun.lock import open_state
from devrun.logfiles import LogFiles
from devrun.logs import Logs
from devrun.matching import CONFIG
from devrun.plan import Plan
from devrun.probe import until_healthy
from devrun.project import Project, debug_ports, last_ports, remember_debug_ports, remember_ports
from devrun.publishing import Publisher
from devrun.registry import registered
from devrun.replanning import Replanning, Stamps, stamps_of
from devrun.reports import EngineReport
from devrun.sockets import Listeners, bind, bind_debug_ports
from devrun.spawn import Workers
from devrun.spawning import SpawnEngine
from devrun.step import initial
from devrun.supervisor import Sink, Supervisor
from devrun.watch import Scope, Watcher


class View(Sink, Protocol):
    """What shows a stack: notices and snapshots from the core, and the apps' own lines."""

    def log(self, app: str, lines: Sequence[str]) -> None: ...


class Stack:
    """One stack, from its first socket to its last process. To be made inside the running loop."""

    def __init__(
        self,
        plan: Plan,
        project: Project,
        view: View,
        sinks: Sequence[Sink] = (),
        terminal: tuple[int, int] | None = None,
        read: Callable[[], Plan] | None = None,
    ) -> None:
        """``terminal``: rows and columns of the terminal that the apps' output ends up on; None: it is no terminal.

        ``read`` reads the plan anew when its files have changed; None: what is saved does not count until next time.
        """
        self.plan = plan
        self._project = project
        self._terminal = terminal
        self._read = read
        self._stamps = stamps_of(project, plan)
        self._loop = asyncio.get_running_loop()
        self._engine: Engine | None = None
        history = History(time.time)
        self._log_files = LogFiles(project.logs_dir, self._warn_from_thread)
        self._logs = Logs(view.log, history, self._log_files)
        self._inspector = Inspector(str(project.folder), self.engines)
        self._desk = Desk(plan.stack, self._post, history, self._inspector)
        self._supervisor = Supervisor(self._loop, [view, *sinks, self._logs, self._desk])

    def stop(self) -> None:
        """Ask the stack to go down; a second time: at once."""
        self._supervisor.post(StopAsked(self._loop.time()))

    def restart(self, apps: Sequence[str] = ()) -> None:
        """Ask for new workers of these apps, or of all."""
        self._supervisor.post(RestartAsked(tuple(apps), self._loop.time()))

    async def answer(self, request: Request, more: More) -> Mapping[str, Any]:
        """Answer as over the control socket. Raises RefusedError."""
        answer = await self._desk.answer(request, more)
        assert not isinstance(answer, Handover), "a debugger is attached to over the socket"
        return answer

    def _post(self, event: Event) -> None:
        self._supervisor.post(event)

    def engines(self) -> EngineReport:
        """Tell how the workers are made; nothing before they are."""
        return EngineReport({}) if self._engine is None else self._engine.report()

    async def run(self) -> int:
        """Bring the stack up, keep it up, and return the exit code when all of it has ended.

        Raises DevrunError when it cannot start; nothing is left behind then.
        """
        try:
            code = await self._run()
            self._supervisor.tell(StackDown())
        finally:
            self._log_files.close()
        return code

    async def _run(self) -> int:
        plan = self.plan
        nofile = raise_descriptor_limit(len(plan.apps) + len(plan.commands))
        with (
            open_state(self._project) as state,
            # First: the system must not hand one of these to an app that takes any port.
            self._bind_debug_ports() as debug,
            bind({**plan.apps, **plan.commands}, last_ports(self._project)) as listeners,
            closing(Holdings(plan, listeners)) as holdings,
        ):
            self._supervisor.tell(StackStarting(plan.name, tuple(plan.apps), tuple(plan.commands)))
            for note in dict.fromkeys((*plan.warnings, *listeners.notes, *debug.notes)):
                self._supervisor.tell(Warned(note))
            publisher = Publisher(plan, state, self._supervisor.tell)
            try:
                async with serving(self._project.state_dir, self._desk.answer, self._warn):
                    self._publish(publisher, holdings)
                    with registered(self._project.state_dir, plan.environ):
                        code = await self._supervise(holdings, publisher, nofile, debug)
            finally:
                publisher.close()
        return code

    def _bind_debug_ports(self) -> Listeners:
        """Debug ports are a help: what is wrong with them is told, and keeps nothing from starting."""
        known = {} if self._project.private is not None else debug_ports(self._project)
        try:
            found = bind_debug_ports(self.plan.apps, known)
        except DevrunError as error:
            return Listeners({}, {}, (error.message,))
        ports = {name: endpoint.port for name, endpoint in found.endpoints.items()}
        if ports.items() - known.items():
            with suppress(DevrunError):  # it serves the next time only
                remember_debug_ports(self._project, ports)
        self._inspector.debug_ports = ports
        return found

    def _publish(self, publisher: Publisher, holdings: Holdings) -> None:
        """Write down where everything is, before anything starts, and keep that up to date from then on."""
        publisher.publish(holdings.endpoints)
        self._supervisor.show(publisher)
        self._supervisor.show(holdings)
        if holdings.sticky:
            remember_ports(self._project, holdings.sticky)

    async def _supervise(
        self, holdings: Holdings, publisher: Publisher, nofile: tuple[int, int], debug: Listeners
    ) -> int:
        plan, post = self.plan, self._supervisor.post

        def emit(event: Event) -> None:
            if isinstance(event, FilesChanged) and event.app == CONFIG:
                assert replanning is not None
                replanning.saved(event)
            else:
                post(event)

        watcher = Watcher(
            self._scope(plan, self._stamps), plan.folder, emit=emit, clock=self._loop.time, warn=self._warn
        )

        def healthy(name: str) -> asyncio.Future[None]:
            def warn(message: str) -> None:
                self._supervisor.tell(Warned(message, name))

            recipe = holdings.recipes[name]
            return asyncio.ensure_future(until_healthy(recipe.endpoint, recipe.plan.health or "/", warn))

        editors = DebugPorts(debug.sockets, plan.folder, post, self._warn_of)
        with guarded(f"DEVRUN_STACK={plan.stack}") as guard, closing(editors):
            environ = {**plan.environ, "DEVRUN_STACK": plan.stack}
            surroundings = Surroundings(plan.folder, environ, nofile, plan.stack, self._terminal)
            self._engine = engine = self._make_engine(holdings.recipes, surroundings, guard)
            self._inspector.guard = guard
            spawner = Workers(holdings.recipes, engine, post, self._logs, guard, surroundings)
            self._desk.take_console = spawner.take_console
            spawner.debug, editors.tell = editors, spawner.tell
            await editors.open()
            launcher = Commands(holdings.order, post, self._logs, guard, self._terminal)
            following = _Following(engine, watcher, publisher, self._scope)
            replanning = self._replanning(holdings, following)

            async def catch_up() -> None:
                await watcher.caught_up()
                if replanning is not None:
                    await replanning.caught_up()
                await self._supervisor.settled()

            self._desk.catch_up = catch_up
            watching = asyncio.create_task(watcher.run())
            post(UpAsked(self._loop.time()))
            snapshot = initial(
                plan.name, holdings.endpoints, holdings.app_rules, holdings.command_rules, tuple(plan.externals)
            )
            try:
                return await self._supervisor.run(snapshot, spawner, watcher, healthy, launcher)
            finally:
                watching.cancel()
                if replanning is not None:
                    await replanning.close()
                await asyncio.gather(spawner.close(), launcher.close(), asyncio.wait([watching]))

    def _scope(self, plan: Plan, stamps: Stamps) -> Scope:
        own = [self._project.own_dir, *(file.path for file in plan.env_files)]
        return Scope(plan.apps.values(), own, {} if self._read is None else stamps)

    def _replanning(self, holdings: Holdings, following: _Following) -> Replanning | None:
        if self._read is None:
            return None
        supervisor = self._supervisor
        made = Replanning(self._read, holdings, self._project, following, supervisor.post, supervisor.tell)
        supervisor.show(made)
        return made

    def _warn(self, message: str) -> None:
        self._supervisor.tell(Warned(message))

    def _warn_of(self, app: str, message: str) -> None:
        self._supervisor.tell(Warned(message, app))

    def _warn_from_thread(self, message: str) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._warn, message)

    def _make_engine(
        self,
        recipes: Mapping[str, Recipe],
        surroundings: Surroundings,
        groups: Groups,
    ) -> Engine:
        plan = self.plan.reload
        spawning = SpawnEngine(recipes, surroundings)
        if plan.engine == "spawn":
            return spawning
        homes = Homes(
            recipes,
            plan.preload,
            self._project.preloads_file,
            Terms(self._terminal, groups, Exits()),
            warn=self._warn,
            log=lambda app, lines: self._logs.feed(Run(app, 0), list(lines)),
        )

        return ForkEngine(spawning, homes, surroundings, groups, plan.checkpoints, self._warn_of)


class _Following(Struct, frozen=True):
    """What follows another plan besides the core."""

    engine: Engine
    watcher: Watcher
    publisher: Publisher
    scope: Callable[[Plan, Stamps], Scope]

    def adopt(self, plan: Plan, recipes: frozenset[str], stamps: Stamps) -> None:
        self.engine.adopt(recipes)
        self.watcher.reconfigure(self.scope(plan, stamps))

    def settle(self, plan: Plan, gone: frozenset[str]) -> None:
        self.engine.adopt(gone)
        self.publisher.replan(plan)

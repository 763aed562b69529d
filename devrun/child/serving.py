"""uvicorn, fitted to a launcher that holds the sockets: begin when told, say when started, stop without lingering.

Needs uvicorn (0.23 on) and the standard library; Python 3.9 on.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import socket
from typing import Any

import uvicorn
from uvicorn.importer import ImportFromStringError, import_from_string

from . import eventstreams
from .identifying import identify

_logger = logging.getLogger("uvicorn.error")
LIFESPAN_SHARE = 0.2
"""Seconds of ``grace`` that requests leave to the lifespan shutdown (at most half of it)."""
POLL_SECONDS = 0.005
FIRST_WORD_TURNS = 20
"""How often a stop looks for a new connection's first request. Not how long: a busy machine may let none be read."""
TICK_SECONDS = 1.0


class StartupProblem(Exception):
    """The lifespan did not start. The message is what the app or uvicorn said."""


class SetupProblem(Exception):
    """Not the app's code: uvicorn's settings, or an object that is no ASGI application."""


class Config(uvicorn.Config):
    """uvicorn's configuration, with a word for an object that is no ASGI application."""

    identity: str | None = None

    def load(self) -> None:
        check_application(self.app, self.factory, self.interface)
        super().load()
        eventstreams.watch()
        if self.identity is not None:
            identify(self, self.identity)
        self.lifespan_class = recording(self.lifespan_class)


def check_application(target: Any, factory: bool, interface: str) -> None:
    """Import the app (as uvicorn will: once) and refuse what is not ASGI, with a reason.

    Raises SetupProblem, or whatever the import raises.
    """
    app = import_from_string(target)
    if not callable(app):
        raise SetupProblem(f"{target} is not an ASGI application: found {kind_of(app)}, which cannot be called")
    if not factory and interface != "wsgi" and looks_like_wsgi(app):
        raise SetupProblem(
            f"{target} is a WSGI application ({kind_of(app)}), not ASGI; serve it with "
            'uvicorn = { interface = "wsgi" }, or wrap it with a2wsgi.WSGIMiddleware'
        )


def kind_of(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def looks_like_wsgi(app: Any) -> bool:
    """True for an object that is called as ``app(environ, start_response)`` (PEP 3333)."""
    if hasattr(app, "wsgi_app"):  # Flask, Quart's base: Quart is ASGI and has asgi_app
        return not hasattr(app, "asgi_app")
    call = app if inspect.isfunction(app) or inspect.ismethod(app) or inspect.isclass(app) else type(app).__call__
    if inspect.iscoroutinefunction(call) or inspect.isclass(app):
        return False
    try:
        names = [p.name for p in inspect.signature(call).parameters.values()]
    except (TypeError, ValueError):
        return False
    return names[-2:] == ["environ", "start_response"]


def recording(base: Any) -> Any:
    """Return a lifespan class that keeps why the startup failed, which uvicorn only logs."""

    class Recording(base):  # type: ignore[misc]
        problem: BaseException | None = None
        message = ""

        async def main(self) -> None:
            app = self.config.loaded_app

            async def recorded(scope: Any, receive: Any, send: Any) -> None:
                self.config.loaded_app = app  # uvicorn has read it: requests get the app itself
                try:
                    await app(scope, receive, send)
                except BaseException as exc:
                    self.problem = exc
                    raise

            self.config.loaded_app = recorded
            await base.main(self)

        async def send(self, message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.message = message.get("message") or ""
            await base.send(self, message)

    return Recording if hasattr(base, "main") else base


class Links:
    """What a server has to do with besides its clients: the launcher, and who debugs it.

    ``leave()`` is called by the signal handler when the worker is to end; ``debug()`` lets an editor in; ``tick()`` is
    called once a second.
    """

    def __init__(self, channel: Any, leave: Any, debug: Any, tick: Any) -> None:
        self.channel = channel
        self.leave = leave
        self.debug = debug
        self.tick = tick


class Server(uvicorn.Server):
    """uvicorn's server: waits for leave to begin, reports, and stops within ``grace``.

    ``started`` is uvicorn's own flag; ``stopping`` says that a signal asked for the end.
    """

    def __init__(self, config: Config, links: Links, grace: float) -> None:
        super().__init__(config)
        self.links = links
        self.channel = links.channel
        self.grace = grace
        self.stopping = False
        self._loop: Any = None
        self._wake: Any = None
        self._leave: Any = None
        self._ahead = False
        self._captured = contextlib.ExitStack()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Keep the handlers that the app has set, if it was imported ahead: uvicorn (0.29 on) sets its own before."""
        with self._captured.pop_all() if self._ahead else super().capture_signals():
            yield

    def import_ahead(self, ahead: Any) -> None:
        """Import the app before there is a loop, but otherwise as late as this old uvicorn does."""
        self._ahead = True
        if hasattr(uvicorn.Server, "capture_signals"):
            self._captured.enter_context(super().capture_signals())
        if not hasattr(self.config, "get_loop_factory"):  # before uvicorn 0.36: a policy
            self.config.setup_event_loop()
        with ahead(loop=True):
            self.config.load()

    def close(self) -> None:
        """Give back the signal handlers, if nothing was served."""
        self._captured.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._leave = asyncio.Event()
        self._loop.add_reader(self.channel.fileno(), self._hear)
        self.channel.send({"is": "imported"})
        await self._leave.wait()
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            self.channel.send({"is": "started"})

    def _hear(self) -> None:
        while (message := self.channel.poll()) is not None:
            if message.get("do") == "begin":
                self._leave.set()
            elif message.get("do") == "debug":
                self.links.debug()

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.stopping = True
        self.links.leave()  # first: a debugger may hold the loop
        super().handle_exit(sig, frame)
        if self._wake is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def main_loop(self) -> None:
        """Tick as uvicorn does, but wake at once for a signal and otherwise only as often as the date changes."""
        tick = 0.1 if self.config.limit_max_requests is not None else TICK_SECONDS
        while not await self.on_tick(0):
            self.links.tick()
            try:
                await asyncio.wait_for(self._wake.wait(), tick)
            except asyncio.TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's shutdown without its fixed sleeps; the launcher kills what outlives ``grace``."""
        deadline = self._loop.time() + max(self.grace - LIFESPAN_SHARE, self.grace / 2)
        await self._stop_accepting(sockets or [])
        state = self.server_state
        told: set[Any] = set()
        self._tell_connections(told, patient=True)
        ended: set[Any] = set()
        await eventstreams.end(list(state.tasks), ended)
        # uvicorn tells nobody when the sets become empty
        turns = 0
        while (state.connections or state.tasks) and not self.force_exit and self._loop.time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            turns += 1
            self._tell_connections(told, patient=turns < FIRST_WORD_TURNS)
            await eventstreams.end(list(state.tasks), ended)
        if state.tasks and not self.force_exit:  # uvicorn's words, but for the name of the setting
            _logger.error("Cancel %s running task(s), grace (%gs) exceeded", len(state.tasks), self.grace)
        for task in state.tasks:
            task.cancel("Task cancelled, grace exceeded")
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def _stop_accepting(self, sockets: list[socket.socket]) -> None:
        """Accept no more, and lose nothing that was accepted.

        ``Server.close`` of asyncio forgets a connection that was accepted in the same turn of the loop: its client
        would wait for ever. So the listeners are no longer looked at first, and closed some turns later.
        """
        for sock in sockets:
            with contextlib.suppress(Exception):  # uvloop looks at its listeners itself, and loses none
                self._loop.remove_reader(sock.fileno())
        for _ in range(4):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for sock in sockets:
            sock.close()

    def _tell_connections(self, told: set[Any], patient: bool) -> None:
        """Close idle connections, let busy ones finish; with patience, hear out those that said nothing yet.

        Closing a connection whose first request is on its way would answer it with a reset.
        """
        for connection in self.server_state.connections - told:
            if not (patient and getattr(connection, "cycle", connection) is None):
                told.add(connection)
                connection.shutdown()


def unknown_settings(settings: dict[str, Any]) -> str:
    """Return a sentence about settings that this uvicorn does not have, or an empty one."""
    if not settings:
        return ""  # what a signature takes is not shared
    known = inspect.signature(uvicorn.Config.__init__).parameters
    unknown = [name for name in settings if name not in known]
    if not unknown:
        return ""
    names = ", ".join(unknown)
    return f"uvicorn {uvicorn.__version__}, which this app's interpreter has, knows no setting {names}"


def run(order: dict[str, Any], links: Links, sockets: list[socket.socket], ahead: Any = None) -> BaseException | None:
    """Serve until the end. Return why the app could not be started; None when it was served, or stopped before.

    ``ahead(loop=…)`` is a context in which the app is imported before there is a loop; ``loop``: whether uvicorn itself
    would import it in the loop, as it does before 0.47.
    """
    try:
        # workers: or uvicorn would obey WEB_CONCURRENCY
        config = Config(
            order["app"],
            host=order["host"],
            port=order["port"],
            factory=order["factory"],
            workers=1,
            **order["uvicorn"],
        )
        config.identity = order["identity"]
    except BaseException as exc:
        return SetupProblem(f"uvicorn refuses its settings: {type(exc).__name__}: {exc}")
    server = Server(config, links, order["grace"])
    try:
        if hasattr(config, "load_app"):
            with contextlib.nullcontext() if ahead is None else ahead(loop=False):
                config.load_app()
        elif ahead is not None:
            server.import_ahead(ahead)
        server.run(sockets=sockets)
    except BaseException as exc:
        if server.started or server.stopping:
            raise
        server.close()
        return startup_problem(server) or cause(exc)
    if server.started or server.stopping:
        return None
    return startup_problem(server) or StartupProblem("uvicorn ended before the app was started")


def startup_problem(server: Server) -> BaseException | None:
    """Return what the lifespan raised or said, if it got that far."""
    lifespan: Any = getattr(server, "lifespan", None)
    if lifespan is None or not lifespan.should_exit:
        return None
    problem = StartupProblem(lifespan.message or "the application's lifespan startup failed")
    problem.__cause__ = lifespan.problem
    return problem


def cause(exc: BaseException) -> BaseException:
    """Look behind the exit by which uvicorn ends a failed import."""
    if isinstance(exc, SystemExit) and isinstance(exc.__context__, ImportFromStringError):
        return exc.__context__
    return exc


def culprit(problem: BaseException) -> BaseException:
    """Return the exception to show: the one behind a failed startup, if there is one."""
    if isinstance(problem, StartupProblem) and problem.__cause__ is not None:
        return problem.__cause__
    return problem


def refine(failure: dict[str, Any], problem: BaseException) -> dict[str, Any]:
    """Say it in the app's or uvicorn's own words where no traceback says more."""
    if isinstance(problem, (StartupProblem, ImportFromStringError)) and problem.__cause__ is None:
        failure["text"] = str(problem).strip()
        failure["summary"] = failure["text"].splitlines()[-1]
        failure["file"] = failure["line"] = None
    return failure

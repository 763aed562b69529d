"""Answers what is asked over the control socket: from the newest snapshot, the history of lines, and an inspection.

A view like any other (``Sink``). What it is asked to do it posts as an event, and sees in later snapshots that it is
done. Must not know sockets.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, assert_never

import msgspec

from devrun.control import outcome
from devrun.control.fields import RefusedError
from devrun.control.inspecting import Inspector
from devrun.control.outcome import Part
from devrun.control.protocol import (
    AskAttach,
    AskDown,
    AskEndpoints,
    AskLogs,
    AskRestart,
    AskStart,
    AskStatus,
    AskStop,
    AskWait,
    Handover,
    Request,
)
from devrun.control.telling import tell_entries
from devrun.events import Event, Notice, RestartAsked, Run, StartPartsAsked, StopAsked, StopPartsAsked
from devrun.history import History
from devrun.outputs.status import document, part_status
from devrun.phases import run_of
from devrun.state import Halted, Off, Snapshot

PATIENCE = 10.0
"""Seconds that an asker waits for the first snapshot of a stack that is only just starting."""

More = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Sends a part of an answer ahead of it."""


class Desk:
    """To be made inside the running loop. ``stack``: its id; ``post`` puts an event on the queue."""

    def __init__(self, stack: str, post: Callable[[Event], None], history: History, inspector: Inspector) -> None:
        self.take_console: Callable[[Run], int | None] = lambda run: None
        """Gives the descriptor for whoever attaches to a run. There are no runs before it is set."""
        self.catch_up: Callable[[], Awaitable[None]] = _at_once
        """Waits until the newest snapshot knows of all that was saved so far. There is no watcher before it is set."""
        self._stack = stack
        self._post = post
        self._history = history
        self._inspector = inspector
        self._loop = asyncio.get_running_loop()
        self._snapshot: Snapshot | None = None
        self._news = asyncio.Event()

    def update(self, snapshot: Snapshot) -> None:
        """Answer from this one from now on."""
        self._snapshot = snapshot
        told, self._news = self._news, asyncio.Event()
        told.set()

    def tell(self, notice: Notice) -> None:
        """Do nothing: snapshots hold everything that is answered."""

    async def answer(self, request: Request, more: More) -> Mapping[str, Any] | Handover:
        """Return the data of the answer, after its parts. Raises RefusedError."""
        if isinstance(request, AskDown):
            return self._down()
        snapshot = await self._begun()
        match request:
            case AskStatus():
                return document(await self._inspector.status(snapshot, verbose=request.verbose))
            case AskRestart() | AskStop() | AskStart():
                return await self._order(request, snapshot)
            case AskWait():
                return await self._wait(request)
            case AskLogs():
                _check(request.apps or (), _parts(snapshot))
                await tell_entries(request, self._history, self._stack, more)
                return {}
            case AskEndpoints():
                return await self._endpoints(request, snapshot, more)
            case AskAttach():
                return self._attach(request.app, snapshot)
            case _:
                assert_never(request)

    async def _begun(self) -> Snapshot:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self._snapshot is None:
                    await self._news.wait()
        if self._snapshot is None:
            raise RefusedError("busy", "the stack is only just starting")
        return self._snapshot

    def _down(self) -> Mapping[str, Any]:
        # Asked twice the core would let nobody end in peace, and the second asker wants no more than the first.
        if self._snapshot is None or self._snapshot.stage not in ("stopping", "killing"):
            self._post(StopAsked(self._loop.time()))
        return {"pid": self._inspector.pid}

    async def _order(self, request: AskRestart | AskStop | AskStart, snapshot: Snapshot) -> Mapping[str, Any]:
        _check(request.apps, _parts(snapshot))
        _check_stage(snapshot)
        # All that are to be restarted are all apps: a dev server reloads by itself.
        names, since = request.apps or _awake(snapshot.apps), self._loop.time()
        match request:
            case AskRestart():
                self._post(RestartAsked(names, since))
            case AskStop():
                self._post(StopPartsAsked(names, since))
            case AskStart():
                self._post(StartPartsAsked(names, since))
        await self._news.wait()  # views are updated when the queue is empty: the next snapshot knows of the event
        with suppress(TimeoutError):
            async with asyncio.timeout(request.seconds if isinstance(request, AskRestart) else None):
                await self._until(names, outcome.is_gone if isinstance(request, AskStop) else outcome.has_arrived)
        return self._outcome(names, since)

    async def _wait(self, request: AskWait) -> Mapping[str, Any]:
        since = self._loop.time()
        # Whoever saves and asks means what has been saved; that the app is ready as it was before is no answer.
        await self.catch_up()
        parts = _parts(self._now())
        _check(request.apps, parts)
        names = request.apps or _awake(parts)
        with suppress(TimeoutError):
            async with asyncio.timeout(request.seconds):
                await self._until(names, outcome.is_ready, outcome.is_broken if request.or_broken else None)
        return self._outcome(names, since)

    async def _until(
        self,
        names: Sequence[str],
        all_are: Callable[[Part], bool],
        or_one_is: Callable[[Part], bool] | None = None,
    ) -> None:
        while True:
            snapshot = self._now()
            _check_stage(snapshot)
            parts = _parts(snapshot)
            states = [parts[name] for name in names if name in parts]
            if all(map(all_are, states)) or (or_one_is is not None and any(map(or_one_is, states))):
                return
            await self._news.wait()

    async def _endpoints(self, request: AskEndpoints, snapshot: Snapshot, more: More) -> Mapping[str, Any]:
        while request.follow:
            told = snapshot.endpoints
            await more(self._places(snapshot))
            while snapshot.endpoints == told:
                await self._news.wait()
                snapshot = self._now()
        return self._places(snapshot)

    def _attach(self, app: str, snapshot: Snapshot) -> Handover:
        _check((app,), snapshot.apps)
        _check_stage(snapshot)
        state = snapshot.apps[app]
        run = run_of(state.phase)
        if state.pause is None or run is None:
            raise RefusedError("not-paused", f"{app} has not stopped at a breakpoint()")
        console = self.take_console(run)
        if console is None:
            raise RefusedError("taken", f"somebody is attached to {app} already")
        return Handover({"place": state.pause.place}, console)

    def _now(self) -> Snapshot:
        assert self._snapshot is not None
        return self._snapshot

    def _outcome(self, names: Sequence[str], since: float) -> Mapping[str, Any]:
        snapshot, now = self._now(), self._loop.time()
        apps = [part_status(snapshot, name, now) for name in names if name in _parts(snapshot)]
        return {"seconds": now - since, "apps": msgspec.to_builtins(apps)}

    def _places(self, snapshot: Snapshot) -> Mapping[str, Any]:
        places = [{"name": e.name, "host": e.host, "port": e.port, "url": e.url} for e in snapshot.endpoints.values()]
        return {"stack": self._stack, "endpoints": places}


async def _at_once() -> None:
    """Wait for nothing."""


def _parts(snapshot: Snapshot) -> dict[str, Part]:
    """What can be stopped and started."""
    return {**snapshot.apps, **snapshot.commands}


def _awake(parts: Mapping[str, Part]) -> tuple[str, ...]:
    """Whom "all" means: those that nobody has stopped."""
    return tuple(name for name, state in parts.items() if not isinstance(state.phase, (Halted, Off)))


def _check(names: Sequence[str], parts: Mapping[str, Part]) -> None:
    for name in names:
        if name not in parts:
            near = difflib.get_close_matches(name, parts, 1)
            known = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(parts)}"
            raise RefusedError("unknown-name", f"the running stack has no app {_shown(name)}; {known}")


def _check_stage(snapshot: Snapshot) -> None:
    if snapshot.stage in ("stopping", "killing"):
        raise RefusedError("going-down", "the stack is going down")


def _shown(name: str) -> str:
    text = repr(name if len(name) <= 60 else f"{name[:60]}...")
    return text if text.isprintable() else ascii(text)

"""The only loop: takes an event, asks ``step``, performs the effects, publishes the snapshot.

Decides nothing and knows no terminal, file format or web server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, assert_never

from devrun.events import (
    Arm,
    Begin,
    Errand,
    Event,
    Expired,
    Healthy,
    Kill,
    Launch,
    LoadedFile,
    Notice,
    Probe,
    Quit,
    Run,
    Settle,
    Start,
    StartPage,
    Tell,
    Terminate,
    Watch,
)
from devrun.launch import Launcher
from devrun.spawn import Spawner
from devrun.state import Snapshot
from devrun.step import step


class Sink(Protocol):
    """A view. ``update`` may miss middle snapshots, ``tell`` hears every notice in order. Neither may block."""

    def update(self, snapshot: Snapshot) -> None: ...

    def tell(self, notice: Notice) -> None: ...


class Clock(Protocol):
    """Time in seconds, monotonic, and what is to happen at one."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class Tracker(Protocol):
    """Knows which files belong to which app."""

    def begin(self, run: Run) -> None: ...

    def loaded(self, run: Run, files: Sequence[LoadedFile]) -> None: ...

    def settle(self, run: Run) -> None: ...


class Supervisor:
    """One stack. Events come in by ``post``; ``run`` returns the exit code."""

    def __init__(self, clock: Clock, sinks: Sequence[Sink]) -> None:
        self._clock = clock
        self._sinks = list(sinks)
        self._queue: asyncio.Queue[Event] = asyncio.Queue()

    def post(self, event: Event) -> None:
        """Put an event on the queue. To be called in the loop's thread."""
        self._queue.put_nowait(event)

    async def settled(self) -> None:
        """Return when the views know what has come of every event so far."""
        await self._queue.join()

    def show(self, sink: Sink) -> None:
        """Show the stack to one more view, from the next snapshot on."""
        self._sinks.append(sink)

    def tell(self, notice: Notice) -> None:
        """Tell every view, outside of any event."""
        for sink in self._sinks:
            sink.tell(notice)

    async def run(
        self,
        snapshot: Snapshot,
        spawner: Spawner,
        tracker: Tracker,
        healthy: Callable[[str], asyncio.Future[None]],
        launcher: Launcher,
    ) -> int:
        """Take events until everything has ended. ``healthy`` returns a future that is done when an app is."""
        hands = _Hands(self, self._clock, spawner, tracker, healthy, launcher)
        code: int | None = None
        while code is None:
            snapshot, effects = step(snapshot, await self._queue.get())
            for effect in effects:
                if isinstance(effect, Quit):
                    code = effect.code
                else:
                    hands.perform(effect)
            if code is not None or self._queue.empty():
                for sink in self._sinks:
                    sink.update(snapshot)
            self._queue.task_done()
        hands.close()
        return code


class _Hands:
    """Performs effects."""

    def __init__(
        self,
        supervisor: Supervisor,
        clock: Clock,
        spawner: Spawner,
        tracker: Tracker,
        healthy: Callable[[str], asyncio.Future[None]],
        launcher: Launcher,
    ) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._spawner = spawner
        self._tracker = tracker
        self._healthy = healthy
        self._launcher = launcher
        self._probes: dict[str, asyncio.Future[None]] = {}

    def close(self) -> None:
        for probe in self._probes.values():
            probe.cancel()

    def perform(self, effect: Errand) -> None:  # noqa: C901 - one line for each effect
        match effect:
            case Start(run, paths):
                self._tracker.begin(run)
                self._spawner.start(run, paths)
            case StartPage(run, failure):
                self._spawner.start_page(run, failure)
            case Begin(run):
                self._spawner.begin(run)
            case Launch(run):
                self._launcher.launch(run)
            case Terminate(run):
                self._ender(run).terminate(run)
            case Kill(run):
                self._ender(run).kill(run)
            case Probe(run):
                self._probe(run)
            case Arm():
                self._arm(effect)
            case Watch(run, files):
                self._tracker.loaded(run, files)
            case Settle(run):
                self._tracker.settle(run)
            case Tell(notice):
                self._supervisor.tell(notice)
            case _:
                assert_never(effect)

    def _ender(self, run: Run) -> Spawner | Launcher:
        return self._launcher if self._launcher.has(run) else self._spawner

    def _arm(self, arm: Arm) -> None:
        def expire() -> None:
            self._supervisor.post(Expired(arm.run, arm.alarm, self._clock.time()))

        self._clock.call_later(arm.seconds, expire)

    def _probe(self, run: Run) -> None:
        """Ask for the health of a run; a probe of an older run of the app has nothing to say any more."""

        def answered(probe: asyncio.Future[None]) -> None:
            if not probe.cancelled():
                self._supervisor.post(Healthy(run, self._clock.time()))

        if older := self._probes.pop(run.app, None):
            older.cancel()
        self._probes[run.app] = self._healthy(run.app)
        self._probes[run.app].add_done_callback(answered)

"""Which parts may start: those that wait for nothing any more. A part of the pure core; ``devrun.step`` is its door.

Imports no asyncio, clock, logging or disk.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from devrun import command
from devrun.events import Effect
from devrun.life import UNFINISHED, Change, block, unblock
from devrun.state import (
    AppState,
    Backoff,
    Blocked,
    Broken,
    Cycle,
    Halted,
    Launching,
    Off,
    Serving,
    Snapshot,
    Waiting,
    put,
)


def start_waiting(snapshot: Snapshot, at: float) -> tuple[Snapshot, tuple[Effect, ...]]:
    """Start what waits in vain no more, and let the URL of an app say why it cannot start."""
    effects: tuple[Effect, ...] = ()
    for app in snapshot.apps.values():
        if isinstance(app.phase, (Waiting, Blocked)):
            changed, more = _look(snapshot, app, app.phase, at)
            snapshot, effects = put(snapshot, changed), (*effects, *more)
    for state in snapshot.commands.values():
        if not isinstance(state.phase, Waiting):
            continue
        rules = snapshot.command_rules[state.name]
        on = _not_ready(snapshot, rules.depends_on)
        if on or state.leaving:
            snapshot = put(snapshot, replace(state, phase=Waiting(on)))
        else:
            launched, more = command.launch(state, rules, Cycle("start", at))
            snapshot, effects = put(snapshot, launched), (*effects, *more)
    return snapshot, effects


def all_ready(snapshot: Snapshot) -> bool:
    """Say whether every part does what it is there for; what somebody has stopped is not waited for."""
    apps = (isinstance(state.phase, (Serving, Halted)) for state in snapshot.apps.values())
    commands = (command.is_ready(s.phase) or isinstance(s.phase, Off) for s in snapshot.commands.values())
    return all(apps) and all(commands)


def any_unfinished(snapshot: Snapshot) -> bool:
    """Say whether a part is still on its way up."""
    apps = (isinstance(state.phase, (Waiting, *UNFINISHED)) for state in snapshot.apps.values())
    commands = (isinstance(state.phase, (Waiting, Launching)) for state in snapshot.commands.values())
    return any(apps) or any(commands)


def _look(snapshot: Snapshot, app: AppState, phase: Waiting | Blocked, at: float) -> Change:
    on = _not_ready(snapshot, snapshot.rules[app.name].depends_on)
    if not on:
        return unblock(app, at)
    hindrance = next(((name, why) for name in on if (why := _hindrance(snapshot, name))), None)
    if hindrance is not None and isinstance(phase, Waiting):
        return block(app, on, *hindrance)
    return replace(app, phase=replace(phase, on=on)), ()


def _not_ready(snapshot: Snapshot, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not _was_ready(snapshot, name))


def _was_ready(snapshot: Snapshot, name: str) -> bool:
    """Say whether those may start who depend on this part: it was ready since somebody last started it."""
    app, other = snapshot.apps.get(name), snapshot.commands.get(name)
    if app is not None:
        phase = app.phase
        starting = isinstance(phase, (Waiting, Blocked, Halted)) or (
            isinstance(phase, UNFINISHED) and phase.cycle.cause == "start"
        )
        return app.was_ready and not starting
    return other is not None and command.is_ready(other.phase)


def _hindrance(snapshot: Snapshot, name: str) -> str | None:
    """Say what keeps those from starting who depend on this part; None if it is only a matter of time."""
    app, other = snapshot.apps.get(name), snapshot.commands.get(name)
    if app is not None:
        if isinstance(app.phase, Halted):
            return "is stopped"
        return "is broken" if isinstance(app.phase, (Broken, Backoff, Blocked)) else None
    return None if other is None else command.hindrance(other.phase)

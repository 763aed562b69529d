"""The pure core: ``step(snapshot, event) -> (snapshot, effects)``.

Owns every decision about what starts, waits, restarts and ends. Imports no asyncio, clock, logging or disk: time
comes inside the events, and what is to be done leaves as effects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from devrun.events import (
    Effect,
    Event,
    FilesChanged,
    Kill,
    Quit,
    RestartAsked,
    RunEvent,
    StackReady,
    StartPartsAsked,
    StopAsked,
    StopPartsAsked,
    Tell,
    UpAsked,
)
from devrun.life import UNFINISHED, Change, block, halt, of_leaving, of_newest, reload, retire, run_of, unblock, wake
from devrun.plan import Endpoint
from devrun.state import (
    AppRules,
    AppState,
    Backoff,
    Blocked,
    Broken,
    Cycle,
    Halted,
    Serving,
    Snapshot,
    Stopped,
    Waiting,
)

STOP_MARGIN = 0.5
"""Seconds beyond ``grace`` that a lifespan gets when the whole stack goes down."""
_HINDERING = (Broken, Backoff, Blocked, Halted)
"""What keeps those from starting who depend on an app that was never ready, or is stopped."""


def initial(
    stack: str,
    endpoints: Mapping[str, Endpoint],
    rules: Mapping[str, AppRules],
    externals: Mapping[str, Endpoint] | None = None,
) -> Snapshot:
    """Return the snapshot before anything has started."""
    externals = externals or {}
    apps = {name: AppState(name, Waiting(rule.depends_on)) for name, rule in rules.items()}
    return Snapshot(0, stack, {**endpoints, **externals}, apps, rules, externals=tuple(externals))


def step(snapshot: Snapshot, event: Event) -> tuple[Snapshot, tuple[Effect, ...]]:
    """Return the stack after ``event``, and what is to be done about it, in order."""
    before, effects = _apply(snapshot, event)
    if before is snapshot:  # most words only name files: nothing has become possible by them
        return replace(snapshot, seq=snapshot.seq + 1), effects
    after, more = _advance(before, event.at)
    return replace(after, seq=snapshot.seq + 1), (*effects, *more)


def _apply(snapshot: Snapshot, event: Event) -> tuple[Snapshot, tuple[Effect, ...]]:
    match event:
        case UpAsked():
            return replace(snapshot, stage="up"), ()
        case StopAsked():
            return _stop(snapshot)
        case RestartAsked():
            # What is stopped is started instead.
            cycle = Cycle("reload", event.at)
            return _each(snapshot, event.apps or _running(snapshot), lambda state, rules: _renew(state, rules, cycle))
        case StopPartsAsked():
            return _each(snapshot, event.apps, lambda state, rules: halt(state, rules.grace))
        case StartPartsAsked():
            return _each(snapshot, event.apps, wake)
        case FilesChanged():
            cycle = Cycle("reload", event.at, event.paths)
            return _each(snapshot, (event.app,), lambda state, rules: reload(state, rules, cycle))
        case _:
            return _hear(snapshot, event)


def _put(snapshot: Snapshot, *states: AppState) -> Snapshot:
    return replace(snapshot, apps={**snapshot.apps, **{state.name: state for state in states}})


def _hear(snapshot: Snapshot, event: RunEvent) -> tuple[Snapshot, tuple[Effect, ...]]:
    """Give word of a run to its app: of the newest run, of one that is leaving, or drop it."""
    state = snapshot.apps.get(event.run.app)
    if state is None:
        return snapshot, ()
    if event.run in state.leaving:
        changed, effects = of_leaving(state, event)
    elif event.run == run_of(state.phase):
        changed, effects = of_newest(snapshot, state, event)
    else:
        return snapshot, ()
    return snapshot if changed is state else _put(snapshot, changed), effects


def _each(
    snapshot: Snapshot, names: Sequence[str], change: Callable[[AppState, AppRules], Change]
) -> tuple[Snapshot, tuple[Effect, ...]]:
    """Change the apps with these names; strangers are passed over."""
    effects: tuple[Effect, ...] = ()
    for name in names:
        if name in snapshot.apps:
            state, more = change(snapshot.apps[name], snapshot.rules[name])
            snapshot, effects = _put(snapshot, state), (*effects, *more)
    return snapshot, effects


def _renew(state: AppState, rules: AppRules, cycle: Cycle) -> Change:
    return wake(state, rules) if isinstance(state.phase, Halted) else reload(state, rules, cycle)


def _running(snapshot: Snapshot) -> tuple[str, ...]:
    """The apps that nobody has stopped."""
    return tuple(name for name, state in snapshot.apps.items() if not isinstance(state.phase, Halted))


def _stop(snapshot: Snapshot) -> tuple[Snapshot, tuple[Effect, ...]]:
    if snapshot.stage in ("stopping", "killing"):
        runs = (run for state in snapshot.apps.values() for run in state.leaving)
        return replace(snapshot, stage="killing"), tuple(Kill(run) for run in runs)
    interrupted = snapshot.stage == "idle" or (
        snapshot.stage == "up" and any(isinstance(s.phase, (Waiting, *UNFINISHED)) for s in snapshot.apps.values())
    )
    states: list[AppState] = []
    effects: list[Effect] = []
    for state in snapshot.apps.values():
        left, retired = retire(state, snapshot.rules[state.name].grace + STOP_MARGIN)
        states.append(replace(left, phase=Stopped()))
        effects.extend(retired)
    return replace(_put(snapshot, *states), stage="stopping", exit_code=130 if interrupted else 0), tuple(effects)


def _advance(snapshot: Snapshot, at: float) -> tuple[Snapshot, tuple[Effect, ...]]:
    """Do what became possible: start apps whose dependencies are ready, tell that the stack is up, or quit."""
    match snapshot.stage:
        case "idle":
            return snapshot, ()
        case "stopping" | "killing":
            done = not any(state.leaving for state in snapshot.apps.values())
            return snapshot, (Quit(snapshot.exit_code),) if done else ()
        case "up" | "ready":
            started, effects = _start_waiting(snapshot, at)
            if started.stage == "up" and all(isinstance(s.phase, (Serving, Halted)) for s in started.apps.values()):
                ports = tuple((name, started.endpoints[name].port) for name in started.apps)
                return replace(started, stage="ready"), (*effects, Tell(StackReady(ports)))
            return started, effects
        case _:
            assert_never(snapshot.stage)


def _start_waiting(snapshot: Snapshot, at: float) -> tuple[Snapshot, tuple[Effect, ...]]:
    effects: tuple[Effect, ...] = ()
    for state in snapshot.apps.values():
        if not isinstance(state.phase, (Waiting, Blocked)):
            continue
        on = tuple(name for name in snapshot.rules[state.name].depends_on if not _was_ready(snapshot.apps[name]))
        culprit = next((snapshot.apps[name] for name in on if isinstance(snapshot.apps[name].phase, _HINDERING)), None)
        if not on:
            changed, more = unblock(state, at)
        elif culprit is not None and isinstance(state.phase, Waiting):
            changed, more = block(state, on, culprit)
        else:
            changed, more = replace(state, phase=replace(state.phase, on=on)), ()
        snapshot, effects = _put(snapshot, changed), (*effects, *more)
    return snapshot, effects


def _was_ready(state: AppState) -> bool:
    """Say whether those may start who depend on this app: it was ready since somebody last started it."""
    phase = state.phase
    starting = isinstance(phase, (Waiting, Blocked, Halted)) or (
        isinstance(phase, UNFINISHED) and phase.cycle.cause == "start"
    )
    return state.was_ready and not starting

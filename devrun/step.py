"""The pure core: ``step(snapshot, event) -> (snapshot, effects)``.

Owns every decision about what starts, waits, restarts and ends. Imports no asyncio, clock, logging or disk: time
comes inside the events, and what is to be done leaves as effects.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from devrun.events import (
    Alarm,
    AppBroken,
    AppExited,
    AppReady,
    AppReloading,
    Arm,
    Begin,
    Effect,
    Event,
    Exited,
    Expired,
    Failed,
    Failure,
    FilesChanged,
    Healthy,
    Imported,
    Kill,
    Loaded,
    Probe,
    Quit,
    RestartAsked,
    Run,
    RunEvent,
    Settle,
    Spawned,
    StackReady,
    Start,
    Started,
    StartPage,
    StopAsked,
    Tell,
    Terminate,
    UpAsked,
    Watch,
)
from devrun.plan import Endpoint
from devrun.state import (
    AppRules,
    AppState,
    Backoff,
    Beginning,
    Broken,
    Cycle,
    Holding,
    Importing,
    Phase,
    Probing,
    Serving,
    Snapshot,
    Stopped,
    Waiting,
)

STABLE_SECONDS = 10.0
"""A worker that served this long did not die of its start: the count of deaths begins anew."""
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STOP_MARGIN = 0.5
"""Seconds beyond ``grace`` that a lifespan gets when the whole stack goes down."""

_Change = tuple[AppState, tuple[Effect, ...]]
_UNFINISHED = (Importing, Holding, Beginning, Probing)


def initial(stack: str, endpoints: Mapping[str, Endpoint], rules: Mapping[str, AppRules]) -> Snapshot:
    """Return the snapshot before anything has started."""
    apps = {name: AppState(name, Waiting(rule.depends_on)) for name, rule in rules.items()}
    return Snapshot(0, stack, endpoints, apps, rules)


def step(snapshot: Snapshot, event: Event) -> tuple[Snapshot, tuple[Effect, ...]]:
    """Return the stack after ``event``, and what is to be done about it, in order."""
    before, effects = _apply(snapshot, event)
    after, more = _advance(before, event.at)
    return replace(after, seq=snapshot.seq + 1), (*effects, *more)


def _apply(snapshot: Snapshot, event: Event) -> tuple[Snapshot, tuple[Effect, ...]]:
    match event:
        case UpAsked():
            return replace(snapshot, stage="up"), ()
        case StopAsked():
            return _stop(snapshot)
        case RestartAsked():
            return _reload_each(snapshot, event.apps or tuple(snapshot.apps), Cycle("reload", event.at))
        case FilesChanged():
            return _reload_each(snapshot, (event.app,), Cycle("reload", event.at, event.paths))
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
        changed, effects = _of_leaving(state, event)
    elif event.run == run_of(state.phase):
        changed, effects = _of_newest(snapshot, state, event)
    else:
        return snapshot, ()
    return _put(snapshot, changed), effects


def _of_leaving(state: AppState, event: RunEvent) -> _Change:
    match event:
        case Exited():
            return _begin_if_alone(replace(state, leaving=tuple(r for r in state.leaving if r != event.run)))
        case Expired(alarm=Alarm.KILL):
            return state, (Kill(event.run),)
        case _:
            return state, ()


def _of_newest(snapshot: Snapshot, state: AppState, event: RunEvent) -> _Change:
    match event:
        case Spawned():
            return replace(state, phase=_with_pid(state.phase, event.pid)), ()
        case Loaded():
            return state, (Watch(event.run, event.files),)
        case Imported():
            return _imported(state)
        case Started():
            return _started(snapshot, state, event)
        case Healthy():
            return _healthy(snapshot, state, event)
        case Failed():
            return _failed(state, event)
        case Exited():
            return _died(state, event)
        case Expired():
            return _retry(state, event.at)
        case _:
            assert_never(event)


# --- one app, one event ---------------------------------------------------------------------------------------------


def _imported(state: AppState) -> _Change:
    if not isinstance(state.phase, Importing):
        return state, ()
    phase = state.phase
    return _begin_if_alone(replace(state, phase=Holding(phase.run, phase.pid, phase.cycle)))


def _begin_if_alone(state: AppState) -> _Change:
    """Two lifespans of one app never overlap: a worker begins when every older one is gone."""
    phase = state.phase
    if not isinstance(phase, Holding) or state.leaving:
        return state, ()
    return replace(state, phase=Beginning(phase.run, phase.pid, phase.cycle)), (Begin(phase.run),)


def _started(snapshot: Snapshot, state: AppState, event: Started) -> _Change:
    phase = state.phase
    if not isinstance(phase, Beginning):
        return state, ()
    if snapshot.rules[state.name].health:
        return replace(state, phase=Probing(phase.run, phase.pid, phase.cycle)), (Probe(phase.run),)
    return _ready(snapshot, state, phase, event.at)


def _healthy(snapshot: Snapshot, state: AppState, event: Healthy) -> _Change:
    if not isinstance(state.phase, Probing):
        return state, ()
    return _ready(snapshot, state, state.phase, event.at)


def _ready(snapshot: Snapshot, state: AppState, phase: Beginning | Probing, at: float) -> _Change:
    seconds = at - phase.cycle.since
    reloaded = phase.cycle.cause == "reload"
    ready = replace(
        state,
        phase=Serving(phase.run, phase.pid, at),
        reloads=state.reloads + reloaded,
        reload_seconds=seconds if reloaded else state.reload_seconds,
        was_ready=True,
    )
    notice = AppReady(state.name, snapshot.endpoints[state.name].url, seconds, first=not state.was_ready)
    return ready, (Settle(phase.run), Tell(notice))


def _failed(state: AppState, event: Failed) -> _Change:
    if not isinstance(state.phase, _UNFINISHED):
        return state, ()
    broken = Broken(event.run, state.phase.pid, event.failure, event.at)
    return replace(state, phase=broken), (Tell(AppBroken(state.name, event.failure)),)


def _died(state: AppState, event: Exited) -> _Change:
    """Restart a worker that died unasked: at once the first time, then with a growing delay behind a 503 page."""
    phase = state.phase
    if isinstance(phase, Backoff):  # only the page process went: its timer still runs
        return replace(state, phase=replace(phase, pid=None)), ()
    stable = isinstance(phase, Serving) and event.at - phase.since >= STABLE_SECONDS
    deaths = 1 if stable else state.deaths + 1
    died = replace(state, deaths=deaths, last_death=ending(event.code))
    delay = 0.0 if deaths == 1 else min(FIRST_DELAY * 2 ** min(deaths - 2, 16), LONGEST_DELAY)
    told = Tell(AppExited(state.name, event.code, event.tail, delay))
    if not delay:
        started, effects = _start(died, Cycle("death", event.at))
        return started, (told, *effects)
    failure = Failure("died", f"the worker ended with {ending(event.code)}", "\n".join(event.tail))
    run = Run(state.name, state.generation + 1)
    backoff = Backoff(run, None, failure, event.at, event.at + delay)
    effects = (told, Tell(AppBroken(state.name, failure)), StartPage(run, failure), Arm(run, Alarm.RETRY, delay))
    return replace(died, phase=backoff, generation=run.generation), effects


def _retry(state: AppState, at: float) -> _Change:
    if not isinstance(state.phase, Backoff):
        return state, ()
    return _replace(state, Cycle("death", at), grace=0.0)


def _reload(state: AppState, rules: AppRules, cycle: Cycle) -> _Change:
    """Replace the newest run, whatever it does: the newest save wins."""
    phase = state.phase
    if isinstance(phase, (Waiting, Stopped)):
        return state, ()
    fresh, effects = _replace(replace(state, deaths=0), cycle, rules.grace)
    if isinstance(phase, _UNFINISHED) and phase.cycle.cause == "reload":
        return fresh, effects  # the reload that is under way goes on with the newer files
    return fresh, (Tell(AppReloading(state.name, cycle.paths)), *effects)


def _replace(state: AppState, cycle: Cycle, grace: float) -> _Change:
    leaving, retired = _retire(state, grace)
    fresh, started = _start(leaving, cycle)
    return fresh, (*retired, *started)


def _start(state: AppState, cycle: Cycle) -> _Change:
    run = Run(state.name, state.generation + 1)
    return replace(state, phase=Importing(run, None, cycle), generation=run.generation), (Start(run),)


def _retire(state: AppState, grace: float) -> _Change:
    """Ask the newest run to end; its phase is the caller's to replace."""
    phase = state.phase
    match phase:
        case Waiting() | Stopped():
            return state, ()
        case Importing() | Holding() | Backoff():  # no lifespan has begun: nothing to wait for
            effects: tuple[Effect, ...] = (Kill(phase.run),)
        case Beginning() | Probing() | Serving() | Broken():
            effects = (Terminate(phase.run), Arm(phase.run, Alarm.KILL, grace))
        case _:
            assert_never(phase)
    return replace(state, leaving=(*state.leaving, phase.run)), effects


# --- the whole stack ------------------------------------------------------------------------------------------------


def _reload_each(snapshot: Snapshot, names: Sequence[str], cycle: Cycle) -> tuple[Snapshot, tuple[Effect, ...]]:
    effects: tuple[Effect, ...] = ()
    for name in names:
        if name in snapshot.apps:
            state, more = _reload(snapshot.apps[name], snapshot.rules[name], cycle)
            snapshot, effects = _put(snapshot, state), (*effects, *more)
    return snapshot, effects


def _stop(snapshot: Snapshot) -> tuple[Snapshot, tuple[Effect, ...]]:
    if snapshot.stage in ("stopping", "killing"):
        runs = (run for state in snapshot.apps.values() for run in state.leaving)
        return replace(snapshot, stage="killing"), tuple(Kill(run) for run in runs)
    interrupted = snapshot.stage == "idle" or (
        snapshot.stage == "up" and any(isinstance(s.phase, (Waiting, *_UNFINISHED)) for s in snapshot.apps.values())
    )
    states: list[AppState] = []
    effects: list[Effect] = []
    for state in snapshot.apps.values():
        left, retired = _retire(state, snapshot.rules[state.name].grace + STOP_MARGIN)
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
            if started.stage == "up" and all(isinstance(s.phase, Serving) for s in started.apps.values()):
                ports = tuple((name, endpoint.port) for name, endpoint in started.endpoints.items())
                return replace(started, stage="ready"), (*effects, Tell(StackReady(ports)))
            return started, effects
        case _:
            assert_never(snapshot.stage)


def _start_waiting(snapshot: Snapshot, at: float) -> tuple[Snapshot, tuple[Effect, ...]]:
    effects: tuple[Effect, ...] = ()
    for state in snapshot.apps.values():
        if not isinstance(state.phase, Waiting):
            continue
        on = tuple(name for name in snapshot.rules[state.name].depends_on if not snapshot.apps[name].was_ready)
        if on:
            snapshot = _put(snapshot, replace(state, phase=Waiting(on)))
        else:
            started, more = _start(state, Cycle("start", at))
            snapshot, effects = _put(snapshot, started), (*effects, *more)
    return snapshot, effects


# --- small questions ------------------------------------------------------------------------------------------------


def run_of(phase: Phase) -> Run | None:
    """Return the run that a phase is about."""
    return None if isinstance(phase, (Waiting, Stopped)) else phase.run


def _with_pid(phase: Phase, pid: int) -> Phase:
    return phase if isinstance(phase, (Waiting, Stopped)) else replace(phase, pid=pid)


def ending(code: int) -> str:
    """Say in a few words how a process ended: ``exit code 3``, ``signal SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"

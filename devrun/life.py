"""One app's life: what each event does to it. A part of the pure core; ``devrun.step`` is its door.

Imports no asyncio, clock, logging or disk.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from devrun.events import (
    Alarm,
    AppBroken,
    AppExited,
    AppPaused,
    AppReady,
    AppReloading,
    AppResumed,
    AppStopped,
    Arm,
    Begin,
    Effect,
    Exited,
    Expired,
    Failed,
    Failure,
    Healthy,
    Imported,
    Kill,
    Listening,
    Loaded,
    Paused,
    Probe,
    Resumed,
    Run,
    RunEvent,
    Settle,
    Spawned,
    Start,
    Started,
    StartPage,
    Tell,
    Terminate,
    Warned,
    Watch,
)
from devrun.notices import overdue
from devrun.phases import FIRST_DELAY, STABLE_SECONDS, ending, pause_after, with_pid
from devrun.state import (
    AppRules,
    AppState,
    Backoff,
    Beginning,
    Blocked,
    Broken,
    Cycle,
    Doubtful,
    Halted,
    Holding,
    Importing,
    Pause,
    Probing,
    Serving,
    Snapshot,
    Stopped,
    Waiting,
)

OWN_FAULTS = ("SyntaxError", "IndentationError", "TabError", "ModuleNotFoundError", "NameError")
"""What an import raises whatever other processes do."""

Change = tuple[AppState, tuple[Effect, ...]]
PAGE_SECONDS = 1.0
"""What a process that answers 503 gets to finish its answers, at least."""
UNFINISHED = (Importing, Doubtful, Holding, Beginning, Probing)


def of_leaving(state: AppState, event: RunEvent) -> Change:
    match event:
        case Exited():
            return _begin_if_alone(replace(state, leaving=tuple(r for r in state.leaving if r != event.run)))
        case Expired(alarm=Alarm.KILL):
            return state, (Kill(event.run), Tell(overdue(state.name)))
        case _:
            return state, ()


def of_newest(snapshot: Snapshot, state: AppState, event: RunEvent) -> Change:
    match event:
        case Spawned():
            return replace(state, phase=with_pid(state.phase, event.pid)), ()
        case Loaded():
            return state, (Watch(event.run, event.files),)
        case Imported() | Started() | Healthy():
            return _on_its_way(snapshot, state, event)
        case Failed():
            return _failed(state, event)
        case Exited():
            return _died(replace(state, pause=None), event)
        case Paused() | Resumed():
            return _debugged(state, snapshot.rules[state.name], event)
        case Expired():
            return _retry(state, event.at)
        case Listening():  # a command's word
            return state, ()
        case _:
            assert_never(event)


def _on_its_way(snapshot: Snapshot, state: AppState, event: Imported | Started | Healthy) -> Change:
    match event:
        case Imported():
            return _imported(state)
        case Started():
            return _started(snapshot, state, event)
        case Healthy():
            return _healthy(snapshot, state, event)
        case _:
            assert_never(event)


def _imported(state: AppState) -> Change:
    if not isinstance(state.phase, Importing):
        return state, ()
    phase = state.phase
    return _begin_if_alone(replace(state, phase=Holding(phase.run, phase.pid, phase.cycle)))


def _begin_if_alone(state: AppState) -> Change:
    """Two lifespans of one app never overlap: a worker begins when every older one is gone."""
    phase = state.phase
    if isinstance(phase, Halted) and not state.leaving:
        return state, (Tell(AppStopped(state.name)),)
    if isinstance(phase, Doubtful) and not state.leaving:
        return _replace(state, phase.cycle, grace=0.0)
    if not isinstance(phase, Holding) or state.leaving:
        return state, ()
    return replace(state, phase=Beginning(phase.run, phase.pid, phase.cycle)), (Begin(phase.run),)


def _started(snapshot: Snapshot, state: AppState, event: Started) -> Change:
    phase = state.phase
    if not isinstance(phase, Beginning):
        return state, ()
    if snapshot.rules[state.name].health:
        return replace(state, phase=Probing(phase.run, phase.pid, phase.cycle)), (Probe(phase.run),)
    return _ready(snapshot, state, phase, event.at)


def _healthy(snapshot: Snapshot, state: AppState, event: Healthy) -> Change:
    if not isinstance(state.phase, Probing):
        return state, ()
    return _ready(snapshot, state, state.phase, event.at)


def _ready(snapshot: Snapshot, state: AppState, phase: Beginning | Probing, at: float) -> Change:
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


def _failed(state: AppState, event: Failed) -> Change:
    if not isinstance(state.phase, UNFINISHED):
        return state, ()
    if isinstance(state.phase, Importing) and state.leaving and _may_be_others_fault(event.failure):
        return replace(state, phase=Doubtful(event.run, state.phase.pid, state.phase.cycle)), ()
    broken = Broken(event.run, state.phase.pid, event.failure, event.at)
    return replace(state, phase=broken), (Tell(AppBroken(state.name, event.failure)),)


def _may_be_others_fault(failure: Failure) -> bool:
    return failure.kind == "import" and not failure.summary.startswith(OWN_FAULTS)


def _died(state: AppState, event: Exited) -> Change:
    """Restart a worker that died unasked: at once the first time, then with a growing delay behind a 503 page."""
    phase = state.phase
    if isinstance(phase, (Backoff, Blocked)):  # only the page process went; what ends this phase is still to come
        return replace(state, phase=replace(phase, pid=None)), ()
    if isinstance(phase, Halted):  # nothing is to come: the page itself has to
        return replace(state, phase=replace(phase, pid=None)), (Arm(phase.run, Alarm.RETRY, FIRST_DELAY),)
    stable = isinstance(phase, Serving) and event.at - phase.since >= STABLE_SECONDS
    deaths = 1 if stable else state.deaths + 1
    died = replace(state, deaths=deaths, last_death=ending(event.code))
    delay = pause_after(deaths)
    told = Tell(AppExited(state.name, event.code, event.tail, delay))
    if not delay:
        started, effects = start(died, Cycle("death", event.at))
        return started, (told, *effects)
    failure = Failure("died", f"the worker ended with {ending(event.code)}", "\n".join(event.tail))
    run = Run(state.name, state.generation + 1)
    backoff = Backoff(run, None, failure, event.at, event.at + delay)
    effects = (told, Tell(AppBroken(state.name, failure)), StartPage(run, failure), Arm(run, Alarm.RETRY, delay))
    return replace(died, phase=backoff, generation=run.generation), effects


def _debugged(state: AppState, rules: AppRules, event: Paused | Resumed) -> Change:
    match event:
        case Paused():
            return _paused(state, event)
        case Resumed():
            return _resumed(state, rules, event)
        case _:
            assert_never(event)


def _paused(state: AppState, event: Paused) -> Change:
    """Note where it is, at each step; tell it once."""
    told = () if state.pause is not None else (Tell(AppPaused(state.name, event.place, event.by)),)
    held = None if state.pause is None else state.pause.held
    return replace(state, pause=Pause(event.place, held, event.by)), told


def _resumed(state: AppState, rules: AppRules, event: Resumed) -> Change:
    if state.pause is None:
        return state, ()
    running, told = replace(state, pause=None), Tell(AppResumed(state.name))
    if state.pause.held is None:
        return running, (told,)
    fresh, effects = reload(running, rules, replace(state.pause.held, since=event.at))
    return fresh, (told, *effects)


def _hold(state: AppState, pause: Pause, cycle: Cycle) -> Change:
    """Nobody wants to lose what is on the debugger's screen: a save is applied when the app runs on."""
    paths = () if pause.held is None else pause.held.paths
    held = replace(cycle, paths=tuple(dict.fromkeys((*paths, *cycle.paths))))
    told = Tell(Warned(f"stopped at {pause.place}: reloads when it runs on", state.name))
    return replace(state, pause=replace(pause, held=held)), () if pause.held is not None else (told,)


def _retry(state: AppState, at: float) -> Change:
    if isinstance(state.phase, Halted):
        return _stay_down(state)
    if not isinstance(state.phase, Backoff):
        return state, ()
    return _replace(state, Cycle("death", at), grace=0.0)


def reload(state: AppState, rules: AppRules, cycle: Cycle) -> Change:
    """Replace the newest run, whatever it does: the newest save wins."""
    phase = state.phase
    if isinstance(phase, (Waiting, Blocked, Halted, Stopped)):
        return state, ()
    if state.pause is not None and cycle.paths:  # without paths somebody has asked for it, and knows
        return _hold(state, state.pause, cycle)
    fresh, effects = _replace(replace(state, deaths=0), cycle, rules.grace)
    if isinstance(phase, UNFINISHED) and phase.cycle.cause == "reload":
        return fresh, effects  # the reload that is under way goes on with the newer files
    return fresh, (Tell(AppReloading(state.name, cycle.paths)), *effects)


def rebuild(state: AppState, rules: AppRules, cycle: Cycle) -> Change:
    """Start anew as another config says; of an app that does not run, the page that says so."""
    match state.phase:
        case Blocked():
            left, retired = retire(state, rules.grace)
            return replace(left, phase=Waiting(rules.depends_on)), retired
        case Halted():
            left, retired = retire(state, rules.grace)
            halted, page = _stay_down(left)
            return halted, (*retired, *page)
        case _:
            return reload(state, rules, cycle)


def halt(state: AppState, grace: float) -> Change:
    """End the newest run; the app stays down until somebody starts it, and its URL says so."""
    if isinstance(state.phase, (Halted, Stopped)):
        return state, ()
    left, retired = retire(state, grace)
    halted, page = _stay_down(replace(left, deaths=0))
    told = () if halted.leaving else (Tell(AppStopped(state.name)),)
    return halted, (*retired, *page, *told)


def _stay_down(state: AppState) -> Change:
    run = Run(state.name, state.generation + 1)
    summary = f"`devrun start {state.name}` starts it again"
    failure = Failure("stopped", summary, summary)
    return replace(state, phase=Halted(run, None), generation=run.generation), (StartPage(run, failure),)


def wake(state: AppState, rules: AppRules) -> Change:
    """Let an app that was stopped start again, as soon as what it depends on is ready."""
    if not isinstance(state.phase, Halted):
        return state, ()
    left, retired = retire(state, rules.grace)
    return replace(left, phase=Waiting(rules.depends_on)), retired


def block(state: AppState, on: tuple[str, ...], culprit: str, why: str) -> Change:
    """Answer 503 for an app that cannot start: no URL hangs because of broken code, be it another part's."""
    run = Run(state.name, state.generation + 1)
    reason = f"{state.name} waits for {culprit}, which {why}"
    failure = Failure("waiting", reason, f"{reason}. It starts when {culprit} is ready.")
    return replace(state, phase=Blocked(run, None, on), generation=run.generation), (StartPage(run, failure),)


def unblock(state: AppState, at: float) -> Change:
    """Start an app that has waited: what it depends on is ready."""
    return _replace(state, Cycle("start", at), grace=0.0)


def _replace(state: AppState, cycle: Cycle, grace: float) -> Change:
    leaving, retired = retire(state, grace)
    fresh, started = start(leaving, cycle)
    return fresh, (*retired, *started)


def start(state: AppState, cycle: Cycle) -> Change:
    run = Run(state.name, state.generation + 1)
    return replace(state, phase=Importing(run, None, cycle), generation=run.generation), (Start(run, cycle.paths),)


def retire(state: AppState, grace: float) -> Change:
    """Ask the newest run to end; its phase is the caller's to replace."""
    phase = state.phase
    match phase:
        case Waiting() | Stopped():
            return state, ()
        case Blocked() | Importing() | Holding() | Backoff():  # no lifespan has begun: nothing to wait for
            effects: tuple[Effect, ...] = (Kill(phase.run),)
        case Doubtful():  # it answers with its failure already: who has asked gets an answer
            effects = (Terminate(phase.run), Arm(phase.run, Alarm.KILL, max(grace, PAGE_SECONDS)))
        case Beginning() | Probing() | Serving() | Broken() | Halted():
            effects = (Terminate(phase.run), Arm(phase.run, Alarm.KILL, grace))
        case _:
            assert_never(phase)
    return replace(state, leaving=(*state.leaving, phase.run), pause=None), effects

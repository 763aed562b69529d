"""One command's life: what each event does to it. A part of the pure core; ``devrun.step`` is its door.

Unlike a worker, a command is never held back in the middle: it runs or it does not, and two of its runs never overlap,
for both would want the same port. Imports no asyncio, clock, logging or disk.
"""

from __future__ import annotations

from msgspec.structs import replace

from devrun.events import (
    Alarm,
    AppExited,
    AppReady,
    AppReloading,
    AppStopped,
    Arm,
    Effect,
    Exited,
    Expired,
    Kill,
    Launch,
    Listening,
    Run,
    RunEvent,
    Spawned,
    Tell,
    Terminate,
)
from devrun.notices import overdue
from devrun.phases import STABLE_SECONDS, ending, pause_after
from devrun.plan import CommandRules, Endpoint
from devrun.state import (
    CommandPhase,
    CommandState,
    Cycle,
    Ended,
    Launching,
    Off,
    Resting,
    Running,
    Stopped,
    Waiting,
)

SETTLE_SECONDS = 3.0
"""A command without ``port`` that has run this long and does not listen is one that never will: a queue worker."""

CommandChange = tuple[CommandState, tuple[Effect, ...]]


def of_leaving(state: CommandState, event: RunEvent) -> CommandChange:
    match event:
        case Exited():
            left = replace(state, leaving=tuple(run for run in state.leaving if run != event.run))
            told = isinstance(left.phase, Off) and not left.leaving
            return left, (Tell(AppStopped(state.name)),) if told else ()
        case Expired(alarm=Alarm.KILL):
            return state, (Kill(event.run), Tell(overdue(state.name)))
        case _:
            return state, ()


def of_newest(state: CommandState, rules: CommandRules, event: RunEvent) -> CommandChange:
    phase = state.phase
    match event, phase:
        case Spawned(), Launching() | Running():
            return replace(state, phase=replace(phase, pid=event.pid)), ()
        case Listening(), Launching() | Running():
            return _ready(state, phase, event.endpoint, event.at)
        case Expired(alarm=Alarm.SETTLE), Launching():
            return _ready(state, phase, None, event.at)
        case Expired(alarm=Alarm.RETRY), Resting():
            return launch(state, rules, Cycle("death", event.at))
        case Exited(), Launching() | Running():
            return _ended(state, rules, event)
        case _:
            return state, ()


def _ready(state: CommandState, phase: Launching | Running, endpoint: Endpoint | None, at: float) -> CommandChange:
    since = phase.since if isinstance(phase, Running) else at
    url = None if endpoint is None else endpoint.url
    told = AppReady(state.name, url, at - phase.cycle.since, first=not state.was_ready)
    return replace(state, phase=Running(phase.run, phase.pid, phase.cycle, since), was_ready=True), (Tell(told),)


def _ended(state: CommandState, rules: CommandRules, event: Exited) -> CommandChange:
    """Let it be, or start it again: at once the first time, then with a growing delay."""
    phase = state.phase
    stable = isinstance(phase, Running) and event.at - phase.since >= STABLE_SECONDS
    deaths = 1 if stable else state.deaths + 1
    died = replace(state, deaths=deaths, last_death=ending(event.code))
    again = rules.restart == "always" or (rules.restart == "on-failure" and event.code != 0)
    if not again:
        told = Tell(AppExited(state.name, event.code, event.tail, None))
        done = replace(died, phase=Ended(event.code, event.at), was_ready=state.was_ready or event.code == 0)
        return done, (told,)
    delay = pause_after(deaths)
    told = Tell(AppExited(state.name, event.code, event.tail, delay))
    if not delay:
        started, effects = launch(died, rules, Cycle("death", event.at))
        return started, (told, *effects)
    resting = Resting(event.run, event.code, event.at, event.at + delay)
    return replace(died, phase=resting), (told, Arm(event.run, Alarm.RETRY, delay))


def launch(state: CommandState, rules: CommandRules, cycle: Cycle) -> CommandChange:
    """Start it. No older run of it may be left."""
    run = Run(state.name, state.generation + 1)
    settle = () if rules.promised is not None else (Arm(run, Alarm.SETTLE, SETTLE_SECONDS),)
    return replace(state, phase=Launching(run, None, cycle), generation=run.generation), (Launch(run), *settle)


def renew(state: CommandState, rules: CommandRules, cycle: Cycle) -> CommandChange:
    """End the newest run and start another, whatever the command does: somebody asked, or its config changed."""
    if isinstance(state.phase, Waiting | Stopped):
        return state, ()
    left, retired = retire(replace(state, deaths=0), rules.grace)
    told = AppReloading(state.name, cycle.paths)
    return replace(left, phase=Waiting(())), (Tell(told), *retired)


def halt(state: CommandState, grace: float) -> CommandChange:
    """End the newest run; the command stays down until somebody starts it."""
    if isinstance(state.phase, Off | Stopped):
        return state, ()
    left, retired = retire(replace(state, deaths=0), grace)
    told = () if left.leaving else (Tell(AppStopped(state.name)),)
    return replace(left, phase=Off()), (*retired, *told)


def wake(state: CommandState, rules: CommandRules) -> CommandChange:
    """Let a command that was stopped, or has ended, start again."""
    down = isinstance(state.phase, Off | Ended)
    return replace(state, phase=Waiting(rules.depends_on)) if down else state, ()


def retire(state: CommandState, grace: float) -> CommandChange:
    """Ask the newest run to end; its phase is the caller's to replace."""
    phase = state.phase
    if not isinstance(phase, Launching | Running):
        return state, ()
    effects = (Terminate(phase.run), Arm(phase.run, Alarm.KILL, grace))
    return replace(state, leaving=(*state.leaving, phase.run)), effects


def run_of(phase: CommandPhase) -> Run | None:
    """Return the run that a phase is about."""
    return phase.run if isinstance(phase, Launching | Running | Resting) else None


def hindrance(phase: CommandPhase) -> str | None:
    """Say what keeps those from starting who depend on the command; None if it is only a matter of time."""
    match phase:
        case Off():
            return "is stopped"
        case Resting(code=code) | Ended(code=code) if code != 0:
            return f"ended with {ending(code)}"
        case _:
            return None


def is_ready(phase: CommandPhase) -> bool:
    """Say whether the command does what it is there for, or has done it."""
    return isinstance(phase, Running) or (isinstance(phase, Ended) and phase.code == 0)

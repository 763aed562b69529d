"""The pure core: ``step(snapshot, event) -> (snapshot, effects)``.

Owns every decision about what starts, waits, restarts and ends. Imports no asyncio, clock, logging or disk: time
comes inside the events, and what is to be done leaves as effects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import assert_never

from msgspec.structs import replace

from devrun import command
from devrun.events import (
    Effect,
    Event,
    Exited,
    FilesChanged,
    Kill,
    Listening,
    Quit,
    Reconfigured,
    RestartAsked,
    Run,
    RunEvent,
    StackReady,
    StartPartsAsked,
    StopAsked,
    StopPartsAsked,
    Tell,
    UpAsked,
)
from devrun.life import Change, halt, of_leaving, of_newest, reload, retire, wake
from devrun.phases import run_of
from devrun.plan import CommandRules, Endpoint
from devrun.reconfigure import forget_gone, reconfigure
from devrun.state import (
    AppRules,
    AppState,
    CommandState,
    Cycle,
    Ended,
    Halted,
    Off,
    Running,
    Snapshot,
    Stopped,
    Waiting,
    moved,
    put,
)
from devrun.waiting import all_ready, any_unfinished, start_waiting

Step = tuple[Snapshot, tuple[Effect, ...]]

STOP_MARGIN = 0.5
"""Seconds beyond ``grace`` that a lifespan gets when the whole stack goes down."""


def initial(
    stack: str,
    endpoints: Mapping[str, Endpoint],
    rules: Mapping[str, AppRules],
    commands: Mapping[str, CommandRules] = MappingProxyType({}),
    externals: tuple[str, ...] = (),
) -> Snapshot:
    """Return the snapshot before anything has started. ``endpoints``: all that are known."""
    return Snapshot(
        0,
        stack,
        endpoints,
        {name: AppState(name, Waiting(rule.depends_on)) for name, rule in rules.items()},
        rules,
        commands={name: CommandState(name, Waiting(rule.depends_on)) for name, rule in commands.items()},
        command_rules=commands,
        externals=externals,
    )


def step(snapshot: Snapshot, event: Event) -> Step:
    """Return the stack after ``event``, and what is to be done about it, in order."""
    before, effects = _apply(snapshot, event)
    if before is snapshot:  # most words only name files: nothing has become possible by them
        return replace(snapshot, seq=snapshot.seq + 1), effects
    after, more = _advance(before, event.at)
    return replace(after, seq=snapshot.seq + 1), (*effects, *more)


def _apply(snapshot: Snapshot, event: Event) -> Step:
    match event:
        case UpAsked():
            return replace(snapshot, stage="up"), ()
        case StopAsked():
            return _stop(snapshot)
        case RestartAsked():
            # What is stopped is started instead.
            cycle = Cycle("reload", event.at)
            names = event.apps or _running(snapshot)
            apps, effects = _each(snapshot, names, lambda state, rules: _renew(state, rules, cycle))
            return _and(effects, _each_command(apps, names, lambda state, rules: command.renew(state, rules, cycle)))
        case StopPartsAsked():
            apps, effects = _each(snapshot, event.apps, lambda state, rules: halt(state, rules.grace))
            return _and(effects, _each_command(apps, event.apps, lambda state, rules: command.halt(state, rules.grace)))
        case StartPartsAsked():
            apps, effects = _each(snapshot, event.apps, wake)
            return _and(effects, _each_command(apps, event.apps, command.wake))
        case Reconfigured():
            return (snapshot, ()) if snapshot.stage in ("stopping", "killing") else reconfigure(snapshot, event)
        case FilesChanged():
            cycle = Cycle("reload", event.at, event.paths)
            return _each(snapshot, (event.app,), lambda state, rules: reload(state, rules, cycle))
        case _:
            return _hear(snapshot, event)


def _hear(snapshot: Snapshot, event: RunEvent) -> Step:
    """Give word of a run to its part: of the newest run, of one that is leaving, or drop it."""
    name, run = event.run.app, event.run
    app, state = snapshot.apps.get(name), snapshot.commands.get(name)
    if app is not None and (run in app.leaving or run == run_of(app.phase)):
        changed, effects = of_leaving(app, event) if run in app.leaving else of_newest(snapshot, app, event)
        after = snapshot if changed is app else put(snapshot, changed)
    elif state is not None and (run in state.leaving or run == command.run_of(state.phase)):
        after, effects = _hear_command(snapshot, state, event)
    else:
        return snapshot, ()
    if isinstance(event, Exited):
        return _and(effects, forget_gone(after))
    return after, effects


def _hear_command(snapshot: Snapshot, state: CommandState, event: RunEvent) -> Step:
    if event.run in state.leaving:
        changed, effects = command.of_leaving(state, event)
        return put(snapshot, changed), effects
    rules = snapshot.command_rules[state.name]
    changed, effects = command.of_newest(state, rules, event)
    after = snapshot if changed is state else put(snapshot, changed)
    match event, changed.phase:
        case Listening(), Running():
            return moved(after, state.name, event.endpoint), effects
        case Exited(), Ended():
            return moved(after, state.name, rules.promised), effects
        case _:
            return after, effects


def _and(before: tuple[Effect, ...], then: Step) -> Step:
    return then[0], (*before, *then[1])


def _each(snapshot: Snapshot, names: Sequence[str], change: Callable[[AppState, AppRules], Change]) -> Step:
    """Change the apps with these names; strangers are passed over."""
    effects: tuple[Effect, ...] = ()
    for name in names:
        if name in snapshot.rules:
            state, more = change(snapshot.apps[name], snapshot.rules[name])
            snapshot, effects = put(snapshot, state), (*effects, *more)
    return snapshot, effects


def _each_command(
    snapshot: Snapshot, names: Sequence[str], change: Callable[[CommandState, CommandRules], command.CommandChange]
) -> Step:
    effects: tuple[Effect, ...] = ()
    for name in names:
        if name in snapshot.command_rules:
            rules = snapshot.command_rules[name]
            state, more = change(snapshot.commands[name], rules)
            snapshot, effects = put(snapshot, state), (*effects, *more)
            if isinstance(state.phase, Off):
                snapshot = moved(snapshot, name, rules.promised)
    return snapshot, effects


def _renew(state: AppState, rules: AppRules, cycle: Cycle) -> Change:
    return wake(state, rules) if isinstance(state.phase, Halted) else reload(state, rules, cycle)


def _running(snapshot: Snapshot) -> tuple[str, ...]:
    """The apps that nobody has stopped."""
    return tuple(name for name, state in snapshot.apps.items() if not isinstance(state.phase, Halted))


def _stop(snapshot: Snapshot) -> Step:
    if snapshot.stage in ("stopping", "killing"):
        return replace(snapshot, stage="killing"), tuple(Kill(run) for run in _leaving(snapshot))
    states: list[AppState | CommandState] = []
    effects: list[Effect] = []
    for app in snapshot.apps.values():
        rules = snapshot.rules.get(app.name)
        left, retired = (app, ()) if rules is None else retire(app, rules.grace + STOP_MARGIN)
        states.append(replace(left, phase=Stopped()))
        effects.extend(retired)
    for state in snapshot.commands.values():
        asked = snapshot.command_rules.get(state.name)
        ending, retired = (state, ()) if asked is None else command.retire(state, asked.grace)
        states.append(replace(ending, phase=Stopped()))
        effects.extend(retired)
    return replace(put(snapshot, *states), stage="stopping", exit_code=_exit_code(snapshot)), tuple(effects)


def _leaving(snapshot: Snapshot) -> tuple[Run, ...]:
    """The runs that are not gone yet."""
    apps = (run for state in snapshot.apps.values() for run in state.leaving)
    return (*apps, *(run for state in snapshot.commands.values() for run in state.leaving))


def _exit_code(snapshot: Snapshot) -> int:
    """130: it was not up yet. 1: a command has failed for good."""
    if snapshot.stage == "idle" or (snapshot.stage == "up" and any_unfinished(snapshot)):
        return 130
    return int(any(isinstance(s.phase, Ended) and s.phase.code != 0 for s in snapshot.commands.values()))


def _advance(snapshot: Snapshot, at: float) -> Step:
    """Do what became possible: start what waited for others, tell that the stack is up, or quit."""
    match snapshot.stage:
        case "idle":
            return snapshot, ()
        case "stopping" | "killing":
            return snapshot, () if _leaving(snapshot) else (Quit(snapshot.exit_code),)
        case "up" | "ready":
            started, effects = start_waiting(snapshot, at)
            if started.stage == "up" and all_ready(started):
                parts = (*started.apps, *started.commands)
                ports = tuple((name, started.endpoints[name].port) for name in parts if name in started.endpoints)
                return replace(started, stage="ready"), (*effects, Tell(StackReady(ports)))
            return started, effects
        case _:
            assert_never(snapshot.stage)

"""What a changed config does to a running stack: parts come, go and start anew; the others are not touched.

A part of the pure core; ``devrun.step`` is its door. Imports no asyncio, clock, logging or disk.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from devrun import command, life
from devrun.events import AppStopped, Effect, Reconfigured, Tell
from devrun.plan import Endpoint
from devrun.state import AppState, CommandState, Cycle, Off, Snapshot, Stopped, Waiting

_Change = life.Change | command.CommandChange


def reconfigure(snapshot: Snapshot, event: Reconfigured) -> tuple[Snapshot, tuple[Effect, ...]]:
    """Return the stack as the new config wants it, and what is to be done for that."""
    changes = (*_wanted(snapshot, event), *_unwanted(snapshot, event))
    states = [state for state, _ in changes]
    after = replace(
        snapshot,
        apps={state.name: state for state in states if isinstance(state, AppState)},
        commands={state.name: state for state in states if isinstance(state, CommandState)},
        rules=event.apps,
        command_rules=event.commands,
        externals=event.externals,
        endpoints=_endpoints(snapshot, event),
    )
    cleared, told = forget_gone(after)
    return cleared, (*(effect for _, effects in changes for effect in effects), *told)


def forget_gone(snapshot: Snapshot) -> tuple[Snapshot, tuple[Effect, ...]]:
    """Drop what was removed and has no process any more."""
    apps = [s.name for s in snapshot.apps.values() if s.name not in snapshot.rules and not s.leaving]
    commands = [s.name for s in snapshot.commands.values() if s.name not in snapshot.command_rules and not s.leaving]
    if not apps and not commands:
        return snapshot, ()
    left = replace(
        snapshot,
        apps={name: state for name, state in snapshot.apps.items() if name not in apps},
        commands={name: state for name, state in snapshot.commands.items() if name not in commands},
    )
    return left, tuple(Tell(AppStopped(name)) for name in (*apps, *commands))


def _wanted(snapshot: Snapshot, event: Reconfigured) -> Iterator[_Change]:
    cycle = Cycle("reload", event.at, event.paths)
    for name, rules in event.apps.items():
        app = snapshot.apps.get(name)
        if app is None:
            yield AppState(name, Waiting(rules.depends_on), _generation(snapshot, name)), ()
        elif isinstance(app.phase, Stopped):  # it was removed a moment ago, and is wanted again
            yield replace(app, phase=Waiting(rules.depends_on)), ()
        else:
            yield life.rebuild(app, rules, cycle) if name in event.changed else (app, ())
    for name, asked in event.commands.items():
        state = snapshot.commands.get(name)
        if state is None:
            yield CommandState(name, Waiting(asked.depends_on), _generation(snapshot, name)), ()
        elif isinstance(state.phase, Stopped):
            yield replace(state, phase=Waiting(asked.depends_on)), ()
        else:
            anew = name in event.changed and not isinstance(state.phase, Off)
            yield command.renew(state, asked, cycle) if anew else (state, ())


def _unwanted(snapshot: Snapshot, event: Reconfigured) -> Iterator[_Change]:
    """What is no longer named stays as long as something of it runs."""
    for app in snapshot.apps.values():
        if app.name not in event.apps:
            rules = snapshot.rules.get(app.name)
            left, effects = (app, ()) if rules is None else life.retire(app, rules.grace)
            yield replace(left, phase=Stopped()), effects
    for state in snapshot.commands.values():
        if state.name not in event.commands:
            asked = snapshot.command_rules.get(state.name)
            ending, more = (state, ()) if asked is None else command.retire(state, asked.grace)
            yield replace(ending, phase=Stopped()), more


def _generation(snapshot: Snapshot, name: str) -> int:
    """A command may take the name of an app that is not gone yet: their runs must not be mistaken for each other."""
    former = snapshot.apps.get(name) or snapshot.commands.get(name)
    return 0 if former is None else former.generation


def _endpoints(snapshot: Snapshot, event: Reconfigured) -> dict[str, Endpoint]:
    """A command that is not touched is where it is, wherever it was to be."""
    found: dict[str, Endpoint] = {}
    for name in (*event.apps, *event.commands, *event.externals):
        now, asked = snapshot.endpoints.get(name), event.endpoints.get(name)
        stays = name in event.commands and name in snapshot.commands and (asked is None or name not in event.changed)
        endpoint = now if stays and now is not None else asked
        if endpoint is not None:
            found[name] = endpoint
    return found

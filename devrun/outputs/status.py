"""How a stack is, as data: what ``devrun status --json`` prints and what goes over the control socket.

Pure. A format with a version: fields are only ever added. Times are in seconds, sizes in bytes; ``now`` is the same
monotonic time as in the snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, assert_never

import msgspec
from msgspec import Struct

from devrun.outputs.lines import place, who_debugs
from devrun.outputs.text import log_text, one_line
from devrun.phases import ending, pid_of
from devrun.plan import Endpoint
from devrun.reports import AppReport, ServerReport
from devrun.state import (
    AppState,
    Backoff,
    Beginning,
    Blocked,
    Broken,
    CommandState,
    Cycle,
    Doubtful,
    Ended,
    Halted,
    Holding,
    Importing,
    Launching,
    Off,
    Probing,
    Resting,
    Running,
    Serving,
    Snapshot,
    Stopped,
    Waiting,
)

VERSION = 1

WELL = frozenset(("ready", "running", "done"))
"""The words of parts that do, or have done, what they are there for."""

MEMORY_KINDS = (
    "launcher",
    "guard",
    "fork servers",
    "checkpoints",
    "workers",
    "children of workers",
    "commands",
    "others",
)

_REMEMBERED = 60.0
"""Seconds for which it is still said why the worker before died."""


class Trouble(Struct, frozen=True):
    """Why an app cannot be served, as in ``devrun.events.Failure``. ``text`` may be a traceback of many lines."""

    kind: str
    summary: str
    file: str | None = None
    line: int | None = None
    text: str = ""


class AppStatus(Struct, frozen=True):
    """An app, a command or an external. ``why`` is empty when all is well, and one line."""

    name: str
    state: str
    url: str | None
    """None for a command that does not listen and for an app that is being removed, as are ``host`` and ``port``."""
    host: str | None
    port: int | None
    pid: int | None = None
    up_seconds: float | None = None
    """How long it is ready; None: it is not."""
    retry_seconds: float | None = None
    """In how long it is started again; None: nothing waits for that."""
    reloads: int = 0
    reload_seconds: float | None = None
    """How long the newest reload took."""
    why: str = ""
    trouble: Trouble | None = None
    kind: Literal["app", "command", "external"] = "app"
    debug_port: int | None = None
    """Where an editor attaches, on 127.0.0.1; None: nowhere."""


class KindMemory(Struct, frozen=True):
    """What all processes of one kind (of ``MEMORY_KINDS``) take."""

    kind: str
    processes: int
    bytes: int


class Memory(Struct, frozen=True):
    """``measure``: ``pss`` (what processes share is divided among them) or ``rss`` (it counts in each of them)."""

    measure: Literal["pss", "rss"]
    kinds: tuple[KindMemory, ...]


class Details(Struct, frozen=True):
    """What ``-v`` tells besides."""

    engines: Mapping[str, AppReport]
    fork_servers: tuple[ServerReport, ...]
    memory: Memory


class StackStatus(Struct, frozen=True):
    """One stack. ``pid``: the launcher's; ``stage``: ``up`` until every app was ready once, ``ready``, ``stopping``."""

    stack: str
    folder: str
    pid: int
    stage: str
    up_seconds: float
    apps: tuple[AppStatus, ...]
    details: Details | None = None


def document(status: StackStatus) -> dict[str, Any]:
    """Return ``status`` as JSON knows it; without the details if there are none."""
    fields = msgspec.to_builtins(status)
    if status.details is None:
        del fields["details"]
    return {"v": VERSION, **fields}


def read(data: Mapping[str, Any]) -> StackStatus:
    """Return what ``document`` made of a status. Raises ValueError for anything else."""
    if data.get("v") != VERSION:
        raise ValueError(f"not a status of version {VERSION}")
    return msgspec.convert(data, StackStatus)


def statuses(snapshot: Snapshot, now: float) -> tuple[AppStatus, ...]:
    """Return how everything is that has a row in the tables."""
    names = (*snapshot.apps, *snapshot.commands, *snapshot.externals)
    return tuple(part_status(snapshot, name, now) for name in dict.fromkeys(names))


def part_status(snapshot: Snapshot, name: str, now: float) -> AppStatus:
    """Return how one row is."""
    if name in snapshot.apps:
        return app_status(snapshot, name, now)
    if name in snapshot.commands:
        return command_status(snapshot.commands[name], snapshot.endpoints.get(name), now)
    return external_status(snapshot.endpoints[name])


def external_status(endpoint: Endpoint) -> AppStatus:
    """Return what is known of an external: where it is."""
    return AppStatus(endpoint.name, "external", endpoint.url, endpoint.host, endpoint.port, kind="external")


def command_status(state: CommandState, endpoint: Endpoint | None, now: float) -> AppStatus:
    """Return how a command is."""
    phase = state.phase
    return AppStatus(
        name=state.name,
        state=word_of_command(state, endpoint),
        url=None if endpoint is None else endpoint.url,
        host=None if endpoint is None else endpoint.host,
        port=None if endpoint is None else endpoint.port,
        pid=phase.pid if isinstance(phase, Launching | Running) else None,
        up_seconds=max(now - phase.since, 0.0) if isinstance(phase, Running) else None,
        retry_seconds=max(phase.retry_at - now, 0.0) if isinstance(phase, Resting) else None,
        why=one_line(_why_command(state, now)),
        kind="command",
    )


def word_of_command(state: CommandState, endpoint: Endpoint | None) -> str:
    """Return the one word for what a command does."""
    match state.phase:
        case Waiting(on=on):
            return "waiting" if on else "stopping" if state.leaving else "starting"
        case Launching(cycle=cycle):
            return _word_of_start(cycle, "starting")
        case Running():
            return "running" if endpoint is None else "ready"
        case Resting():
            return "restarting"
        case Ended(code=code):
            return "failed" if code else "done"
        case Off() | Stopped():
            return "stopping" if state.leaving else "stopped"
        case _:
            assert_never(state.phase)


def _why_command(state: CommandState, now: float) -> str:
    match state.phase:
        case Waiting(on=on) if on:
            return f"waits for {', '.join(on)}"
        case Ended(code=code) if code:
            return ending(code)
        case Resting():
            return f"ended {state.deaths} times: {state.last_death}"
        case Running(since=since) if state.deaths and now - since < _REMEMBERED:
            return f"restarted after {state.last_death}"
        case _:
            return ""


def app_status(snapshot: Snapshot, name: str, now: float) -> AppStatus:
    """Return how the app ``name`` is."""
    state, phase = snapshot.apps[name], snapshot.apps[name].phase
    endpoint = snapshot.endpoints.get(name)  # none: the app was removed, and has not ended yet
    return AppStatus(
        name=name,
        state=word_of(state),
        url=None if endpoint is None else endpoint.url,
        host=None if endpoint is None else endpoint.host,
        port=None if endpoint is None else endpoint.port,
        pid=None if isinstance(phase, Halted) else pid_of(phase),
        up_seconds=max(now - phase.since, 0.0) if isinstance(phase, Serving) else None,
        retry_seconds=max(phase.retry_at - now, 0.0) if isinstance(phase, Backoff) else None,
        reloads=state.reloads,
        reload_seconds=state.reload_seconds,
        why=one_line(_why(state, now)),
        trouble=_trouble(state),
    )


def word_of(state: AppState) -> str:
    """Return the one word for what an app does."""
    if state.pause is not None:
        return "paused"
    match state.phase:
        case Waiting() | Blocked():
            return "waiting"
        case Importing(cycle=cycle) | Doubtful(cycle=cycle) | Holding(cycle=cycle):
            return _word_of_start(cycle, "importing")
        case Beginning(cycle=cycle) | Probing(cycle=cycle):
            return _word_of_start(cycle, "starting")
        case Serving():
            return "ready"
        case Broken():
            return "broken"
        case Backoff():
            return "restarting"
        case Halted() | Stopped():
            return "stopping" if state.leaving else "stopped"
        case _:
            assert_never(state.phase)


def _word_of_start(cycle: Cycle, first: str) -> str:
    return {"start": first, "reload": "reloading", "death": "restarting"}[cycle.cause]


def _why(state: AppState, now: float) -> str:
    if state.pause is not None:
        return f"at {state.pause.place}: {who_debugs(state.name, state.pause.by)}"
    match state.phase:
        case Waiting(on=on) | Blocked(on=on) if on:
            return f"waits for {', '.join(on)}"
        case Broken(failure=failure):
            return place(failure)
        case Backoff():
            return f"died {state.deaths} times: {state.last_death}"
        case Serving(since=since) if state.deaths and now - since < _REMEMBERED:
            return f"restarted after {state.last_death}"
        case Importing(cycle=cycle) | Holding(cycle=cycle) | Beginning(cycle=cycle) if cycle.cause == "death":
            return f"died: {state.last_death}"
        case _:
            return ""


def _trouble(state: AppState) -> Trouble | None:
    if not isinstance(state.phase, Broken | Backoff):
        return None
    failure = state.phase.failure
    text = "\n".join(log_text(line, colour=False) for line in failure.text.splitlines())
    return Trouble(failure.kind, one_line(failure.summary), failure.file, failure.line, text)


class Outcome(Struct, frozen=True):
    """What has come of a request to restart, stop, start or wait, and how long that took."""

    seconds: float
    apps: tuple[AppStatus, ...]


def read_outcome(data: Mapping[str, Any]) -> Outcome:
    """Return what is in an answer. Raises ValueError for anything else."""
    return msgspec.convert(data, Outcome)

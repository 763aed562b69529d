"""The state of a stack: what a snapshot holds. (``devrun.step`` moves it on.)

Frozen data; imports no asyncio, clock, logging or disk. State is a union of cases, not booleans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from devrun.events import Debugger, Failure, Run
from devrun.plan import AppRules as AppRules
from devrun.plan import CommandRules, Endpoint


class Cycle(Struct, frozen=True):
    """What a start belongs to: the first start, a reload, or a restart after a death. ``since``: when it was asked."""

    cause: Literal["start", "reload", "death"]
    since: float
    paths: tuple[str, ...] = ()


class Waiting(Struct, frozen=True):
    """Not started yet: ``on`` are the apps it waits for."""

    on: tuple[str, ...]


class Blocked(Struct, frozen=True):
    """Not started yet, and what it waits for is broken: a page process (``run``) answers 503 meanwhile."""

    run: Run
    pid: int | None
    on: tuple[str, ...]


class Importing(Struct, frozen=True):
    """The worker imports the app."""

    run: Run
    pid: int | None
    cycle: Cycle


class Doubtful(Struct, frozen=True):
    """The import failed while an older worker was there, which may have held what only one process can have.

    It is tried once more when that worker is gone. A lock, a database file, a port of the app's own.
    """

    run: Run
    pid: int | None
    cycle: Cycle


class Holding(Struct, frozen=True):
    """The worker has imported the app and waits until the old worker is gone."""

    run: Run
    pid: int | None
    cycle: Cycle


class Beginning(Struct, frozen=True):
    """The worker runs its lifespan startup."""

    run: Run
    pid: int | None
    cycle: Cycle


class Probing(Struct, frozen=True):
    """The worker serves; its health path has not answered 2xx yet."""

    run: Run
    pid: int | None
    cycle: Cycle


class Serving(Struct, frozen=True):
    """Ready."""

    run: Run
    pid: int | None
    since: float


class Broken(Struct, frozen=True):
    """The worker cannot serve the app and answers 503 with the failure."""

    run: Run
    pid: int | None
    failure: Failure
    since: float


class Backoff(Struct, frozen=True):
    """The worker keeps dying. A page process (``run``) answers 503 until the next try at ``retry_at``."""

    run: Run
    pid: int | None
    failure: Failure
    since: float
    retry_at: float


class Halted(Struct, frozen=True):
    """Stopped while the stack is up, until somebody starts it. A page process (``run``) answers 503 meanwhile."""

    run: Run
    pid: int | None


class Stopped(Struct, frozen=True):
    """Nothing of this app will start again."""


Phase = (
    Waiting
    | Blocked
    | Importing
    | Doubtful
    | Holding
    | Beginning
    | Probing
    | Serving
    | Broken
    | Backoff
    | Halted
    | Stopped
)


class Pause(Struct, frozen=True):
    """The newest run has stopped in the debugger. ``held``: the reload that waits until it runs on."""

    place: str
    held: Cycle | None = None
    by: Debugger = "pdb"


class AppState(Struct, frozen=True):
    """One app. ``leaving`` are older runs that are not gone yet."""

    name: str
    phase: Phase
    generation: int = 0
    leaving: tuple[Run, ...] = ()
    reloads: int = 0
    reload_seconds: float | None = None
    """How long the newest reload took, from the save to ready."""
    deaths: int = 0
    """Deaths in a row, each soon after its start."""
    last_death: str | None = None
    """Why the newest worker that died did so, in a few words: ``signal SIGKILL``, ``exit code 3``."""
    was_ready: bool = False
    pause: Pause | None = None


class Launching(Struct, frozen=True):
    """The command's process is starting, or runs and does not listen yet."""

    run: Run
    pid: int | None
    cycle: Cycle


class Running(Struct, frozen=True):
    """The command is ready: it listens, or has run for a while without."""

    run: Run
    pid: int | None
    cycle: Cycle
    since: float


class Resting(Struct, frozen=True):
    """The command (its last ``run``) has ended and is to be started again at ``retry_at``."""

    run: Run
    code: int
    since: float
    retry_at: float


class Ended(Struct, frozen=True):
    """The command has ended by itself and is not started again. ``code`` is 0 when it has done its work."""

    code: int
    since: float


class Off(Struct, frozen=True):
    """The command was stopped while the stack is up, until somebody starts it."""


CommandPhase = Waiting | Launching | Running | Resting | Ended | Off | Stopped


class CommandState(Struct, frozen=True):
    """One command. ``leaving`` are older runs that are not gone yet; the next one starts when they are."""

    name: str
    phase: CommandPhase
    generation: int = 0
    leaving: tuple[Run, ...] = ()
    deaths: int = 0
    """Ends in a row, each soon after its start."""
    last_death: str | None = None
    """How the newest run that ended unasked did so, in a few words."""
    was_ready: bool = False


class Snapshot(Struct, frozen=True):
    """The whole stack at one moment. A part without rules was removed: it is only waited for."""

    seq: int
    stack: str
    endpoints: Mapping[str, Endpoint]
    apps: Mapping[str, AppState]
    rules: Mapping[str, AppRules]
    stage: Literal["idle", "up", "ready", "stopping", "killing"] = "idle"
    """``up`` until every app and command was ready once; ``killing`` after the second request to stop."""
    exit_code: int = 0
    commands: Mapping[str, CommandState] = field(default_factory=dict[str, CommandState])
    command_rules: Mapping[str, CommandRules] = field(default_factory=dict[str, CommandRules])
    externals: tuple[str, ...] = ()
    """The endpoints to which the stack only refers."""


def put(snapshot: Snapshot, *states: AppState | CommandState) -> Snapshot:
    """Return the stack with these parts as they are now."""
    apps = {state.name: state for state in states if isinstance(state, AppState)}
    commands = {state.name: state for state in states if isinstance(state, CommandState)}
    return replace(snapshot, apps={**snapshot.apps, **apps}, commands={**snapshot.commands, **commands})


def moved(snapshot: Snapshot, name: str, endpoint: Endpoint | None) -> Snapshot:
    """Return the stack with a part at this endpoint, or at none; in the order of the parts."""
    if snapshot.endpoints.get(name) == endpoint:
        return snapshot
    known = {**snapshot.endpoints, name: endpoint}
    order = dict.fromkeys((*snapshot.apps, *snapshot.commands, *snapshot.externals, *known))
    return replace(snapshot, endpoints={one: at for one in order if (at := known.get(one)) is not None})

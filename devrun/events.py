"""The words of the core: what can happen (``Event``), what is to be done (``Effect``), what is told (``Notice``).

Data only (notices are in ``devrun.notices``). Time is in seconds of a monotonic clock and arrives inside the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from devrun.notices import AppBroken as AppBroken
from devrun.notices import AppExited as AppExited
from devrun.notices import AppPaused as AppPaused
from devrun.notices import AppReady as AppReady
from devrun.notices import AppReloading as AppReloading
from devrun.notices import AppResumed as AppResumed
from devrun.notices import AppStopped as AppStopped
from devrun.notices import Debugger as Debugger
from devrun.notices import Failure as Failure
from devrun.notices import Notice as Notice
from devrun.notices import StackDown as StackDown
from devrun.notices import StackReady as StackReady
from devrun.notices import StackStarting as StackStarting
from devrun.notices import Warned as Warned
from devrun.notices import Wrote as Wrote
from devrun.plan import AppRules, CommandRules, Endpoint


class Run(Struct, frozen=True):
    """One incarnation of an app or a command, named ``app``. Late word of an older run is dropped."""

    app: str
    generation: int


class LoadedFile(Struct, frozen=True):
    """A file as a worker saw it just before reading it. ``stamp`` is (mtime_ns, size, inode), None: it was absent."""

    path: str
    stamp: tuple[int, int, int] | None


# --- events -------------------------------------------------------------------------------------------------------


class UpAsked(Struct, frozen=True):
    """Sockets listen and the env files are written: start the apps."""

    at: float


class Spawned(Struct, frozen=True):
    run: Run
    pid: int
    at: float


class Loaded(Struct, frozen=True):
    """The worker is about to read these files."""

    run: Run
    files: tuple[LoadedFile, ...]
    at: float


class Imported(Struct, frozen=True):
    """The worker has imported the app and waits for leave to begin its lifespan."""

    run: Run
    at: float


class Started(Struct, frozen=True):
    """Lifespan startup is complete and the worker accepts connections."""

    run: Run
    at: float


class Healthy(Struct, frozen=True):
    """The health path answered 2xx."""

    run: Run
    at: float


class Listening(Struct, frozen=True):
    """The processes of a command listen here, and did not before."""

    run: Run
    endpoint: Endpoint
    at: float


class Failed(Struct, frozen=True):
    """The worker lives, cannot serve the app, and answers 503."""

    run: Run
    failure: Failure
    at: float


class Exited(Struct, frozen=True):
    """The process is gone, and its group with it. ``code`` is negative for a signal; ``tail``: its last lines."""

    run: Run
    code: int
    tail: tuple[str, ...]
    at: float


class Paused(Struct, frozen=True):
    """The worker has stopped in a debugger. ``place``: file and line."""

    run: Run
    place: str
    at: float
    by: Debugger = "pdb"


class Resumed(Struct, frozen=True):
    """The worker that had stopped runs on."""

    run: Run
    at: float


class FilesChanged(Struct, frozen=True):
    """Files of one app changed after they were loaded; ``paths`` relative to the project where they lie in it."""

    app: str
    paths: tuple[str, ...]
    at: float


class RestartAsked(Struct, frozen=True):
    """Somebody asked for new workers; an empty tuple means all apps."""

    apps: tuple[str, ...]
    at: float


class StopPartsAsked(Struct, frozen=True):
    """These apps are to end and stay down, while the stack stays up."""

    apps: tuple[str, ...]
    at: float


class StartPartsAsked(Struct, frozen=True):
    """Those of these apps that were stopped are to start again."""

    apps: tuple[str, ...]
    at: float


class StopAsked(Struct, frozen=True):
    """The stack is to go down. Asked twice: at once."""

    at: float


class Alarm(Enum):
    """What a timer of a run is for."""

    KILL = "kill"
    RETRY = "retry"
    SETTLE = "settle"
    """A command that does not listen has run for long enough to count as ready."""


class Expired(Struct, frozen=True):
    run: Run
    alarm: Alarm
    at: float


RunEvent = Spawned | Loaded | Imported | Started | Healthy | Listening | Failed | Exited | Paused | Resumed | Expired


class Reconfigured(Struct, frozen=True):
    """What the stack is made of is another from now on: parts that are not named here end, new ones start.

    ``changed`` are those that must start anew. ``endpoints``: of apps and externals, and of commands whose port is
    known beforehand. ``paths``: the files whose save caused it.
    """

    apps: Mapping[str, AppRules]
    commands: Mapping[str, CommandRules]
    endpoints: Mapping[str, Endpoint]
    externals: tuple[str, ...]
    changed: frozenset[str]
    paths: tuple[str, ...]
    at: float


Event = Reconfigured | UpAsked | StopAsked | RestartAsked | StopPartsAsked | StartPartsAsked | FilesChanged | RunEvent


# --- effects ------------------------------------------------------------------------------------------------------


class Start(Struct, frozen=True):
    """Start a worker that imports the app and then waits for ``Begin``.

    ``paths``: the files whose change caused it; without any, nothing that was imported before may be used again.
    """

    run: Run
    paths: tuple[str, ...] = ()


class StartPage(Struct, frozen=True):
    """Start a process that runs no user code and answers 503 with this failure."""

    run: Run
    failure: Failure


class Launch(Struct, frozen=True):
    """Start the process of a command."""

    run: Run


class Begin(Struct, frozen=True):
    """Let the worker begin its lifespan: no older worker of the app is left."""

    run: Run


class Probe(Struct, frozen=True):
    """Ask the health path until it answers 2xx."""

    run: Run


class Terminate(Struct, frozen=True):
    """Ask the run to end: SIGTERM to the worker, or to the whole group of a command."""

    run: Run


class Kill(Struct, frozen=True):
    """End the run at once: SIGKILL to all of it."""

    run: Run


class Arm(Struct, frozen=True):
    run: Run
    alarm: Alarm
    seconds: float


class Watch(Struct, frozen=True):
    """From now on these files belong to the run's app."""

    run: Run
    files: tuple[LoadedFile, ...]


class Settle(Struct, frozen=True):
    """The run has loaded what it needs: files that only older runs loaded no longer count."""

    run: Run


class Tell(Struct, frozen=True):
    """Something that every view must hear of, in order."""

    notice: Notice


class Quit(Struct, frozen=True):
    """Everything has ended; the launcher exits with this code."""

    code: int


Errand = Start | StartPage | Launch | Begin | Probe | Terminate | Kill | Arm | Watch | Settle | Tell
Effect = Errand | Quit

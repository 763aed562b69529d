"""The words of the core: what can happen (``Event``), what is to be done (``Effect``), what is told (``Notice``).

Data only (notices are in ``devrun.notices``). Time is in seconds of a monotonic clock and arrives inside the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

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


@dataclass(frozen=True, slots=True)
class Run:
    """One incarnation of an app or a command, named ``app``. Late word of an older run is dropped."""

    app: str
    generation: int


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file as a worker saw it just before reading it. ``stamp`` is (mtime_ns, size, inode), None: it was absent."""

    path: str
    stamp: tuple[int, int, int] | None


# --- events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UpAsked:
    """Sockets listen and the env files are written: start the apps."""

    at: float


@dataclass(frozen=True, slots=True)
class Spawned:
    run: Run
    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """The worker is about to read these files."""

    run: Run
    files: tuple[LoadedFile, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Imported:
    """The worker has imported the app and waits for leave to begin its lifespan."""

    run: Run
    at: float


@dataclass(frozen=True, slots=True)
class Started:
    """Lifespan startup is complete and the worker accepts connections."""

    run: Run
    at: float


@dataclass(frozen=True, slots=True)
class Healthy:
    """The health path answered 2xx."""

    run: Run
    at: float


@dataclass(frozen=True, slots=True)
class Listening:
    """The processes of a command listen here, and did not before."""

    run: Run
    endpoint: Endpoint
    at: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker lives, cannot serve the app, and answers 503."""

    run: Run
    failure: Failure
    at: float


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone, and its group with it. ``code`` is negative for a signal; ``tail``: its last lines."""

    run: Run
    code: int
    tail: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Paused:
    """The worker has stopped in a debugger. ``place``: file and line."""

    run: Run
    place: str
    at: float
    by: Debugger = "pdb"


@dataclass(frozen=True, slots=True)
class Resumed:
    """The worker that had stopped runs on."""

    run: Run
    at: float


@dataclass(frozen=True, slots=True)
class FilesChanged:
    """Files of one app changed after they were loaded; ``paths`` relative to the project where they lie in it."""

    app: str
    paths: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class RestartAsked:
    """Somebody asked for new workers; an empty tuple means all apps."""

    apps: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class StopPartsAsked:
    """These apps are to end and stay down, while the stack stays up."""

    apps: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class StartPartsAsked:
    """Those of these apps that were stopped are to start again."""

    apps: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The stack is to go down. Asked twice: at once."""

    at: float


class Alarm(Enum):
    """What a timer of a run is for."""

    KILL = "kill"
    RETRY = "retry"
    SETTLE = "settle"
    """A command that does not listen has run for long enough to count as ready."""


@dataclass(frozen=True, slots=True)
class Expired:
    run: Run
    alarm: Alarm
    at: float


RunEvent = Spawned | Loaded | Imported | Started | Healthy | Listening | Failed | Exited | Paused | Resumed | Expired


@dataclass(frozen=True, slots=True)
class Reconfigured:
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


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker that imports the app and then waits for ``Begin``.

    ``paths``: the files whose change caused it; without any, nothing that was imported before may be used again.
    """

    run: Run
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StartPage:
    """Start a process that runs no user code and answers 503 with this failure."""

    run: Run
    failure: Failure


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the process of a command."""

    run: Run


@dataclass(frozen=True, slots=True)
class Begin:
    """Let the worker begin its lifespan: no older worker of the app is left."""

    run: Run


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the health path until it answers 2xx."""

    run: Run


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask the run to end: SIGTERM to the worker, or to the whole group of a command."""

    run: Run


@dataclass(frozen=True, slots=True)
class Kill:
    """End the run at once: SIGKILL to all of it."""

    run: Run


@dataclass(frozen=True, slots=True)
class Arm:
    run: Run
    alarm: Alarm
    seconds: float


@dataclass(frozen=True, slots=True)
class Watch:
    """From now on these files belong to the run's app."""

    run: Run
    files: tuple[LoadedFile, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """The run has loaded what it needs: files that only older runs loaded no longer count."""

    run: Run


@dataclass(frozen=True, slots=True)
class Tell:
    """Something that every view must hear of, in order."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class Quit:
    """Everything has ended; the launcher exits with this code."""

    code: int


Errand = Start | StartPage | Launch | Begin | Probe | Terminate | Kill | Arm | Watch | Settle | Tell
Effect = Errand | Quit

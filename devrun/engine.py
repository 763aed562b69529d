"""What every engine offers: it makes the process of a run. Words only; an engine decides how.

The launcher knows engines by these protocols alone.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from devrun.events import Run
from devrun.plan import AppPlan, Endpoint
from devrun.reports import EngineReport

WORKER = Path(__file__).parent / "child" / "worker.py"


class Recipe(Struct, frozen=True):
    """Everything that the workers of one app need."""

    plan: AppPlan
    endpoint: Endpoint
    sockets: tuple[socket.socket, ...]
    environ: Mapping[str, str]


class Surroundings(Struct, frozen=True):
    """What all workers have in common."""

    folder: Path
    """The project's; places in messages are relative to it."""
    environ: Mapping[str, str]
    """What a process that runs no app gets."""
    nofile: tuple[int, int]
    """The soft and hard limit of descriptors that they get."""
    stack: str
    """The value of DEVRUN_STACK."""
    terminal: tuple[int, int] | None
    """Rows and columns of the terminal that their output ends up on; None when it is no terminal."""


class Groups(Protocol):
    """Hears of each process group, so that it can be ended when the launcher cannot do it any more."""

    def add(self, pgid: int) -> None: ...

    def remove(self, pgid: int) -> None: ...


class Process(Protocol):
    """A process of a run. ``wait`` returns the exit code, negative for a signal, when its whole group is gone."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int: ...


class Job(Struct, frozen=True):
    """A run that needs a process. ``wanted`` is asked again before it is made: a newer save may have come.

    ``debugged``: an editor is let in before it imports anything, so nothing may have been imported.
    """

    run: Run
    recipe: Recipe
    wanted: Callable[[], bool]
    debugged: bool = False


class Made(Struct, frozen=True):
    """A process, our end of its channel, and the descriptor that its output is read from."""

    process: Process
    channel: socket.socket
    output: int


class Engine(Protocol):
    """Makes the processes of runs."""

    def note(self, app: str, paths: Sequence[str]) -> None:
        """The next run of an app is asked for because these files have changed, relative to the project.

        Without any, the run is to import all of the app anew.
        """

    async def make(self, job: Job) -> Made | None:
        """Return a process; None if it is no longer wanted. Raises OSError or ValueError if it cannot be started."""

    async def make_page(self, job: Job) -> Made | None:
        """Return a process that can only answer 503, whatever is wrong with the app's interpreter or folder."""

    def hear(self, run: Run, message: Mapping[str, Any], descriptors: deque[int]) -> bool:
        """Take a word of a worker's. True: the run is to be made anew. False for words of other matters, too."""
        ...

    def ended(self, run: Run, code: int) -> bool:
        """The process of a run has ended. True: the run is to be made anew."""
        ...

    def adopt(self, names: Collection[str]) -> None:
        """The recipes of these apps are new ones, or there are none any more: nothing made for the old ones counts."""

    def report(self) -> EngineReport: ...

    async def close(self) -> None:
        """End what belongs to no run."""

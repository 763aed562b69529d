"""What is told: everything that every view must hear of, in order. A part of the words of the core.

Data only. Times are in seconds.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Debugger = Literal["pdb", "editor"]
"""Who has stopped an app: the debugger that ``devrun attach`` opens, or an editor that is attached to a debug port."""


class Failure(Struct, frozen=True):
    """Why an app cannot be served.

    ``kind``: ``import`` (the module or its attribute), ``startup`` (lifespan), ``setup`` (interpreter, uvicorn or its
    settings), ``died`` (the process ended), ``waiting`` (for an app that is broken or stopped), ``stopped`` (somebody
    asked). ``file`` and ``line`` point at the user's code where it is known; ``summary`` is one line without place;
    ``text`` is the whole traceback or the last lines of output.
    """

    kind: str
    summary: str
    text: str
    file: str | None = None
    line: int | None = None


class StackStarting(Struct, frozen=True):
    stack: str
    apps: tuple[str, ...]
    commands: tuple[str, ...] = ()


class Wrote(Struct, frozen=True):
    """An env file was written; ``path`` relative to the project."""

    path: str


class AppReady(Struct, frozen=True):
    """``url`` is None for a command that does not listen. One that listens late, or elsewhere, is told again."""

    app: str
    url: str | None
    seconds: float
    first: bool
    """Ready for the first time since the stack came up."""


class StackReady(Struct, frozen=True):
    ports: tuple[tuple[str, int], ...]


class AppReloading(Struct, frozen=True):
    """``paths`` is empty when somebody asked for the restart."""

    app: str
    paths: tuple[str, ...]


class AppBroken(Struct, frozen=True):
    app: str
    failure: Failure


class AppExited(Struct, frozen=True):
    """A worker died unasked, or a command ended. ``code`` is negative for a signal.

    ``retry`` is the delay in seconds before the next; None: there will be none.
    """

    app: str
    code: int
    tail: tuple[str, ...]
    retry: float | None


class AppStopped(Struct, frozen=True):
    """Nothing of the app runs any more, as somebody asked."""

    app: str


class AppPaused(Struct, frozen=True):
    """The app has stopped in a debugger. ``place``: file and line, relative to the project where it lies in it."""

    app: str
    place: str
    by: Debugger = "pdb"


class AppResumed(Struct, frozen=True):
    app: str


class Warned(Struct, frozen=True):
    """Something a person should know; nothing stops. ``app`` is None when it concerns the whole stack."""

    message: str
    app: str | None = None


class StackDown(Struct, frozen=True):
    pass


def overdue(name: str) -> Warned:
    """A part that was asked to end has not, in the time that it had."""
    return Warned("did not end within `grace`, and was killed", name)


Notice = (
    StackStarting
    | Wrote
    | AppReady
    | StackReady
    | AppReloading
    | AppBroken
    | AppExited
    | AppStopped
    | AppPaused
    | AppResumed
    | Warned
    | StackDown
)

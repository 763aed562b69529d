"""The lines for machines: what ``devrun up`` prints off a terminal or with ``--plain``. Exact; tools match on them.

Pure. Knows no stream and no colour of its own.
"""

from __future__ import annotations

from typing import assert_never

from devrun.events import (
    AppBroken,
    AppExited,
    AppPaused,
    AppReady,
    AppReloading,
    AppResumed,
    AppStopped,
    Debugger,
    Failure,
    Notice,
    StackDown,
    StackReady,
    StackStarting,
    Warned,
    Wrote,
)
from devrun.outputs.text import log_text, one_line
from devrun.phases import ending

MOST_PATHS = 3
"""Files of a reload that are named; more are counted."""


def line(notice: Notice) -> str:
    """Return the one line that tells of ``notice``, without its newline."""
    return f"[devrun] {words(notice)}"


def lines_of(notice: Notice) -> list[str]:
    """Return the lines that tell of ``notice``.

    A broken app has a second one, ``waiting``: editors take no problem from a line that ends a cycle, so it is this
    one that does.
    """
    told = [line(notice)]
    if isinstance(notice, AppBroken):
        told.append(f"[devrun] waiting {notice.app}: answers 503 until it is mended")
    return told


def log_line(app: str, text: str, *, colour: bool = False) -> str:
    """Return one line of an app's output with the app's name; its own colours stay only with ``colour``."""
    return f"[{app}] {log_text(text, colour=colour)}"


def words(notice: Notice) -> str:
    """Return what ``line`` says of ``notice``, without the leading ``[devrun]``."""
    return one_line(_words(notice))


def place(failure: Failure) -> str:
    """Return where and what, on one line: ``shop/routes.py:12: SyntaxError: invalid syntax``."""
    if failure.file is None:
        return one_line(failure.summary)
    number = "" if failure.line is None else f":{failure.line}"
    return one_line(f"{failure.file}{number}: {failure.summary}")


def _words(notice: Notice) -> str:
    match notice:
        case StackStarting():
            commands = f", {_count(len(notice.commands), 'command')}" if notice.commands else ""
            return f"starting {notice.stack}: {_count(len(notice.apps), 'app')}{commands}"
        case Wrote():
            return f"wrote {notice.path}"
        case AppReady():
            url = "" if notice.url is None else f" {notice.url}"
            return f"ready {notice.app}{url} in {notice.seconds:.2f}s"
        case StackReady():
            return " ".join(["stack ready", *(f"{name}={port}" for name, port in notice.ports)])
        case AppReloading() | AppBroken() | AppExited():
            return _trouble(notice)
        case AppStopped() | AppPaused() | AppResumed():
            return _standstill(notice)
        case Warned():
            return f"warning: {notice.message}" if notice.app is None else f"warning: {notice.app}: {notice.message}"
        case StackDown():
            return "stack down"
        case _:
            assert_never(notice)


def _trouble(notice: AppReloading | AppBroken | AppExited) -> str:
    match notice:
        case AppReloading():
            return f"reloading {notice.app}: {_files(notice.paths)}"
        case AppBroken():
            return f"broken {notice.app}: {place(notice.failure)}"
        case AppExited():
            again = f" again in {notice.retry:g}s" if notice.retry else ""
            then = "" if notice.retry is None else f"; restarting{again}"
            return f"exited {notice.app}: {ending(notice.code)}{then}"
        case _:
            assert_never(notice)


def _standstill(notice: AppStopped | AppPaused | AppResumed) -> str:
    match notice:
        case AppStopped():
            return f"stopped {notice.app}"
        case AppPaused():
            return f"paused {notice.app}: {notice.place}: {who_debugs(notice.app, notice.by)}"
        case AppResumed():
            return f"resumed {notice.app}"
        case _:
            assert_never(notice)


def who_debugs(app: str, by: Debugger) -> str:
    """Say where a person finds the debugger that an app has stopped in."""
    return f"`devrun attach {app}` opens the debugger" if by == "pdb" else "in the debugger of an editor"


def _files(paths: tuple[str, ...]) -> str:
    """Name the files; nobody's file means that somebody asked for the restart."""
    if not paths:
        return "restart"
    named = ", ".join(one_line(path) for path in paths[:MOST_PATHS])
    more = len(paths) - MOST_PATHS
    return f"{named} and {more} more" if more > 0 else named


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

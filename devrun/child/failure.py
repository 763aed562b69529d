"""Turns an exception into a failure: one line, a place in the user's code, and a traceback without the machinery.

A failure is a dict with the keys ``kind``, ``summary``, ``text``, ``file`` and ``line``; they mean what the launcher's
``Failure`` says. Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, cast

_SUMMARY_CHARS = 200
_LINE_CHARS = 2000
_GROUP_DEPTH = 20
_FIRST_LINES, _LAST_LINES = 100, 200


def describe(exc: BaseException, own: Callable[[str], bool], kind: str = "import") -> dict[str, Any]:
    """The failure that ``exc`` is; ``own`` tells the user's files, by name, from all others.

    ``file`` and ``line`` are those of a syntax error, else of the user's innermost frame, else of the innermost frame
    that is not the machinery's. A group of one stands for the one. ``exc`` may be one whose own methods raise.
    """
    plain = exc
    for _ in range(_GROUP_DEPTH):
        if len(_members(plain)) == 1:
            plain = _members(plain)[0]
    file, line = _locate(plain, own)
    return {"kind": kind, "summary": _summary(plain), "text": _report(exc, own), "file": file, "line": line}


def _summary(exc: BaseException) -> str:
    name = type(exc).__name__
    first = next((line.strip() for line in _message(exc).splitlines() if line.strip()), "")
    line = f"{name}: {first}" if first else name
    # It goes to terminals too: no escape sequences.
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line[: 2 * _SUMMARY_CHARS])
    return line if len(line) <= _SUMMARY_CHARS else line[: _SUMMARY_CHARS - 1] + "…"


def _message(exc: BaseException) -> str:
    if isinstance(exc, SyntaxError):
        return str(exc.msg or "")
    try:
        # Unlike str() this bears a __str__ that raises, and says "Did you mean" where Python does.
        return str(traceback.TracebackException(type(exc), exc, exc.__traceback__, limit=0))
    except Exception:
        return ""


def _locate(exc: BaseException, own: Callable[[str], bool]) -> tuple[str | None, int | None]:
    family = list(_family(exc, set()))
    for relative in family:
        if isinstance(relative, SyntaxError) and _is_file(relative.filename) and isinstance(relative.lineno, int):
            return os.path.abspath(str(relative.filename)), relative.lineno
        mine = [place for place in _places(relative) if own(place[0])]
        if mine:
            return mine[-1]
    return next((places[-1] for places in map(_places, family) if places), (None, None))


def _places(exc: BaseException) -> list[tuple[str, int]]:
    frames = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(exc.__traceback__))
    return [(os.path.abspath(name), line) for name, line in frames if _is_file(name) and not _is_machinery(name)]


def _family(exc: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """``exc`` and what it came from, the most telling first. Chains can be circular."""
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        for member in _members(exc):
            yield from _family(member, seen)
        yield exc
        exc = _origin(exc)


def _origin(exc: BaseException) -> BaseException | None:
    try:
        cause, context = exc.__cause__, None if exc.__suppress_context__ else exc.__context__
    except Exception:  # Properties of the user's.
        return None
    return context if cause is None else cause


def _members(exc: BaseException) -> tuple[BaseException, ...]:
    # By shape: ExceptionGroup is built in from Python 3.11, before that it comes from a package.
    try:
        members: object = getattr(exc, "exceptions", ())
    except Exception:
        members = ()
    found = cast("tuple[object, ...]", members) if isinstance(members, tuple) else ()
    return tuple(member for member in found if isinstance(member, BaseException))


def _is_file(name: object) -> bool:
    return isinstance(name, str) and bool(name) and not name.startswith("<")


def _is_machinery(name: str) -> bool:
    """Whether the file belongs to what imports and serves the app, which the user has not written."""
    if name.startswith(("<frozen importlib", "<frozen runpy")):
        return True
    modules = (sys.modules.get(package) for package in ("importlib", "asyncio", "uvicorn"))
    files = [__file__, *(module.__file__ for module in modules if module is not None and module.__file__)]
    return any(os.path.abspath(name).startswith(os.path.dirname(os.path.abspath(file)) + os.sep) for file in files)


def _report(exc: BaseException, own: Callable[[str], bool]) -> str:
    """The whole traceback without the machinery's frames above the user's, shortened in the middle where very long."""
    try:
        report = traceback.TracebackException(type(exc), exc, exc.__traceback__)
        _trim(report, own)
        lines = "".join(report.format()).splitlines()
    except Exception:
        # Odd exceptions break the traceback module too, and a chain of thousands exhausts its recursion.
        lines = [*"".join(traceback.format_tb(exc.__traceback__)).splitlines(), type(exc).__name__]
    lines = [line if len(line) <= _LINE_CHARS else line[:_LINE_CHARS] + "…" for line in lines]
    left_out = len(lines) - _FIRST_LINES - _LAST_LINES
    if left_out > 0:
        lines[_FIRST_LINES:-_LAST_LINES] = ["", f"  … {left_out} lines left out …", ""]
    return "\n".join(lines)


def _trim(report: traceback.TracebackException, own: Callable[[str], bool]) -> None:
    todo: list[traceback.TracebackException | None] = [report]
    while todo:
        one = todo.pop()
        if one is None:
            continue
        names = [os.path.abspath(frame.filename) if _is_file(frame.filename) else frame.filename for frame in one.stack]
        machinery = [_is_machinery(name) for name in names]
        top = next((i for i, name in enumerate(names) if not machinery[i] and own(name)), len(names))
        one.stack[:top] = [frame for i, frame in enumerate(one.stack[:top]) if not machinery[i]]
        todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]

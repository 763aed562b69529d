"""What goes over the control socket: JSON, one object a line. A format with a version, held by tests/unit/golden.

A request is ``{"v": 1, "ask": KIND, ...}``. The answer to it is ``{"v": 1, "answer": KIND, "data": {...}}`` or
``{"v": 1, "error": CODE, "message": TEXT}``; answers come in the order of the requests. Before its answer there may be
lines with ``"more": true``: parts of it where they have ``data``, and else a sign of life every few seconds.

``status``
    How the stack is. ``verbose`` (boolean): with engines and memory. Data: what ``devrun status --json`` prints.
``restart``, ``stop``, ``start``
    ``apps``: names; none means all to ``restart`` and is refused by the others. Answered when it has happened: all are
    ready again or in trouble, or gone; of a ``restart`` also after so many ``seconds``. Data: ``seconds``, and ``apps``
    as in ``status``.
``down``
    The stack is to go down. Answered at once; it is down when nobody holds the project's lock. Data: ``pid``.
``wait``
    Until all of ``apps`` (none: all that nobody has stopped) are ready, with all that was saved before the request.
    ``seconds``: give up after that many. ``or_broken`` (boolean): give up when one is broken. Data as of ``restart``.
``logs``
    Lines of ``apps`` (null or missing: of all, and of the launcher itself). ``notices`` (boolean): those of the
    launcher besides those of ``apps``. ``last``: only so many of those that are there. ``follow`` (boolean): and those
    to come, until one of both leaves. ``after`` with ``stack``: from where the asker has left off, if it is still that
    stack. The first part is ``{"stack": ID}``, each other one an entry: ``lines`` of one ``app`` (null: the launcher)
    that came together ``at`` a time (seconds since 1970). ``order`` counts the entries, ``first`` the lines of the app,
    so that a gap shows; ``event`` is there for the launcher's, as of ``devrun up --json``. The answer is empty.
``endpoints``
    Where all is. ``follow`` (boolean): a part now and whenever it has changed. Data: ``stack``, ``endpoints`` (a list
    of ``{"name", "host", "port", "url"}``).
``attach``
    To the debugger that ``app`` has stopped in. Data: ``place`` (file and line). With the line comes a descriptor
    (SCM_RIGHTS), a stream socket to the debugger; ``child/debugger.py`` tells what is said on it.

Codes of errors: ``bad-request``, ``too-long``, ``unknown-version``, ``unknown-request``, ``unknown-name`` (no such
app), ``not-paused``, ``taken`` (somebody is attached), ``busy``, ``going-down``, ``too-slow`` (a follower that reads
too little), ``failed``.

Pure. Keys that are not known are passed over, so that both sides may learn new ones. A new kind is a Struct with its
``kind`` and ``parse``, a name in ``KINDS``, an answer in ``desk``, a paragraph here and golden files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from msgspec import Struct

from devrun.control.fields import Fields, RefusedError, quoted

VERSION = 1
LONGEST_REQUEST = 65536
"""Bytes of a request, its newline included."""


class AskStatus(Struct, frozen=True):
    kind: ClassVar[str] = "status"
    verbose: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> AskStatus:
        return cls(fields.flag("verbose"))


class AskRestart(Struct, frozen=True):
    kind: ClassVar[str] = "restart"
    apps: tuple[str, ...] = ()
    seconds: float | None = None

    @classmethod
    def parse(cls, fields: Fields) -> AskRestart:
        return cls(fields.names("apps") or (), fields.number("seconds"))


class AskStop(Struct, frozen=True):
    kind: ClassVar[str] = "stop"
    apps: tuple[str, ...]

    @classmethod
    def parse(cls, fields: Fields) -> AskStop:
        return cls(_some(fields))


class AskStart(Struct, frozen=True):
    kind: ClassVar[str] = "start"
    apps: tuple[str, ...]

    @classmethod
    def parse(cls, fields: Fields) -> AskStart:
        return cls(_some(fields))


class AskDown(Struct, frozen=True):
    kind: ClassVar[str] = "down"

    @classmethod
    def parse(cls, fields: Fields) -> AskDown:
        return cls()


class AskWait(Struct, frozen=True):
    kind: ClassVar[str] = "wait"
    apps: tuple[str, ...] = ()
    seconds: float | None = None
    or_broken: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> AskWait:
        return cls(fields.names("apps") or (), fields.number("seconds"), fields.flag("or_broken"))


class AskLogs(Struct, frozen=True):
    kind: ClassVar[str] = "logs"
    apps: tuple[str, ...] | None = None
    notices: bool = True
    last: int | None = None
    follow: bool = False
    after: int | None = None
    stack: str | None = None

    @classmethod
    def parse(cls, fields: Fields) -> AskLogs:
        apps = fields.names("apps")
        return cls(
            apps,
            apps is None or fields.flag("notices"),
            fields.count("last"),
            fields.flag("follow"),
            fields.count("after"),
            fields.text("stack"),
        )


class AskEndpoints(Struct, frozen=True):
    kind: ClassVar[str] = "endpoints"
    follow: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> AskEndpoints:
        return cls(fields.flag("follow"))


class AskAttach(Struct, frozen=True):
    kind: ClassVar[str] = "attach"
    app: str

    @classmethod
    def parse(cls, fields: Fields) -> AskAttach:
        app = fields.text("app")
        if app is None:
            raise RefusedError("bad-request", 'expected a name for "app", found none')
        return cls(app)


class Handover(Struct, frozen=True):
    """An answer with a descriptor, which goes to the asker with it, and is closed here then."""

    data: Mapping[str, Any]
    descriptor: int


Request = AskStatus | AskRestart | AskStop | AskStart | AskDown | AskWait | AskLogs | AskEndpoints | AskAttach
"""Everything that can be asked."""

KINDS: Mapping[str, Callable[[Fields], Request]] = {
    kind.kind: kind.parse
    for kind in (AskStatus, AskRestart, AskStop, AskStart, AskDown, AskWait, AskLogs, AskEndpoints, AskAttach)
}


def parse(line: bytes) -> Request:
    """Return the request in ``line``. Raises RefusedError, whatever the bytes are."""
    document = _object(line)
    version, kind = document.get("v"), document.get("ask")
    if type(version) is not int or version != VERSION:
        raise RefusedError("unknown-version", f'expected "v": {VERSION}, found {quoted(version)}')
    if not isinstance(kind, str) or kind not in KINDS:
        raise RefusedError("unknown-request", f'expected {_list_of_kinds()} for "ask", found {quoted(kind)}')
    return KINDS[kind](Fields(document))


def answer(request: Request, data: Mapping[str, Any]) -> bytes:
    """Return the line that answers ``request``."""
    return _line({"v": VERSION, "answer": request.kind, "data": data})


def part(request: Request, data: Mapping[str, Any] | None = None) -> bytes:
    """Return a line ahead of the answer: a part of it, or a sign of life."""
    line = {"v": VERSION, "answer": request.kind, "more": True}
    return _line(line if data is None else {**line, "data": data})


def refusal(error: RefusedError) -> bytes:
    """Return the line that says why there is no answer."""
    return _line({"v": VERSION, "error": error.code, "message": error.message})


def _some(fields: Fields) -> tuple[str, ...]:
    names = fields.names("apps")
    if not names:
        raise RefusedError("bad-request", 'expected a list of names for "apps", found none')
    return names


def _list_of_kinds() -> str:
    *most, last = (f'"{kind}"' for kind in KINDS)
    return f"{', '.join(most)} or {last}"


def _object(line: bytes) -> dict[str, Any]:
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RefusedError("bad-request", f"expected a JSON object on one line, found {quoted(line)}")
    return cast("dict[str, Any]", found)


def _line(document: Mapping[str, Any]) -> bytes:
    # ASCII: no lone surrogate of an odd file name can break it.
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"

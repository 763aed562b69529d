"""What goes over the control socket: JSON, one object a line. A format with a version.

A request is ``{"v": 1, "ask": KIND, ...}``, the answer to it ``{"v": 1, "answer": KIND, "data": ...}`` or
``{"v": 1, "error": CODE, "message": ...}``; answers come in the order of the requests. Kinds of requests:

- ``status``: ``verbose`` (a boolean, false when it is missing) asks for engines and memory too. The data is that of
  ``devrun status --json``.

Pure. Keys that are not known are passed over, so that both sides may learn new ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never, cast

VERSION = 1
LONGEST_REQUEST = 65536
"""Bytes of a request, its newline included."""

_LONGEST_QUOTE = 60

ErrorCode = Literal["bad-request", "too-long", "unknown-version", "unknown-request", "busy", "failed"]


class RefusedError(Exception):
    """A request that cannot be answered. ``code`` is for programs, ``message`` for people."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message


@dataclass(frozen=True, slots=True)
class StatusAsked:
    """How the stack is. ``verbose``: with engines and memory."""

    verbose: bool = False


Request = StatusAsked
"""Everything that can be asked."""


def parse(line: bytes) -> Request:
    """Return the request in ``line``. Raises RefusedError, whatever the bytes are."""
    document = _object(line)
    version, kind = document.get("v"), document.get("ask")
    if type(version) is not int or version != VERSION:
        raise RefusedError("unknown-version", f'expected "v": {VERSION}, found {_quoted(version)}')
    if kind == "status":
        return StatusAsked(verbose=_boolean(document, "verbose"))
    raise RefusedError("unknown-request", f'expected "ask": "status", found {_quoted(kind)}')


def answer(request: Request, data: Mapping[str, Any]) -> bytes:
    """Return the line that answers ``request``."""
    match request:
        case StatusAsked():
            return _line({"v": VERSION, "answer": "status", "data": data})
        case _:
            assert_never(request)


def refusal(error: RefusedError) -> bytes:
    """Return the line that says why there is no answer."""
    return _line({"v": VERSION, "error": error.code, "message": error.message})


def _object(line: bytes) -> dict[str, Any]:
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RefusedError("bad-request", f"expected a JSON object on one line, found {_quoted(line)}")
    return cast("dict[str, Any]", found)


def _boolean(document: Mapping[str, Any], key: str) -> bool:
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise RefusedError("bad-request", f'expected a boolean for "{key}", found {_quoted(value)}')
    return value


def _line(document: Mapping[str, Any]) -> bytes:
    # ASCII: no lone surrogate of an odd file name can break it.
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"


def _quoted(found: object) -> str:
    text = found[: 4 * _LONGEST_QUOTE].decode("utf-8", "replace") if isinstance(found, bytes) else json.dumps(found)
    text = "".join(char if char.isprintable() else "?" for char in text.strip())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."

"""What may stand in a request, read key by key; whatever is there instead is refused with a message.

Pure. Knows no kinds of requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, cast

_LONGEST_QUOTE = 60
_MOST = 2**53

ErrorCode = Literal[
    "bad-request",
    "too-long",
    "unknown-version",
    "unknown-request",
    "unknown-name",
    "not-paused",
    "taken",
    "busy",
    "going-down",
    "too-slow",
    "failed",
]


class RefusedError(Exception):
    """A request that cannot be answered. ``code`` is for programs, ``message`` for people."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message


class Fields:
    """The keys of a request. Each method raises RefusedError for what it cannot be."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def flag(self, key: str) -> bool:
        value = self._document.get(key, False)
        if not isinstance(value, bool):
            raise RefusedError("bad-request", f'expected a boolean for "{key}", found {quoted(value)}')
        return value

    def names(self, key: str) -> tuple[str, ...] | None:
        value: object = self._document.get(key)
        if value is None:
            return None
        names = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(isinstance(name, str) for name in names):
            found = quoted(self._document[key])
            raise RefusedError("bad-request", f'expected a list of names for "{key}", found {found}')
        return tuple(dict.fromkeys(cast("list[str]", names)))

    def number(self, key: str) -> float | None:
        value = self._document.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
            raise RefusedError("bad-request", f'expected a number from 0 on for "{key}", found {quoted(value)}')
        return value

    def count(self, key: str) -> int | None:
        value = self.number(key)
        return None if value is None else int(value)

    def text(self, key: str) -> str | None:
        value = self._document.get(key)
        if value is not None and not isinstance(value, str):
            raise RefusedError("bad-request", f'expected a string for "{key}", found {quoted(value)}')
        return value


def quoted(found: object) -> str:
    """Return what was found, short and printable, for a message."""
    text = found[: 4 * _LONGEST_QUOTE].decode("utf-8", "replace") if isinstance(found, bytes) else json.dumps(found)
    text = "".join(char if char.isprintable() else "?" for char in text.strip())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."

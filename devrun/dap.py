"""Messages of the Debug Adapter Protocol, to bytes and from bytes. Knows none of them.

Pure. https://microsoft.github.io/debug-adapter-protocol/overview#base-protocol
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

Message = Mapping[str, Any]

_HEAD = re.compile(rb"content-length: *(\d{1,8})", re.IGNORECASE)
_BEGIN = b"content-length:"
_LONGEST_HEAD = 40


def encode(message: Message) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Frames:
    """Messages out of a stream.

    Strict: a debugger runs what it is told, and a web page can send requests to any port of this machine. They have
    other lines before their body than the one of this protocol, and are refused at the first.
    """

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Return the messages that are complete now. Raises ValueError for what is none."""
        self._pending += data
        found: list[dict[str, Any]] = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> dict[str, Any] | None:
        head, end, rest = self._pending.partition(b"\r\n\r\n")
        if not end:
            begin = head[: len(_BEGIN)].lower()
            if not _BEGIN.startswith(begin) or len(head) > _LONGEST_HEAD:
                raise ValueError("not a message of the Debug Adapter Protocol")
            return None
        found = _HEAD.fullmatch(head)
        if found is None:
            raise ValueError("not a message of the Debug Adapter Protocol")
        length = int(found[1])
        if len(rest) < length:
            return None
        body, self._pending = rest[:length], rest[length:]
        message = json.loads(body)
        if not isinstance(message, dict):
            raise ValueError("not a message of the Debug Adapter Protocol")
        return cast("dict[str, Any]", message)


def arguments(message: Message) -> Message:
    """Return the arguments of a request; none where there are none."""
    found = message.get("arguments")
    return cast("Message", found) if isinstance(found, dict) else {}

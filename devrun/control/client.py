"""A program's end of the control socket: asks one question and reads the answer.

Light: imports the standard library without asyncio. Knows no project: a caller that finds nobody listening looks at
the lock.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from devrun.control.address import locate
from devrun.errors import DevrunError

VERSION = 1
PATIENCE = 15.0
"""Seconds that the launcher may take for an answer. (It waits for the first snapshot of a stack that is starting.)"""

_LONGEST_ANSWER = 64 * 2**20


class NobodyListensError(Exception):
    """There is no launcher at the other end, or it left before it answered."""


def ask(state_dir: str, kind: str, options: Mapping[str, object], patience: float = PATIENCE) -> Mapping[str, Any]:
    """Ask the launcher of the stack whose ``.devrun`` this is; return the data of its answer.

    Raises NobodyListensError, or DevrunError when it does not answer in time or not as was asked.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        try:
            _connect(connection, locate(state_dir), patience)
            line = _exchange(connection, json.dumps({**options, "v": VERSION, "ask": kind}).encode() + b"\n")
        except TimeoutError:
            raise DevrunError(
                f"the launcher does not answer within {patience:g} s",
                hint="has it been stopped (Ctrl-Z)? `fg` in its terminal lets it go on",
            ) from None
        except (OSError, ValueError) as error:  # ValueError: what the pointer holds is no path
            raise NobodyListensError(str(error)) from None
    return _data(line, kind)


def _connect(connection: socket.socket, path: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError:  # so many want to connect that the queue is full
            if time.monotonic() > deadline:
                raise TimeoutError from None
        time.sleep(0.01)


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    with suppress(BrokenPipeError):  # refused before it was read: the reason may wait for us
        connection.sendall(request)
    with connection.makefile("rb") as answers:
        line = answers.readline(_LONGEST_ANSWER)
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the answer was cut off")
    return line


def _data(line: bytes, kind: str) -> Mapping[str, Any]:
    try:
        found: object = json.loads(line)
    except ValueError:
        found = None
    answer = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if isinstance(answer.get("message"), str):
        raise DevrunError(f"the launcher says: {answer['message']}")
    data = answer.get("data")
    if answer.get("v") != VERSION or answer.get("answer") != kind or not isinstance(data, dict):
        raise DevrunError(
            "the launcher answers in a way that is not known here", hint="is it another version of devrun? restart it"
        )
    return cast("dict[str, Any]", data)

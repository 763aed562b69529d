"""A program's end of the control socket: asks one question and reads the answer, and what comes ahead of it.

Light: imports the standard library without asyncio. Knows no project: a caller that finds nobody listening looks at
the lock.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from typing import Any, cast

from devrun.control.address import locate
from devrun.errors import DevrunError

VERSION = 1
PATIENCE = 15.0
"""Seconds that the launcher may take for an answer or a sign of life. (It waits for the first snapshot of a stack.)"""

_LONGEST_ANSWER = 64 * 2**20
_LONGEST_HANDOVER = 65536


class NobodyListensError(Exception):
    """There is no launcher at the other end, or it left before it answered."""


class LauncherError(DevrunError):
    """The launcher refuses to answer. ``code`` as in the protocol, ``said`` its words."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(f"the launcher says: {said}")
        self.code = code
        self.said = said


def ask(state_dir: str, kind: str, options: Mapping[str, object], patience: float = PATIENCE) -> Mapping[str, Any]:
    """Ask the launcher of the stack whose ``.devrun`` this is; return the data of its answer.

    Raises NobodyListensError, LauncherError, or DevrunError when it does not answer in time or not as was asked.
    """
    parts = stream(state_dir, kind, options, patience)
    while True:
        try:
            next(parts)
        except StopIteration as end:
            data: Mapping[str, Any] = end.value
            return data


def stream(
    state_dir: str, kind: str, options: Mapping[str, object], patience: float = PATIENCE
) -> Generator[Mapping[str, Any], None, Mapping[str, Any]]:
    """As ``ask``, but yield the parts that come ahead of the answer, too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        try:
            _connect(connection, locate(state_dir), patience)
            _send(connection, json.dumps({**options, "v": VERSION, "ask": kind}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                while (answer := _read(answers.readline(_LONGEST_ANSWER), kind)).get("more") is True:
                    if "data" in answer:
                        yield _data(answer)
                return _data(answer)
        except TimeoutError:
            raise _silent(patience) from None
        except (OSError, ValueError) as error:  # ValueError: what the pointer holds is no path
            raise NobodyListensError(str(error)) from None


def attach_to(state_dir: str, app: str, patience: float = PATIENCE) -> tuple[Mapping[str, Any], socket.socket]:
    """Return what is told of an app's stop, and the socket to its debugger. Raises as ``ask``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        try:
            _connect(connection, locate(state_dir), patience)
            _send(connection, json.dumps({"v": VERSION, "ask": "attach", "app": app}).encode() + b"\n")
            line, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_HANDOVER, 1)
            while line and not line.endswith(b"\n"):
                line += connection.recv(_LONGEST_HANDOVER)
        except TimeoutError:
            raise _silent(patience) from None
        except (OSError, ValueError) as error:
            raise NobodyListensError(str(error)) from None
    try:
        data = _data(_read(line, "attach"))
        (descriptor,) = descriptors
    except ValueError:
        raise _unknown() from None
    except ConnectionResetError as error:
        raise NobodyListensError(str(error)) from None
    return data, socket.socket(fileno=descriptor)


def _silent(patience: float) -> DevrunError:
    return DevrunError(
        f"the launcher does not answer within {patience:g} s",
        hint="has it been stopped (Ctrl-Z)? `fg` in its terminal lets it go on",
    )


def _connect(connection: socket.socket, path: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError:  # so many want to connect that the queue is full
            if time.monotonic() > deadline:
                raise TimeoutError from None
        time.sleep(0.01)


def _send(connection: socket.socket, request: bytes) -> None:
    with suppress(BrokenPipeError):  # refused before it was read: the reason may wait for us
        connection.sendall(request)


def _read(line: bytes, kind: str) -> Mapping[str, Any]:
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the answer was cut off")
    try:
        found: object = json.loads(line)
    except ValueError:
        found = None
    answer = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if isinstance(answer.get("message"), str):
        raise LauncherError(str(answer.get("error")), answer["message"])
    if answer.get("v") != VERSION or answer.get("answer") != kind:
        raise _unknown()
    return answer


def _data(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    data: object = answer.get("data")
    if not isinstance(data, dict):
        raise _unknown()
    return cast("dict[str, Any]", data)


def _unknown() -> DevrunError:
    return DevrunError(
        "the launcher answers in a way that is not known here", hint="is it another version of devrun? restart it"
    )

"""The JSON lines, and the descriptors, between a child process and the launcher.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NoReturn

_CHUNK_BYTES = 65536
_INT = array("i")
_SPACE = socket.CMSG_SPACE(64 * _INT.itemsize)


def die_with_launcher() -> NoReturn:
    """End this process and its group at once: nobody is left who could ask for anything."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


class Channel:
    """One stream socket to the launcher. Descriptors that came with a message wait in ``descriptors``."""

    def __init__(self, sock: socket.socket, on_end: Callable[[], NoReturn] = die_with_launcher) -> None:
        sock.set_inheritable(False)  # not a child process of the app's to speak here
        self._sock = sock
        self._buffer = b""
        self._on_end = on_end
        self.descriptors: list[int] = []

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Mapping[str, object], descriptors: Sequence[int] = ()) -> None:
        """Send one message. A launcher that is gone is noticed by the reader, not here."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(OSError):
            if descriptors:
                line = line[socket.send_fds(self._sock, [line], list(descriptors)) :]
            self._sock.sendall(line)

    def receive(self) -> dict[str, Any]:
        """Wait for one message; end everything when the launcher is gone."""
        while b"\n" not in self._buffer:
            self._fill(0)
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def poll(self) -> dict[str, Any] | None:
        """Return the next message if it is there. To be called when the socket is readable, or until None."""
        if b"\n" not in self._buffer:
            try:
                self._fill(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
        return self.receive() if b"\n" in self._buffer else None

    def close(self) -> None:
        self._sock.close()

    def _fill(self, flags: int) -> None:
        # socket.recv_fds would do, but it forgets its flags.
        try:
            chunk, extras, _, _ = self._sock.recvmsg(_CHUNK_BYTES, _SPACE, flags)
        except ConnectionError:
            chunk, extras = b"", []
        for level, kind, data in extras:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors = array("i", data[: len(data) - len(data) % _INT.itemsize])
                self.descriptors += descriptors
                for descriptor in descriptors:
                    os.set_inheritable(descriptor, False)
        if not chunk:
            self._on_end()
        self._buffer += chunk

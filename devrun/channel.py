"""JSON lines and descriptors to and from a child process, over a stream socket.

Knows no message; the other end is ``child/channel.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence

CHUNK_BYTES = 65536
MOST_DESCRIPTORS = 16
LONGEST_MESSAGE_BYTES = 8 * 1024 * 1024


class Channel:
    """``deliver`` hears each line; descriptors that came with it wait in ``descriptors``.

    ``closed`` is set when the other end is closed.
    """

    def __init__(self, sock: socket.socket, deliver: Callable[[bytes], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._pending = b""
        self._unsent: deque[tuple[bytes, Sequence[int]]] = deque()
        self.descriptors: deque[int] = deque()
        self.closed = asyncio.Event()
        self._loop.add_reader(sock, self._read)

    def send(self, message: Mapping[str, object], descriptors: Sequence[int] = ()) -> None:
        """Send a message, now or when there is room. The descriptors are copied; the caller's stay the caller's.

        That nobody reads any more is told by ``closed``.
        """
        if self.closed.is_set():
            return
        self._unsent.append((json.dumps(message).encode() + b"\n", [os.dup(one) for one in descriptors]))
        if len(self._unsent) == 1:
            self._write()

    def close(self) -> None:
        """May be called twice."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
        for descriptor in (*self.descriptors, *(one for _, some in self._unsent for one in some)):
            os.close(descriptor)
        self.descriptors.clear()
        self._unsent.clear()
        self.closed.set()

    def _write(self) -> None:
        while self._unsent:
            data, descriptors = self._unsent[0]
            try:
                sent = socket.send_fds(self._sock, [data], descriptors) if descriptors else self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._sock, self._write)
                return
            except OSError:  # the reader notices, too
                sent = len(data)
            for descriptor in descriptors:
                os.close(descriptor)
            if sent < len(data):
                self._unsent[0] = (data[sent:], ())
            else:
                self._unsent.popleft()
        self._loop.remove_writer(self._sock)

    def _read(self) -> None:
        try:
            chunk, descriptors, _, _ = socket.recv_fds(self._sock, CHUNK_BYTES, MOST_DESCRIPTORS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # reset: the other end died with unread words
            chunk, descriptors = b"", []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self.descriptors.extend(descriptors)
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            self._deliver(line)
        if not chunk or len(self._pending) > LONGEST_MESSAGE_BYTES:
            with contextlib.suppress(ValueError):
                self._loop.remove_reader(self._sock)
            self.closed.set()

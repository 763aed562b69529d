"""Bytes on their way to a terminal or a pipe that may be slow, stuck or gone: the event loop never waits for it.

Owns one thread and a bounded promise: whoever puts bytes in looks at ``waiting`` first. Must not know what they mean.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections import deque

_PIECE = 65536
"""Bytes of one write: after each the thread sees whether it is still wanted."""


class Output:
    """A file descriptor that is written to from a daemon thread. An error of the descriptor ends the writing quietly.

    A daemon thread, because a terminal that nobody reads any more must not keep the launcher from ending.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._lost = descriptor is None
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Bytes that are not written yet."""
        return self._waiting

    @property
    def lost(self) -> bool:
        """Nobody can be reached there any more: what is put is dropped."""
        return self._lost

    def put(self, data: bytes) -> None:
        """Write ``data`` soon, after all that was put before."""
        with self._changed:
            if self._lost or self._closed or not data:
                return
            self._chunks.append(data)
            self._waiting += len(data)
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="devrun-output", daemon=True)
            self._thread.start()

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written, at most ``seconds``; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def close(self, seconds: float) -> None:
        """Drain, then take no more; the descriptor stays open."""
        self.drain(seconds)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        # A terminal with `stty tostop` would stop the whole launcher when it runs in the background.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        while (data := self._next()) is not None:
            written = self._write(data)
            with self._changed:
                self._lost = self._lost or not written
                if self._lost:
                    self._chunks.clear()
                self._waiting = 0 if self._lost else self._waiting - len(data)
                self._changed.notify_all()

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._closed)
            return self._chunks.popleft() if self._chunks else None

    def _write(self, data: bytes) -> bool:
        assert self._descriptor is not None
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view[:_PIECE]) :]
            except BlockingIOError:  # somebody else made the shared terminal non-blocking
                select.select([], [self._descriptor], [], 1.0)
            except OSError:
                return False
        return True

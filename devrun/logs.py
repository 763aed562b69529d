"""The lines that workers print: read off their pipes, kept for a while, written down, handed on to the view.

Logs take a road of their own and never pass ``step``. The view gets the lines as they were printed; a tail is plain
text. Must not touch the terminal.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from devrun.events import Notice, Run
from devrun.history import Entry, History
from devrun.outputs.text import log_text
from devrun.state import Snapshot

CHUNK_BYTES = 65536
LONGEST_LINE_BYTES = 65536
# A busy app prints a line at a time, thousands a second, and each would wake the launcher up. After MOST_READS within
# WINDOW_SECONDS the lines are collected for a while: a short one where a pseudo-terminal holds no more than 4 KB.
MOST_READS = 40
WINDOW_SECONDS = 0.1
PAUSE_SECONDS = 0.01
PAUSE_SECONDS_TERMINAL = 0.002

Follower = Callable[[str, list[str]], None]


class Files(Protocol):
    """Where lines are written down. Returns at once, whatever the disk does."""

    def put(self, entry: Entry) -> None: ...


class Logs:
    """Takes the lines of every app, and what the launcher tells: keeps them, writes them down, hands them on."""

    def __init__(self, follower: Follower, history: History, files: Files | None = None) -> None:
        self._follower = follower
        self._history = history
        self._files = files

    def feed(self, run: Run, lines: list[str]) -> None:
        """Keep the lines and hand them on."""
        self._write(self._history.add(run, lines))
        self._follower(run.app, lines)

    def tell(self, notice: Notice) -> None:
        """Keep a notice; the views hear of it elsewhere."""
        self._write(self._history.tell(notice))

    def update(self, snapshot: Snapshot) -> None:
        """Do nothing: lines and notices tell all."""

    def tail(self, run: Run, count: int) -> tuple[str, ...]:
        """Return the newest ``count`` lines of one run, without colours: what another run printed explains nothing."""
        newest = [log_text(line, colour=False) for line in islice(self._history.printed(run), count)]
        return tuple(reversed(newest))

    def _write(self, entry: Entry) -> None:
        if self._files is not None:
            self._files.put(entry)


class LineReader:
    """Reads whole lines off one pipe or pseudo-terminal, a bounded chunk at a time so that no app starves another.

    ``finished`` is set at the end of file; an unfinished last line is delivered then.
    """

    def __init__(self, fd: int, deliver: Callable[[list[str]], None]) -> None:
        self._fd = fd
        self._deliver = deliver
        self._partial = b""
        self.finished = asyncio.Event()
        os.set_blocking(fd, False)
        self._loop = asyncio.get_running_loop()
        self._reads = 0
        self._window = 0.0
        self._pause = PAUSE_SECONDS_TERMINAL if os.isatty(fd) else PAUSE_SECONDS
        self._rest: asyncio.TimerHandle | None = None
        self._go_on()

    def _go_on(self) -> None:
        self._rest = None
        self._loop.add_reader(self._fd, self._read)

    def _pace(self) -> None:
        """Rest for a moment where the reads come thick and fast."""
        now = self._loop.time()
        if now - self._window > WINDOW_SECONDS:
            self._window, self._reads = now, 0
        self._reads += 1
        if self._reads > MOST_READS:
            self._loop.remove_reader(self._fd)
            self._rest = self._loop.call_later(self._pause, self._go_on)

    def _read(self) -> None:
        try:
            chunk = os.read(self._fd, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # Linux: EIO when the last process has closed the pseudo-terminal
            chunk = b""
        if not chunk:
            self.close()
            return
        self._pace()
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        if len(self._partial) > LONGEST_LINE_BYTES:
            lines.append(self._partial)
            self._partial = b""
        if lines:
            self._deliver([_text(line) for line in lines])

    def close(self) -> None:
        """Deliver what is left and stop reading. May be called twice."""
        if self.finished.is_set():
            return
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        if self._partial:
            self._deliver([_text(self._partial)])
        self.finished.set()


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")

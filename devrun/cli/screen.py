"""The terminal during ``devrun up``: the logs of all apps above a live table that stays at the bottom.

Owns the pace of the frames and the cursor. Not rich.Live: that wraps every line and draws from a thread of its own;
here a frame is one write of raw lines, and a terminal that cannot keep up makes frames rarer and skips lines.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TextIO

from devrun.cli.backlog import Backlog
from devrun.cli.look import Look, descriptor_of, in_foreground
from devrun.cli.output import Output
from devrun.cli.painter import HIDE_CURSOR, OURSELVES, SHOW_CURSOR, Painter, frame
from devrun.events import Notice, StackStarting
from devrun.outputs.table import Room
from devrun.state import Snapshot

FRAME_SECONDS = 0.05
TICK_SECONDS = 1.0
"""How often the table is drawn when nothing happens: its times go on."""
PATIENCE = 0.5
"""Seconds that the end may wait for a terminal that does not take its last frame."""


class Screen:
    """A view on a terminal. Call everything on the event loop's thread; call ``close`` whatever happens."""

    def __init__(
        self, stream: TextIO, look: Look, clock: Callable[[], float] = monotonic, hint: str = "h help"
    ) -> None:
        self._descriptor = descriptor_of(stream)
        self._output = Output(self._descriptor)
        self._look = look
        self._clock = clock
        self._hint = hint
        self._painter = Painter(look)
        self._backlog = Backlog()
        self._snapshot: Snapshot | None = None
        self._drawn: list[str] | None = None
        """The table as it stands on the screen, below the cursor."""
        self._clear = False
        self._closed = False
        self._wake = asyncio.Event()

    def tell(self, notice: Notice) -> None:
        """Show a notice among the log lines."""
        if isinstance(notice, StackStarting):
            self._painter.know((*notice.apps, *notice.commands))
        self._backlog.add(OURSELVES, [self._painter.notice(notice)])
        self._wake.set()

    def log(self, app: str, lines: Sequence[str]) -> None:
        """Show lines of an app's output."""
        self._backlog.add(app, lines)
        self._wake.set()

    def update(self, snapshot: Snapshot) -> None:
        """Show this in the table from now on."""
        self._painter.know((*snapshot.apps, *snapshot.commands))
        self._snapshot = snapshot
        self._wake.set()

    def say(self, text: str) -> None:
        """Show text of devrun's own among the log lines, as it is."""
        self._backlog.add(OURSELVES, text.split("\n"))
        self._wake.set()

    def clear(self) -> None:
        """Clear the screen; the table starts again at its top."""
        self._clear = True
        self._wake.set()

    def pause(self) -> None:
        """Leave the terminal to somebody else (the shell, when the launcher is stopped): what is drawn stays."""
        if not self._closed:
            self._leave()
            self._output.drain(PATIENCE)

    def resume(self) -> None:
        """Draw again, after a pause or when something else may have written to the terminal."""
        self._drawn = None
        self._wake.set()

    async def run(self) -> None:
        """Draw until cancelled."""
        with self._watching_the_size():
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._wake.wait()
                if not self._output.waiting:  # else the terminal still has the frame before
                    self._wake.clear()
                    self._paint()
                await asyncio.sleep(FRAME_SECONDS)

    def close(self) -> None:
        """Draw the last state, leave it there, and give the cursor back. A second call does nothing."""
        if not self._closed:
            self._output.drain(PATIENCE)
            self._leave()
            self._closed = True
            self._output.close(PATIENCE)

    def _paint(self) -> None:
        lines = self._painter.lines(self._backlog.take())
        if self._closed:
            return
        if not self._may_redraw():
            self._put("".join(f"{line}\n" for line in lines))
            return
        table = self._table(self._hint)
        if lines or self._clear or table != self._drawn:
            hide = "" if self._drawn else HIDE_CURSOR
            self._put(hide + frame(lines, table, clear=self._clear))
            self._drawn, self._clear = table, False

    def _leave(self) -> None:
        """Draw once more, with the cursor below the table."""
        lines = self._painter.lines(self._backlog.take())
        if self._may_redraw():
            self._put(frame(lines, self._table(hint=""), park=False) + SHOW_CURSOR)
        else:
            self._put("".join(f"{line}\n" for line in lines))
        self._drawn = None

    def _put(self, text: str) -> None:
        self._output.put(text.encode(self._look.encoding, "replace"))

    def _may_redraw(self) -> bool:
        """A background job writes its lines below each other: erasing would hit what the shell has written."""
        return self._descriptor is not None and in_foreground(self._descriptor)

    def _table(self, hint: str) -> list[str]:
        if self._snapshot is None:
            return []
        columns, rows = self._size()
        room = Room(columns, max(rows * 2 // 3, 1), self._look.unicode)
        return self._painter.table(self._snapshot, self._clock(), room, hint)

    def _size(self) -> tuple[int, int]:
        with suppress(OSError):
            size = os.get_terminal_size(self._descriptor or 0)
            if size.columns and size.lines:
                return size.columns, size.lines
        return 80, 24

    @contextmanager
    def _watching_the_size(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        # Off the main thread there are no signals: the next tick sees the new size.
        with suppress(ValueError, RuntimeError):
            loop.add_signal_handler(signal.SIGWINCH, self.resume)
        try:
            yield
        finally:
            with suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(signal.SIGWINCH)

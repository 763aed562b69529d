"""``devrun up`` off a terminal, with ``--plain`` or ``--json``: one line an event, never redrawn.

Owns the order of the lines and what is skipped when the reader is slow. Must not know terminals.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from devrun.cli.look import Look, descriptor_of
from devrun.cli.output import Output
from devrun.events import Notice, Warned
from devrun.outputs.jsonl import event, log_event
from devrun.outputs.lines import lines_of, log_line
from devrun.state import Snapshot

BACKLOG_BYTES = 16 * 2**20
"""What a slow reader may leave unread; log lines beyond it are skipped, and counted."""
PATIENCE = 1.0
"""Seconds that the end may wait for a slow reader."""


class Plain:
    """Lines for machines. A reader that has gone away is no error."""

    def __init__(self, stream: TextIO | None, look: Look) -> None:
        self._output = Output(descriptor_of(stream))
        self._look = look
        self._skipped: Counter[str] = Counter()

    def tell(self, notice: Notice) -> None:
        """Print a notice; notices are never skipped."""
        self._report_skipped()
        self._put([self._notice(notice)])

    def log(self, app: str, lines: Sequence[str]) -> None:
        """Print lines of an app's output."""
        if self._output.waiting > BACKLOG_BYTES:
            self._skipped[app] += len(lines)
            return
        self._report_skipped()
        self._put([self._line(app, text) for text in lines])

    def update(self, snapshot: Snapshot) -> None:
        """Do nothing: notices tell everything that these lines do."""

    async def run(self) -> None:
        """Wait until cancelled: the lines are written as they come."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """Print what is left, as far as the reader takes it in time."""
        self._report_skipped()
        self._output.close(PATIENCE)

    def _notice(self, notice: Notice) -> str:
        return "\n".join(lines_of(notice))

    def _line(self, app: str, text: str) -> str:
        return log_line(app, text, colour=self._look.colour)

    def _report_skipped(self) -> None:
        if self._skipped:
            told = [Warned(f"{lost:,} lines skipped: the reader is slow", app) for app, lost in self._skipped.items()]
            self._skipped.clear()
            self._put([self._notice(warned) for warned in told])

    def _put(self, lines: Sequence[str]) -> None:
        text = "".join(f"{text}\n" for text in lines)
        self._output.put(text.encode(self._look.encoding, "replace"))


class JsonLines(Plain):
    """The same, one JSON object a line."""

    def _notice(self, notice: Notice) -> str:
        return event(notice)

    def _line(self, app: str, text: str) -> str:
        return log_event(app, text)

"""The log lines that wait for the next frame. Bounded: of an app that floods only the newest are kept, and counted.

Must not know the terminal. (Pure, but for being mutable: it is the painter's inbox.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import count

from msgspec import Struct, field

FRAME_LINES = 1000
"""Lines of one frame. More would outrun terminals and hold the event loop for too long."""


class Waiting(Struct, frozen=True):
    """Lines of one app that follow each other; ``skipped`` lines went missing before them."""

    app: str
    skipped: int
    lines: Sequence[str]


class _Queue(Struct):
    lines: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=FRAME_LINES))
    skipped: int = 0

    def trim(self, most: int) -> None:
        while len(self.lines) > most:
            self.lines.popleft()
            self.skipped += 1


class Backlog:
    """An inbox with a queue for every app, so that a flood of one pushes out no line of another."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._order = count()

    def __bool__(self) -> bool:
        return any(queue.lines for queue in self._queues.values())

    def add(self, app: str, lines: Sequence[str]) -> None:
        queue = self._queues.setdefault(app, _Queue())
        newest = lines[-FRAME_LINES:]
        queue.skipped += len(lines) - len(newest) + max(len(queue.lines) + len(newest) - FRAME_LINES, 0)
        queue.lines.extend(zip(self._order, newest, strict=False))

    def take(self) -> list[Waiting]:
        """Empty it: the newest lines of every app in the order of their coming, a frame's worth in all."""
        busy = {app: queue for app, queue in self._queues.items() if queue.lines}
        share = max(FRAME_LINES // len(busy), 1) if busy else 0
        entries: list[tuple[int, str, str]] = []
        skipped: dict[str, int] = {}
        for app, queue in busy.items():
            queue.trim(share)
            skipped[app] = queue.skipped
            entries += [(order, app, line) for order, line in queue.lines]
            queue.lines.clear()
            queue.skipped = 0
        entries.sort()
        return _grouped(entries, skipped)


def _grouped(entries: list[tuple[int, str, str]], skipped: dict[str, int]) -> list[Waiting]:
    groups: list[Waiting] = []
    lines: list[str] = []
    last: str | None = None
    for _, app, line in entries:
        if app != last:
            lines = []
            groups.append(Waiting(app, skipped.pop(app, 0), lines))
            last = app
        lines.append(line)
    return groups

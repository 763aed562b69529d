"""What apps printed and the launcher told, the newest of it: bounded by bytes for each app, and who follows it.

Must not know pipes, terminals or sockets.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from devrun.events import Notice, Run
from devrun.outputs.lines import words

RING_BYTES = 1_000_000
FOLLOWER_BYTES = 4_000_000
"""What a follower may leave unread."""
LINE_BYTES = 64
"""What a line takes besides its characters: empty ones fill the memory too."""

Wanted = Callable[[str | None], bool]
"""Whether lines of this app are wanted; None stands for the launcher."""


class Entry(Struct, frozen=True):
    """Lines that came together. ``order`` numbers all entries, ``first`` the lines of their app.

    ``run`` is None where the launcher itself has something to tell: ``notice``.
    """

    order: int
    run: Run | None
    first: int
    at: float
    """Seconds since 1970."""
    lines: Sequence[str]
    notice: Notice | None = None

    @property
    def app(self) -> str | None:
        return None if self.run is None else self.run.app

    @property
    def size(self) -> int:
        return sum(map(len, self.lines)) + LINE_BYTES * len(self.lines)

    def newest(self, most: int) -> Entry:
        """Return it with its last lines alone."""
        missing = max(len(self.lines) - most, 0)
        return replace(self, first=self.first + missing, lines=self.lines[missing:]) if missing else self


class TooSlowError(Exception):
    """A follower has left too much unread."""


class History:
    """The newest entries of each app. ``clock`` returns seconds since 1970."""

    def __init__(self, clock: Callable[[], float], ring_bytes: int = RING_BYTES) -> None:
        self._clock = clock
        self._ring_bytes = ring_bytes
        self._rings: dict[str | None, _Ring] = {}
        self._order = count(1)
        self._followers: set[Follower] = set()

    def add(self, run: Run, lines: Sequence[str]) -> Entry:
        """Keep lines of an app."""
        return self._keep(run, lines, None)

    def tell(self, notice: Notice) -> Entry:
        """Keep a notice of the launcher."""
        return self._keep(None, [words(notice)], notice)

    def entries(self, wanted: Wanted, *, last: int | None = None, after: int = 0) -> list[Entry]:
        """Return what is there, in the order of its coming; of it only the ``last`` lines, and only ``after`` that."""
        rings = [ring for app, ring in self._rings.items() if wanted(app)]
        found = [entry for ring in rings for entry in ring.entries if entry.order > after]
        found.sort(key=lambda entry: entry.order)
        return found if last is None else _last(found, last)

    def printed(self, run: Run) -> Iterator[str]:
        """Return the lines of one run, the newest first."""
        ring = self._rings.get(run.app)
        for entry in reversed(() if ring is None else ring.entries):
            if entry.run == run:
                yield from reversed(entry.lines)

    @contextmanager
    def followed(self, wanted: Wanted, limit: int = FOLLOWER_BYTES) -> Generator[Follower]:
        """Hear of all that comes from now on."""
        follower = Follower(wanted, limit)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def _keep(self, run: Run | None, lines: Sequence[str], notice: Notice | None) -> Entry:
        app = None if run is None else run.app
        ring = self._rings.get(app)
        if ring is None:
            ring = self._rings[app] = _Ring(self._ring_bytes)
        entry = Entry(next(self._order), run, ring.lines + 1, self._clock(), lines, notice)
        ring.put(entry)
        for follower in self._followers:
            follower.put(entry)
        return entry


class Follower:
    """Entries on their way to one reader."""

    def __init__(self, wanted: Wanted, limit: int) -> None:
        self._wanted = wanted
        self._limit = limit
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._lost = False
        self._news = asyncio.Event()

    def put(self, entry: Entry) -> None:
        if self._lost or not self._wanted(entry.app):
            return
        self._bytes += entry.size
        self._lost = self._bytes > self._limit
        if not self._lost:
            self._entries.append(entry)
        self._news.set()

    async def take(self) -> Entry:
        """Return the next entry. Raises TooSlowError after the last one before those that had no room."""
        while not self._entries:
            if self._lost:
                raise TooSlowError
            self._news.clear()
            await self._news.wait()
        entry = self._entries.popleft()
        self._bytes -= entry.size
        return entry


class _Ring:
    """The entries of one app, not more than a number of bytes. ``lines``: how many there ever were."""

    def __init__(self, limit: int) -> None:
        self.entries: deque[Entry] = deque()
        self.lines = 0
        self._limit = limit
        self._size = 0

    def put(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.lines += len(entry.lines)
        self._size += entry.size
        while self._size > self._limit:
            oldest = self.entries.popleft()
            kept = _fitting(oldest.lines, oldest.size - (self._size - self._limit))
            self._size -= oldest.size
            if kept:
                self.entries.appendleft(oldest.newest(kept))
                self._size += self.entries[0].size


def _fitting(lines: Sequence[str], limit: int) -> int:
    """How many of the newest lines fit."""
    size = 0
    for number, line in enumerate(reversed(lines)):
        size += LINE_BYTES + len(line)
        if size > limit:
            return number
    return len(lines)


def _last(entries: list[Entry], most: int) -> list[Entry]:
    kept: list[Entry] = []
    for entry in reversed(entries):
        if most <= 0:
            break
        kept.append(entry.newest(most))
        most -= len(entry.lines)
    kept.reverse()
    return kept

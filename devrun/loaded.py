"""Which files the runs of one app have loaded, and in which state each of them counts as known.

Pure: stamps of the disk come from outside. Knows no patterns and no watcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from devrun.events import LoadedFile

Stamp = tuple[int, int, int]
"""(mtime_ns, size, inode) of a file."""


class Ledger:
    """The loaded files of one app's current run, and of the runs before it until the current one has settled."""

    def __init__(self) -> None:
        self.generation = 0
        self._files: dict[str, Stamp | None] = {}
        self._carried: dict[str, Stamp | None] = {}
        # Files that were read twice by this run, or by the one before, and were another in between.
        self._moved: set[str] = set()
        self._moved_before: set[str] = set()
        # A save that was told during this run: neither a second word of it nor the worker's late report of the
        # state before it may cause one more reload.
        self._told: dict[str, Stamp | None] = {}

    def begin(self, generation: int) -> None:
        """A new run starts; until it settles, what the older ones loaded still counts. An older run is no news."""
        if generation <= self.generation:
            return
        self.generation = generation
        self._carried = {**self._carried, **self._files, **self._told}
        self._files, self._told = {}, {}
        self._moved, self._moved_before = set(), self._moved

    def load(self, generation: int, files: Iterable[LoadedFile]) -> bool:
        """The run reports files; False if it is an older run, whose word no longer matters.

        Of a file that is read twice and was saved in between, the older state counts: it is in the run. Once: an app
        that does this itself will do it each time. Else the newest report does: it may write a file before it loads it.
        """
        if generation < self.generation:
            return False
        self.begin(generation)
        for file in files:
            before = self._files.get(file.path)
            moved = None not in (before, file.stamp) and before != file.stamp
            if moved:
                self._moved.add(file.path)
            if not moved or file.path in self._moved_before:
                self._files[file.path] = file.stamp
        return True

    def settle(self, generation: int) -> None:
        """The run has loaded what it needs: forget what only older runs loaded."""
        if generation == self.generation:
            self._carried = {}
            self._told = {path: stamp for path, stamp in self._told.items() if path in self._files}

    def tracks(self, path: str) -> bool:
        return path in self._files or path in self._carried

    def known(self, path: str) -> Stamp | None:
        """The newest state of the file that a run has read or that was told; None: absent."""
        for stamps in (self._told, self._files, self._carried):
            if path in stamps:
                return stamps[path]
        return None

    def tell(self, path: str, stamp: Stamp | None) -> None:
        """The change of a tracked file to this state is being told."""
        self._told[path] = stamp

    def __iter__(self) -> Iterator[str]:
        return iter({**self._carried, **self._files})

"""Walks the folders of a project's own files, leaving out what is not a person's own *before* going in.

Reads the disk, in whatever thread it is called; watches nothing and remembers nothing.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set

from msgspec import Struct

from devrun.loaded import Stamp
from devrun.matching import MARKERS, Root, below, is_pruned

MOST_FOLDERS = 10_000
"""A link to a disk full of data must not take all of the machine's watches."""

Identity = tuple[int, int]
"""(device, inode): a folder that was removed and made again is another one."""


class Tree(Struct, frozen=True):
    """What a walk found. Paths are real ones, free of links.

    ``files``: those that were asked for. ``links``: (real path, another name of it), of folders and of files that were
    asked for. ``missing``: roots that are not there. ``cut``: there are more folders than ``MOST_FOLDERS``.
    """

    folders: Mapping[str, Identity]
    files: Mapping[str, Stamp]
    links: Sequence[tuple[str, str]]
    missing: Set[str]
    cut: bool = False

    def names(self, path: str) -> list[str]:
        """All names that a real path goes by."""
        others = ((name, below(path, real)) for real, name in self.links)
        return [path, *(os.path.join(name, *parts) for name, parts in others if parts is not None)]


def stamp(path: str) -> Stamp | None:
    """(mtime_ns, size, inode), or None where there is nothing: as a worker reports it."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def file_stamp(path: str) -> Stamp | None:
    """The stamp of a regular file, else None."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def identity(folder: str) -> Identity | None:
    """Which folder this is; None if it is none, cannot be read, or has a name that the watcher cannot take."""
    try:
        folder.encode()
        found = os.stat(folder)
    except (OSError, ValueError):
        return None
    readable = stat.S_ISDIR(found.st_mode) and os.access(folder, os.R_OK)
    return (found.st_dev, found.st_ino) if readable else None


def walk(roots: Sequence[Root], asked: Callable[[str], bool], skipped: Callable[[str], bool]) -> Tree:
    """Find the folders of own files below ``roots``, and the files that are ``asked`` for by one of their names.

    The first root is the project. A root is never left out, whatever its name; folders that vanish or cannot be read
    are passed over.
    """
    walker = _Walker(asked, skipped, os.path.realpath(roots[0].path))
    for root in sorted(roots, key=lambda root: not root.deep):  # else a shallow root hides the folders below it
        walker.enter(root)
    return Tree(walker.folders, walker.files, walker.links, walker.missing, walker.cut)


class _Walker:
    def __init__(self, asked: Callable[[str], bool], skipped: Callable[[str], bool], project: str) -> None:
        self.folders: dict[str, Identity] = {}
        self.files: dict[str, Stamp] = {}
        self.links: list[tuple[str, str]] = []
        self.missing: set[str] = set()
        self.cut = False
        self._asked = asked
        self._skipped = skipped
        self._project = project
        self._listed: set[str] = set()
        self._queue: deque[tuple[str, str]] = deque()

    def enter(self, root: Root) -> None:
        real = os.path.realpath(root.path)
        if real != root.path:
            self.links.append((real, root.path))
        if not os.path.isdir(real):
            self._enter_file(real, root.path)
            return
        self._list(real, root.path, root=True)
        while root.deep and self._queue:
            self._list(*self._queue.popleft())
        self._queue.clear()

    def _enter_file(self, real: str, name: str) -> None:
        """A root may be a file, or be missing."""
        if found := file_stamp(real):
            self.files[real] = found
            self._add(os.path.dirname(real))
            self._add(os.path.realpath(os.path.dirname(name)))
        else:
            self.missing.add(name)

    def _list(self, real: str, name: str, root: bool = False) -> None:
        if real in self._listed:
            return
        if len(self.folders) >= MOST_FOLDERS:
            self.cut = True
            return
        entries = _entries(real)
        if entries is None or (not root and not MARKERS.isdisjoint(entry.name for entry in entries)):
            return
        self._listed.add(real)
        self._add(real)
        for entry in entries:
            self._sort(entry, os.path.join(name, entry.name))

    def _sort(self, entry: os.DirEntry[str], name: str) -> None:
        try:
            linked, folder = entry.is_symlink(), entry.is_dir()
        except OSError:
            return
        if not folder:
            if self._asked(name):
                self._keep(entry.path, name, linked)
        elif not is_pruned(entry.name) and not self._skipped(name):
            self._go_into(entry.path, name, linked)

    def _go_into(self, path: str, name: str, linked: bool) -> None:
        """Queue a folder; not a link to where installed packages are, nor to a parent of the project: half the disk."""
        real = os.path.realpath(path) if linked else path
        if linked:
            if is_pruned(os.path.basename(real)) or below(self._project, real):
                return
            self.links.append((real, name))
        self._queue.append((real, name))

    def _keep(self, path: str, name: str, linked: bool) -> None:
        real = os.path.realpath(path) if linked else path
        if found := file_stamp(real):
            self.files[real] = found
        if linked:
            self.links.append((real, name))
            self._add(os.path.dirname(real))

    def _add(self, folder: str) -> None:
        if found := identity(folder):
            self.folders[folder] = found


def _entries(folder: str) -> list[os.DirEntry[str]] | None:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except OSError:
        return None

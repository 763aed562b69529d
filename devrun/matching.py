"""Which files concern an app: its ``watch`` and ``ignore`` entries, and what nobody means when naming a folder.

Pure: paths are absolute, normalised text. Asks the disk nothing but the ``is_folder`` that it is handed.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from glob import escape

from msgspec import Struct

from devrun.plan import AppPlan

PRUNED = frozenset(
    (
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "site-packages", "__pycache__"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".cache", ".idea", ".vscode"),
        *("dist", "build", "target", ".next", ".nuxt", ".svelte-kit", ".turbo", ".devrun", "coverage", "htmlcov"),
    )
)
"""Names of folders that hold no source of a person's own."""

MARKERS = frozenset({"pyvenv.cfg", "CACHEDIR.TAG"})
"""Names of files whose folder is a virtual environment or a cache, whatever it is called."""

JUNK = (
    *("*~", ".#*", "#*#", "*.sw[nopx]", "4913", "*.tmp", ".DS_Store", "*___jb_tmp___", "*___jb_old___"),
    *(".goutputstream-*", "*.kate-swp", "*.crswap", "*.py[co]"),
)
"""Names that editors, desktops and Python write next to the file that is meant."""


def is_pruned(name: str) -> bool:
    """Whether a folder of this name is left out, unless it is named or holds a loaded file."""
    return name in PRUNED or name.endswith(".egg-info")


def is_junk(name: str) -> bool:
    """Whether a file of this name is left out when a whole folder or a wide pattern is watched."""
    return any(fnmatchcase(name, pattern) for pattern in JUNK)


class Entry(Struct, frozen=True):
    """One ``watch`` or ``ignore`` entry: ``segments`` are matched below the folder ``base``, as gitignore does.

    ``**`` stands for any number of folders, no segments for everything. What matches a folder matches all below it.
    """

    base: str
    segments: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        """Whether the entry matches, taken as it stands."""
        parts = below(path, self.base)
        return parts is not None and _match(parts, self.segments)

    def wants(self, path: str) -> bool:
        """Whether the entry matches and means this file: not junk, not in a pruned folder below ``base``."""
        parts = below(path, self.base)
        if not parts or not _match(parts, self.segments) or any(map(is_pruned, parts[:-1])):
            return False
        return not is_junk(parts[-1]) or bool(self.segments and is_junk(self.segments[-1]))


class Root(Struct, frozen=True):
    """A folder to watch: with all folders below it (``deep``), or only the folder itself."""

    path: str
    deep: bool = True


class Interest(Struct, frozen=True):
    """What one app cares about besides the files that it loads, and what it does not."""

    app: str
    roots: tuple[Root, ...]
    watch: tuple[Entry, ...]
    ignore: tuple[Entry, ...]

    def wants(self, path: str) -> bool:
        return any(entry.wants(path) for entry in self.watch)

    def ignores(self, path: str) -> bool:
        return any(entry.covers(path) for entry in self.ignore)


CONFIG = "devrun.toml"
"""In the place of an app's name: the files from which the stack is planned. (No app can have this name.)"""


def interest_in(files: Iterable[str]) -> Interest:
    """Care about exactly these files, wherever they are and whether or not they exist."""
    places = [os.path.split(file) for file in files]
    roots = tuple(Root(folder, deep=False) for folder in dict.fromkeys(folder for folder, _ in places))
    return Interest(CONFIG, roots, tuple(Entry(folder, (escape(name),)) for folder, name in places), ())


def interest(plan: AppPlan, project: str, is_folder: Callable[[str], bool]) -> Interest:
    """Read the entries of an app. An ``ignore`` pattern without a slash also counts in folders outside ``cwd``."""
    cwd = os.path.normpath(plan.cwd)
    roots = tuple(_root(text, cwd, is_folder) for text in plan.watch)
    places = dict.fromkeys([cwd, project, *(root.path for root in roots)])
    ignore = [read_entry(text, place, is_folder) for text in plan.ignore for place in _places(text, cwd, places)]
    watch = tuple(read_entry(text, cwd, is_folder) for text in plan.watch)
    return Interest(plan.name, (Root(cwd), *roots), watch, tuple(ignore))


def read_entry(text: str, cwd: str, is_folder: Callable[[str], bool]) -> Entry:
    """Read one entry, relative to ``cwd``: a folder, or a pattern that matches at any depth if it has no slash."""
    fixed, pattern = _split(text)
    base = _join(cwd, fixed)
    if pattern:
        anchored = fixed or len(pattern) > 1
        return Entry(base, (*pattern, *_folder_only(text)) if anchored else ("**", *pattern, *_folder_only(text)))
    if is_folder(base):
        return Entry(base)
    name = os.path.basename(base)
    if "/" in text.rstrip("/"):
        return Entry(os.path.dirname(base), (name, *_folder_only(text)))
    return Entry(cwd, ("**", name, *_folder_only(text)))


def below(path: str, folder: str) -> Sequence[str] | None:
    """The parts of ``path`` below ``folder``; empty if they are the same, None if it lies elsewhere."""
    if path == folder:
        return ()
    prefix = folder.rstrip("/") + "/"
    return path[len(prefix) :].split("/") if path.startswith(prefix) else None


def _root(text: str, cwd: str, is_folder: Callable[[str], bool]) -> Root:
    """Where an entry has its files. A missing folder is its own root: its parent may be somebody's whole home."""
    fixed, pattern = _split(text)
    path = _join(cwd, fixed)
    if pattern:
        return Root(path, deep=len(pattern) > 1)
    if not is_folder(path) and "/" not in text.rstrip("/"):
        return Root(cwd)
    return Root(path)


def _places(text: str, cwd: str, places: Iterable[str]) -> Iterable[str]:
    return (cwd,) if "/" in text.rstrip("/") else places


def _split(text: str) -> tuple[list[str], list[str]]:
    """The leading segments without a wildcard, and the segments from the first wildcard on."""
    bare = text.rstrip("/") or text
    segments = bare.split("/") if bare else []
    wild = (index for index, segment in enumerate(segments) if any(sign in segment for sign in "*?["))
    first = next(wild, len(segments))
    return segments[:first], segments[first:]


def _folder_only(text: str) -> tuple[str, ...]:
    return ("*",) if text.endswith("/") else ()


def _join(cwd: str, segments: Sequence[str]) -> str:
    return os.path.normpath(os.path.join(cwd, "/".join(segments) or ("/" if segments else "")))


def _match(parts: Sequence[str], segments: Sequence[str]) -> bool:
    if not segments:
        return True
    if segments[0] == "**":
        return any(_match(parts[index:], segments[1:]) for index in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], segments[0]) and _match(parts[1:], segments[1:])

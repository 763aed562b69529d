"""What an import has rested upon so far: modules, data files, folders, looks, and whether all that is still the same.

Own files come from ``loading``, data files and listings from audit events (https://docs.python.org/3/library/audit_events.html).
Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import sys
from collections.abc import Generator, Iterable, Iterator
from functools import lru_cache
from importlib.util import source_from_cache
from itertools import islice
from typing import Any, Callable, Optional

from .halves import Halves
from .immortal import stop_counting
from .loading import LoadedFile, Stamp, asked_by, stamp
from .looks import Look, hearing, look
from .replaced import Replaced

_MOST_FOLDERS = 2000
_PACKAGES = frozenset(("site-packages", "dist-packages"))
_WRITING = os.O_WRONLY | os.O_TRUNC | os.O_APPEND
_BYTE_CODE = f"{os.sep}__pycache__"
_SPECIAL = ("/proc/", "/dev/", "/sys/")
_PROGRAMS = ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "pty.spawn")
_HEARD = frozenset(("open", "os.listdir", "os.scandir", "os.mkdir", "sqlite3.connect", *_PROGRAMS))
_KEEPS_NUMBER = "psutil"
"""Whose objects hold on to the number of the process that made them. Many others ask for it only to notice a fork."""
Listing = Optional[tuple[int, frozenset[str]]]
"""The mtime_ns of a folder and the names in it; None: there is none."""


class Traces:
    """Hears of what the app's import looks at from ``begin`` to ``end``.

    ``junk``: patterns of names that come and go without meaning; ``pruned``: names of folders that hold no source.
    """

    def __init__(self, own: Callable[[str], bool], junk: Iterable[str], pruned: Iterable[str]) -> None:
        self._own = own
        self._pruned = frozenset(pruned)
        self._junk = _matcher(tuple(junk))
        self._files: dict[str, Stamp] = {}
        self._folders: dict[str, Listing] = {}
        self._looks: dict[tuple[str, bool], Look] = {}
        self._made: list[str] = []
        self._heard: list[Replaced] = []
        self._listening = False
        self._half_run: tuple[str, Halves] | None = None
        self._obstacle: str | None = None

    def begin(self) -> None:
        self._listening = True
        heard, audit = _HEARD, self._audit

        # It stays for the life of the process, and hears of everything: a plain function that looks once is cheapest.
        def hook(event: str, args: tuple[Any, ...]) -> None:
            if event in heard:
                audit(event, args)

        sys.addaudithook(hook)
        self._heard = [*hearing(self._look), Replaced("getpid", self._hear_number).install()]

    @property
    def obstacle(self) -> str | None:
        """Why an import cannot go on from here later."""
        # The run that has made it may remove it when it ends, as it does with temporary folders.
        made = next(filter(os.path.lexists, self._made), None)
        return self._obstacle if made is None else f"makes {made}, which may be gone next time"

    @property
    def count(self) -> int:
        """How many files the import rests upon so far."""
        return len(self._files)

    @contextlib.contextmanager
    def between(self, path: str, halves: Halves) -> Generator[None, None, None]:
        """Here, of this file only the first half has been run; the other one may change."""
        self._half_run = (os.path.abspath(path), halves)
        try:
            yield
        finally:
            self._half_run = None

    def resume(self) -> None:
        """Go on after ``complete``, in a process that goes on with the import."""
        self._listening = True

    def known(self, files: Iterable[LoadedFile]) -> list[LoadedFile]:
        """Return these files as they were when they were last looked at."""
        return [(path, self._files.get(path, found)) for path, found in files]

    def end(self) -> None:
        self._listening = False
        for one in self._heard:
            one.remove()

    def note(self, files: Iterable[LoadedFile]) -> None:
        """These own files are about to be read, or were not there."""
        for path, found in files:
            self._files.setdefault(path, found)

    def complete(self, roots: Iterable[str] = ()) -> None:
        """Take in what takes time: all folders below ``roots``, and the installed modules that are loaded.

        A folder of packages changes when one is installed or removed.
        """
        self._listening = False
        searched = [os.path.abspath(path) for path in sys.path if self._own(os.path.join(os.path.abspath(path), ""))]
        for folder in (*_walk(roots, self._pruned), *package_folders(), *searched):
            if folder not in self._folders:
                self._folders[folder] = self._list(folder)
        for _, path in installed_modules(lambda _: False):  # own ones, too: what no finder of ours has seen
            if path not in self._files:
                self._files[path] = stamp(path)
        stop_counting(self._looked_at())

    def _looked_at(self) -> Iterator[object]:
        """Yield what ``changed`` takes in its hands."""
        for path, found in self._files.items():
            yield from (path, found, *(found or ()))
        for folder, listing in self._folders.items():
            yield from (folder, listing, *(listing or ()))
        for looked, seen in self._looks.items():
            yield from (looked, *looked, seen)

    def changed(self) -> list[str]:
        """Return the paths that are no longer as they were; a few at most."""
        found = [path for path, seen in list(self._files.items()) if not self._is_as_seen(path, seen)]
        found += [path for path in list(self._folders) if self._has_changed(path)]
        found += [path for (path, itself), seen in self._looks.items() if look(path, itself) != seen]
        return list(dict.fromkeys(found))[:5]

    def _is_as_seen(self, path: str, seen: Stamp) -> bool:
        found = stamp(path)
        if found == seen:
            return True
        if self._half_run is None or self._half_run[0] != path:
            return False
        try:
            with open(path, "rb") as file:
                source = file.read()
        except OSError:
            return False
        if not self._half_run[1].take(source):
            return False
        self._files[path] = found
        return True

    def _look(self, target: Any, itself: bool) -> None:
        if self._listening:
            self._listening = False  # what is done here asks for the working directory
            with contextlib.suppress(Exception):
                path = os.path.abspath(os.fsdecode(target))
                if not path.startswith(_SPECIAL) and self._own(path) and (path, itself) not in self._looks:
                    self._looks[path, itself] = look(path, itself)
            self._listening = True

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if self._listening:
            self._listening = False  # what is done here is heard, too
            with contextlib.suppress(Exception):  # it would come out of the app's own call
                self._hear(event, args)
            self._listening = True

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _PROGRAMS:
            if asked_by(self._own):
                self._obstacle = "runs a program, whose answer may be another one next time"
            return
        target = args[0]
        if isinstance(target, int):
            return
        path = os.path.abspath("." if target is None else os.fsdecode(target))
        if path.startswith(_SPECIAL) or not self._own(path):
            return
        if event == "sqlite3.connect":
            for name in (path, path + "-wal", path + "-journal"):
                self._files.setdefault(name, stamp(name))
        elif event == "os.mkdir" or (event == "open" and args[2] & _WRITING):
            if _BYTE_CODE not in path and not os.path.lexists(path):
                self._made.append(path)
        elif event == "open":
            self._hear_file(path)
        else:
            self._folders.setdefault(path, self._list(path))

    def _hear_number(self) -> None:
        with contextlib.suppress(Exception):  # it would come out of the app's own call; C code may be the one that asks
            caller = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
            keeps = self._own(caller.f_code.co_filename) or caller.f_globals.get("__name__") == _KEEPS_NUMBER
            if self._listening and keeps:
                self._obstacle = "asks for the number of its process, which will be another one next time"

    def _hear_file(self, path: str) -> None:
        if path.endswith(".pyc"):
            try:
                path = source_from_cache(path)
            except ValueError:
                return  # byte code without a source: a file like any other would have another name
        self._files.setdefault(path, stamp(path))

    def _has_changed(self, folder: str) -> bool:
        before = self._folders[folder]
        try:
            mtime = os.stat(folder).st_mtime_ns
        except OSError:
            return before is not None
        if before is None:
            return True
        if mtime == before[0]:
            return False
        now = self._list(folder)
        if now is None or now[1] != before[1]:
            return True
        self._folders[folder] = now
        return False

    def _list(self, folder: str) -> Listing:
        try:
            mtime = os.stat(folder).st_mtime_ns
            names = os.listdir(folder)
        except OSError:
            return None
        return mtime, frozenset(name for name in names if name not in self._pruned and not self._junk(name))


@lru_cache(maxsize=1)  # a fork server has made it when its children need it
def _matcher(patterns: tuple[str, ...]) -> Callable[[str], object]:
    return re.compile("|".join(map(fnmatch.translate, patterns)) or "(?!)").match


def _walk(roots: Iterable[str], pruned: frozenset[str]) -> Iterator[str]:
    """Yield the folders below ``roots``, those of caches and virtual environments left out."""
    count = 0
    for root in dict.fromkeys(roots):
        for folder, below, files in os.walk(root):
            if "pyvenv.cfg" in files or "CACHEDIR.TAG" in files:
                below.clear()
                continue
            below[:] = [name for name in below if name not in pruned and not name.endswith(".egg-info")]
            count += 1
            if count > _MOST_FOLDERS:
                return
            yield folder


def installed_modules(own: Callable[[str], bool], skipped: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (name, file) of each module that is not the app's own, in the order in which their imports ended.

    The first ``skipped`` are not even looked at.
    """
    newest = list(islice(reversed(sys.modules), max(0, len(sys.modules) - skipped)))
    for name in reversed(newest):
        # Not getattr: a module may be any object, and asking it may import more.
        spec = _namespace(sys.modules.get(name)).get("__spec__")
        origin = getattr(spec, "origin", None)
        if isinstance(origin, str) and getattr(spec, "has_location", False) and not own(origin):
            yield name, origin


def _namespace(module: object) -> dict[str, Any]:
    try:
        return object.__getattribute__(module, "__dict__")  # type: ignore[no-any-return]
    except AttributeError:
        return {}


def is_package_file(path: str) -> bool:
    """Whether a file was installed, as opposed to the standard library's."""
    return not _PACKAGES.isdisjoint(path.split(os.sep))


def package_folders() -> list[str]:
    """Return the folders on ``sys.path`` into which packages are installed."""
    return [path for path in sys.path if os.path.basename(path.rstrip(os.sep)) in _PACKAGES]

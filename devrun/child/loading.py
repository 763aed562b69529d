"""Sees each of the project's own modules about to be imported, and keeps stale byte code away from it.

A ``.pyc`` is matched by whole-second mtime and size (https://docs.python.org/3/reference/import.html#pyc-validation),
so two saves of equal length within one second would run the old code. Here byte code counts only when it was written
two seconds or more after the source last changed, and is only written then.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from importlib._bootstrap import _call_with_frames_removed as _call  # type: ignore[attr-defined]
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import FrameType, ModuleType
from typing import Any, Callable, Optional, Protocol

from .halves import Halves, split

SETTLED_SECONDS = 2.0
_stat = os.stat  # what is looked at here is no look of the app's: see ``looks``
_IMPORTLIB = "<frozen importlib._bootstrap_external>"
Stamp = Optional[tuple[int, int, int]]
LoadedFile = tuple[str, Stamp]
Report = Callable[[list[LoadedFile]], None]


class Pauses(Protocol):
    """Where a process may be parked in the middle of an import, so that another one goes on from there later."""

    def before(self, path: str) -> bool:
        """In front of a file. True: this process went on from there only now."""
        ...

    def opens(self, path: str) -> bool:
        """Say whether to ask ``within`` for this file, which is about to be run."""
        ...

    def within(self, path: str, halves: Halves) -> None:
        """Between the halves of a file; when a process goes on from there, the second one is the newest."""


class Own:
    """Tells the project's own files from those of the interpreter and of installed packages."""

    def __init__(self) -> None:
        # Without sysconfig: what is imported for this the app could not replace by a module of its own any more.
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        platform = os.path.join(sys.base_exec_prefix, getattr(sys, "platlibdir", "lib"), version)
        folders = [os.path.dirname(os.__file__), platform, os.path.dirname(os.path.abspath(__file__))]
        self._foreign = tuple(
            {os.path.join(form(folder), "") for folder in folders for form in (str, os.path.realpath)}
        )

    def __call__(self, path: str) -> bool:
        if not path or path.startswith("<") or path.startswith(self._foreign):
            return False
        parts = path.split(os.sep)
        return "site-packages" not in parts and "dist-packages" not in parts


@cache  # a fork server has made it when its children need it
def own_files() -> Own:
    return Own()


def asked_by(own: Callable[[str], bool]) -> bool:
    """Whether own code has asked for what happens now, rather than an installed module that is being imported."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return False
        if own(name):
            return True
        frame = frame.f_back
    return False


def stamp(path: str) -> Stamp:
    """Return (mtime_ns, size, inode), or None when there is no such file."""
    try:
        found = _stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class OwnLoader(SourceFileLoader):
    """Loads a source file without trusting or leaving byte code that could be stale."""

    def __init__(self, name: str, path: str, pauses: Pauses | None = None) -> None:
        super().__init__(name, path)
        self._pauses = pauses

    def exec_module(self, module: ModuleType) -> None:
        halves = self._halves()
        if halves is None or self._pauses is None:
            SourceFileLoader.exec_module(self, module)
            return
        _call(exec, halves.first, module.__dict__)
        self._pauses.within(self.path, halves)
        # As a whole first: it is to complain as it would anywhere else.
        _call(compile, halves.text, self.path, "exec", dont_inherit=True)
        _call(exec, halves.second(), module.__dict__)

    # Python leaves importlib's frames out of a traceback, and knows them by this name; this is one more of them.
    exec_module.__code__ = exec_module.__code__.replace(co_filename=_IMPORTLIB)

    def _halves(self) -> Halves | None:
        if self._pauses is None or not self._pauses.opens(self.path):
            return None
        return split(self.get_data(self.path), self.path)

    def get_data(self, path: str) -> bytes:
        if path.endswith(".pyc") and not self._outlived(path):
            raise OSError("byte code too close to its source")  # SourceLoader then compiles the source
        return super().get_data(path)

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        if time.time() - self._changed() >= SETTLED_SECONDS:
            super().set_data(path, data, _mode=_mode)

    def _changed(self) -> float:
        # ctime too: a copy that keeps an old mtime is still new.
        found = _stat(self.path)
        return max(found.st_mtime, found.st_ctime)

    def _outlived(self, bytecode: str) -> bool:
        return _stat(bytecode).st_mtime - self._changed() >= SETTLED_SECONDS


class OwnFinder:
    """Finds what ``PathFinder`` and the finders behind it find, as those of packages that are installed editable.

    Reports own files before they are read, and own names that were not found. ``pauses`` is asked before each own file.
    """

    def __init__(self, own: Own, report: Report, pauses: Pauses | None = None) -> None:
        self._own = own
        self._report = report
        self._pauses = pauses
        self._absent: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) or _find_behind(name, path, target)
        if spec is None:
            self._report_absent(name, sys.path if path is None else path)
            return None
        if spec.origin is None and spec.submodule_search_locations is not None:  # a namespace package
            self._report_absent("__init__", list(spec.submodule_search_locations))
        elif spec.has_location and spec.origin and self._own(spec.origin):
            if self._pauses is not None and self._pauses.before(spec.origin):
                PathFinder.invalidate_caches()
                return self.find_spec(name, path, target)  # it may be found elsewhere by now
            self._report(_files_of(spec))
            if type(spec.loader) is SourceFileLoader:  # another one may do more with the source, and is left alone
                spec.loader = OwnLoader(spec.loader.name, spec.loader.path, self._pauses)
        return spec

    def _report_absent(self, name: str, folders: Sequence[str]) -> None:
        """Name the files whose creation would change what this import finds; once, for code may try it all the time."""
        tail = name.rpartition(".")[2]
        absent: list[LoadedFile] = []
        for folder in folders:
            base = os.path.join(os.path.abspath(folder or os.getcwd()), tail)
            if base in self._absent or base.endswith(".zip") or not self._own(base):
                continue
            if os.path.isdir(os.path.dirname(base)):
                self._absent.add(base)
                absent += [(path, None) for path in _sources(base)]
        if absent:
            self._report(absent)


def _find_behind(name: str, path: Sequence[str] | None, target: Any) -> ModuleSpec | None:
    behind = sys.meta_path[sys.meta_path.index(PathFinder) + 1 :] if PathFinder in sys.meta_path else []
    for finder in behind:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = None if find is None else find(name, path, target)
        if find is None or spec is not None:  # without: an old one, that Python itself knows how to ask
            return spec
    return None


def _files_of(spec: ModuleSpec) -> list[LoadedFile]:
    """Return what a module consists of: its file, and that no package of its name is there, which would come first."""
    path = os.path.abspath(spec.origin or "")
    files = [(path, stamp(path))]
    if spec.submodule_search_locations is None:
        package = os.path.join(os.path.dirname(path), spec.name.rpartition(".")[2], "__init__.py")
        files.append((package, stamp(package)))
    return files


def _sources(base: str) -> tuple[str, str]:
    """Return the files that a module may be in: ``base`` is its path without an ending."""
    return base + ".py", os.path.join(base, "__init__.py")


def missing(name: str) -> list[LoadedFile]:
    """Return the files whose creation would let this import be found, those that ``pip install`` makes among them."""
    bases = [os.path.join(os.path.abspath(folder), *name.split(".")) for folder in sys.path]
    there = [base for base in bases if os.path.isdir(os.path.dirname(base))]
    return [(path, stamp(path)) for base in there for path in _sources(base)]


def awaited(target: str) -> list[LoadedFile]:
    """Return the files whose change may mend an interpreter that has no uvicorn: the app's, and uvicorn's own."""
    base = os.path.join(os.getcwd(), target.partition(":")[0].partition(".")[0])
    import sysconfig

    uvicorn = os.path.join(sysconfig.get_paths()["purelib"], "uvicorn", "__init__.py")
    return [(path, stamp(path)) for path in (*_sources(base), uvicorn)]


def install(own: Own, report: Report, pauses: Pauses | None = None) -> None:
    """From now on ``report`` hears of every own file that is imported, and ``pauses`` before it is looked at."""
    at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
    sys.meta_path.insert(at, OwnFinder(own, report, pauses))

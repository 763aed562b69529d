"""Imports installed modules ahead of the apps, and finds out which of them must not be.

A module may be imported ahead if it comes from where the app gets it, imports nothing of the app's own, starts no
thread that would be missing in a forked process, and leaves no descriptor open that would be shared.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any, Callable, Optional

from .immortal import immortalize
from .system import open_descriptors, outlasts_fork, thread_numbers

Wanted = Sequence[Sequence[str]]
"""Pairs of a module's name and the file that the app got it from ("": wherever it comes from)."""

Thing = tuple[int, Optional[str]]
"""A descriptor and what it is, or a thread and None."""


class Inspector:
    """A finder that looks at the process around each module: the innermost one at fault is known by name.

    What comes and goes while an inner module is imported is no fault: a file is open while its codec is imported.
    """

    def __init__(self, own: Callable[[str], bool]) -> None:
        self._own = own
        self._descriptors = set(open_descriptors())
        self._threads = set(thread_numbers())
        self._stack: list[str] = []
        self._found: dict[Thing, tuple[str, ...]] = {}
        """What has come, in this order, and is there still; and the modules that were being imported when it came."""
        self.fault: tuple[str, str, tuple[str, ...]] | None = None
        """The module, what is wrong, and the modules that were importing it."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                self._attend(spec)
                return spec
        return None

    def _attend(self, spec: ModuleSpec) -> None:
        if spec.has_location and spec.origin and self._own(spec.origin):
            self._accuse((*self._stack, spec.name), "is the app's own")
        loader = spec.loader
        if loader is None or isinstance(loader, type) or not hasattr(loader, "exec_module"):
            return
        original = loader.exec_module

        def exec_module(module: Any) -> None:
            vars(loader).pop("exec_module", None)
            if self._stack:
                self._look(self._stack)  # what is there by now is not this module's
            self._stack.append(spec.name)
            try:
                original(module)
            finally:
                self._look(self._stack)
                self._stack.pop()

        with contextlib.suppress(AttributeError):  # one without room for it
            loader.exec_module = exec_module  # type: ignore[method-assign]

    def settle(self, name: str) -> None:
        """The import of this module, which no other one has asked for, has ended: what is there now has been left."""
        thread = outlasts_fork(threads=1)  # first: what ends itself at a fork does so now
        self._look([name])
        for (_, what), importing in self._found.items():
            if what is not None:
                theirs = {one for (_, one), others in self._found.items() if one and others[-1] == importing[-1]}
                self._accuse(importing, f"leaves a descriptor open ({', '.join(sorted(theirs))})")
            elif thread is not None:
                self._accuse(importing, thread)

    def _look(self, importing: Sequence[str]) -> None:
        now: list[Thing] = [*open_descriptors(self._descriptors).items()]
        now += [(number, None) for number in thread_numbers() if number not in self._threads]
        known = {thing: others for thing, others in self._found.items() if thing in now}
        self._found = {**known, **{thing: tuple(importing) for thing in now if thing not in known}}

    def _accuse(self, importing: Sequence[str], problem: str) -> None:
        if self.fault is None:
            self.fault = (importing[-1], problem, tuple(importing[:-1]))


def preload(wanted: Wanted, own: Callable[[str], bool]) -> dict[str, str]:
    """Import the modules, in this order. Return those that must be left out, by name, and why.

    If there are any, this process is not as it should be, and none may be forked from it.
    """
    inspector = Inspector(own)
    left_out: dict[str, str] = {}
    gc.disable()  # all of it stays
    sys.meta_path.insert(0, inspector)
    try:
        for name, origin in wanted:
            if name.partition(".")[0] not in left_out:
                problem = _import(name, origin)
                if problem is not None:
                    left_out[name] = problem
                inspector.settle(name)
            if inspector.fault is not None:
                left_out.update(_left_out(*inspector.fault))
                break  # nothing that comes now could be told from what has come
    finally:
        sys.meta_path.remove(inspector)
    if not left_out:
        immortalize()
    gc.freeze()
    return left_out


def uninstalled(packages: Sequence[str]) -> list[str]:
    """Return those packages that could not be found if they were imported."""
    return [name for name in packages if name not in sys.modules and not _is_found(name)]


def _is_found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except Exception:  # a finder of somebody's that fails
        return True


def _import(name: str, origin: str) -> str | None:
    """Return what went wrong."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if origin and exc.name and f"{name}.".startswith(f"{exc.name}."):
            return None  # uninstalled, or gone with a new version
        return f"cannot be imported ahead of the app: {exc}"
    except BaseException as exc:
        return f"cannot be imported ahead of the app: {type(exc).__name__}: {exc}"[:300]
    found = getattr(getattr(module, "__spec__", None), "origin", None)
    if origin and found != origin:
        return f"comes from {found}, not from {origin}"
    return None


def _left_out(name: str, problem: str, importing: Sequence[str]) -> dict[str, str]:
    """Return whole packages: to import anything of one may import the module again."""
    package = name.partition(".")[0]
    others = {other.partition(".")[0]: f"imports {name}, which {problem}" for other in importing}
    if problem == "is the app's own":
        return others or {name: problem}
    return {**others, package: problem if name == package else f"{name} {problem}"}

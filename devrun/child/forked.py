"""What a forked worker does besides: imports ahead of its loop, watches what the import rests upon, parks checkpoints.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Generator
from typing import Any, Callable, NoReturn

from .chance import Chance
from .channel import Channel
from .environ import EnvironChanges
from .forks import Start
from .generators import Generators
from .loading import LoadedFile, Own
from .parking import Parking
from .standin import LoopStandIn
from .traces import Traces, installed_modules, is_package_file, package_folders

Order = dict[str, Any]


class Ahead:
    """What a fork server has imported: ``count`` modules.

    ``preloaded``: the top-level names of those that it has not because uvicorn itself needs them; ``later``: these, and
    those of what uvicorn would import after the app. ``generators``: which of these must not be the same in all.
    """

    def __init__(self, count: int, preloaded: frozenset[str], later: frozenset[str], generators: Generators) -> None:
        self.count = count
        self.preloaded = preloaded
        self.later = later
        self.generators = generators


class Forked:
    """The import of an app in a process that was forked.

    What a forked process does not look at, it shares with the others: nothing here goes through all modules.
    """

    def __init__(self, start: Start, channel: Channel, ahead: Ahead) -> None:
        self._start = start
        self._channel = channel
        self._ahead = ahead
        self._loaded: list[LoadedFile] = []
        self._packages: frozenset[str] = frozenset()
        self._loop = LoopStandIn(self._refuse)
        self._begun: float | None = None
        """When an import began that nothing was done for ahead."""

    def prepare(self, order: Order, own: Own, renew: Callable[[], None]) -> None:
        """Get ready to import. Ends the process where the app must have one of its own.

        ``renew`` is called in each process that goes on from a checkpoint.
        """
        self._renew = renew
        self._own = own
        self._order = order
        message = self._start.message
        self._refuse_hidden(".")
        self._searched = frozenset(("", *sys.path))
        self._environ_changes = EnvironChanges(own, self._refuse_unseen if message["guessed"] else None)
        self._traces = Traces(own, message["junk"], message["pruned"])
        chance = Chance(self._ahead.generators)
        self._parking = Parking(self._channel, order["fds"], self._traces, message["roots"], self._resume, chance)
        self._parking.wanted = frozenset(message["park"])

    def report(self, files: list[LoadedFile]) -> None:
        """Tell of own files, and keep them for the processes that go on from a checkpoint."""
        self._loaded += files
        self._traces.note(files)
        self._channel.send({"is": "loaded", "files": files})

    @property
    def pauses(self) -> Parking:
        """Where this process parks."""
        return self._parking

    @contextlib.contextmanager
    def importing(self, loop: bool) -> Generator[None, None, None]:
        """The app is imported in this context; ``loop``: as if a loop was running."""
        if self._parking.wanted:  # else nobody goes on from here, and a running app is to carry no audit hook
            self._traces.begin()
        if not self._ahead.preloaded:
            self._begun = time.monotonic()
        try:
            with self._environ_changes.heard(), self._loop if loop else contextlib.nullcontext():
                yield
        finally:
            self._traces.end()
            self._parking.wanted = frozenset()  # what is imported from now on is imported by a running app
            self._refuse_hidden(*self._put_in_front())
        self._tell_modules()

    def _resume(self, start: Start) -> None:
        self._begun = None
        self._loop.renew()
        self._renew()
        self._parking.wanted = frozenset(start.message["park"])
        self._order.update({**self._channel.receive(), "fds": self._order["fds"]})
        self._loaded = self._traces.known(self._loaded)
        self._channel.send({"is": "loaded", "files": self._loaded})

    def _refuse_hidden(self, *folders: str) -> None:
        """A file of the app's that has the name of a module which is imported already would not be found any more."""
        for path in (os.path.join(folder, entry) for folder in folders for entry in os.listdir(folder)):
            name = os.path.basename(path).partition(".")[0]
            if name in self._ahead.later and _can_be_imported(path):
                self._refuse(f"{os.path.relpath(path)} hides the installed {name}")

    def _put_in_front(self) -> list[str]:
        """Return the folders that the import has told Python to search before what is installed."""
        packages = package_folders()
        first = sys.path.index(packages[0]) if packages else 0
        new = [path for path in sys.path[:first] if path not in self._searched]
        return [path for path in new if os.path.isdir(path) and os.access(path, os.R_OK)]

    def _refuse(self, reason: str) -> NoReturn:
        """Ask for a process that nothing was imported into."""
        self._channel.send({"is": "unfit", "reason": reason})
        os._exit(0)

    def _refuse_unseen(self, name: str) -> None:
        """Packages that were imported ahead have not seen this change of a variable, and the app may mean them to.

        Which of them it has asked for before, nobody can tell: so ask for a process that has none.
        """
        if any(self._is_preloaded(pair) for pair in installed_modules(self._own)):
            self._channel.send({"is": "environ", "name": name})
            os._exit(0)

    def _is_preloaded(self, module: tuple[str, str]) -> bool:
        return _package(module) in self._ahead.preloaded and is_package_file(module[1])

    def _tell_modules(self) -> None:
        """Say which installed modules the app has imported besides those that the fork server had, and in what time.

        No modules for an app that changes its environment: it needs to import all of them itself.
        """
        after = self._environ_changes.first
        modules: list[tuple[str, str]] = []
        if after is None:
            modules = self._installed_since(self._ahead.count)
            self._packages = self._ahead.preloaded.union(map(_package, modules))
            self._environ = dict(os.environ)
        seconds = None if self._begun is None else time.monotonic() - self._begun
        self._channel.send({"is": "modules", "modules": modules, "after": after, "seconds": seconds})

    def tell_late(self) -> None:
        """Say which modules the running app has imported meanwhile, of the packages that its import needs anyway.

        Another package may be left for later on purpose: importing it ahead would hold up every start. And a module
        that is imported after the app has changed its environment may have to see that.
        """
        if not self._packages or len(sys.modules) == self._count or os.environ != self._environ:
            return
        modules = [pair for pair in self._installed_since(self._count) if _package(pair) in self._packages]
        if modules:
            self._channel.send({"is": "modules", "modules": modules, "after": None, "seconds": None})

    def _installed_since(self, count: int) -> list[tuple[str, str]]:
        self._count = len(sys.modules)
        return [pair for pair in installed_modules(self._own, count) if is_package_file(pair[1])]


def _package(module: tuple[str, str]) -> str:
    return module[0].partition(".")[0]


def _can_be_imported(entry: str) -> bool:
    return entry.endswith((".py", ".so")) or os.path.exists(os.path.join(entry, "__init__.py"))

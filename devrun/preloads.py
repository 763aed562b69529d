"""Which installed modules the apps were seen to import, remembered from one ``up`` to the next.

Kept in ``.devrun/cache``, under the interpreter and what is installed for it. A cache: what is damaged is learned anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from msgspec import Struct, field

from devrun.errors import FileError
from devrun.outputs import writer

VERSION = 2
MOST_RECORDS = 8

_TRIED_AGAIN = ("cannot be imported ahead of the app:", "comes from ")
"""How the reasons begin that another installation may have done away with."""
_IMPORTS = "imports "

Module = tuple[str, str]
"""A module's name, and the file that it came from."""


class Record(Struct):
    """What is known about one interpreter as it is installed now.

    ``modules`` are in the order in which they are to be imported; ``apps`` tells for each app which packages it uses.
    ``after``: apps whose own code changes a variable of the environment, and which. Nothing is imported ahead for them:
    a package may have to see the change.
    """

    modules: dict[str, str] = field(default_factory=dict[str, str])
    apps: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    after: dict[str, str] = field(default_factory=dict[str, str])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    def wanted(self, apps: Iterable[str]) -> list[Module]:
        """The modules to import for these apps."""
        packages = {package for app in apps for package in self.apps.get(app, ())}
        return [
            (name, origin)
            for name, origin in self.modules.items()
            if name.partition(".")[0] in packages and name not in self.left_out and _package(name) not in self.left_out
        ]

    def changes(self, apps: Iterable[str]) -> dict[str, str]:
        """Which of these apps nothing is wanted for, and the variables that they change."""
        return {app: self.after[app] for app in sorted(apps) if app in self.after and not self.apps.get(app)}

    def lasting(self) -> dict[str, str]:
        """What is left out after an installation, too.

        A newer version of it may do no harm any more. But to find that out costs a fork server that imports everything
        for nothing, at each installation; to leave it out costs little. It is tried again once it was uninstalled.
        What could not be imported is tried again at once: one server finds all of that kind, and the installation may
        have brought what was missing.
        """
        return {name: reason for name, reason in self.left_out.items() if not reason.startswith(_TRIED_AGAIN)}

    def blamed(self) -> list[str]:
        """The packages that ``lasting`` blames: those left out, and those that they import."""
        return list(dict.fromkeys(one for pair in self.lasting().items() for one in _blamed(*pair)))

    def forget(self, packages: Set[str]) -> bool:
        """These are not installed any more. True if that is news."""
        gone = [name for name, reason in self.lasting().items() if packages & {*_blamed(name, reason)}]
        for name in gone:
            del self.left_out[name]
        return bool(gone)

    def learn(self, app: str, modules: Sequence[Module], after: str | None) -> bool:
        """An app has imported these besides those it was known to import. True if that is news."""
        known = (dict(self.modules), self.apps.get(app), self.after.get(app))
        self.modules.update(modules)
        self.apps[app] = (
            []
            if after is not None
            else list(dict.fromkeys((*self.apps.get(app, ()), *(_package(name) for name, _ in modules))))
        )
        if after is not None:
            self.after[app] = after
        return known != (self.modules, self.apps[app], self.after.get(app))


def _package(name: str) -> str:
    return name.partition(".")[0]


def _blamed(name: str, reason: str) -> list[str]:
    other = reason.removeprefix(_IMPORTS).partition(",")[0] if reason.startswith(_IMPORTS) else name
    return [_package(name), _package(other)]


class Preloads:
    """All records of a project. The newest used come first. Read when something of it is asked for."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._memory: _Memory | None = None

    @property
    def seconds(self) -> Mapping[str, int]:
        """How long the import of each app has taken when nothing was imported ahead of it."""
        return self._all().seconds

    def took(self, app: str, seconds: float) -> bool:
        """Such an import has taken these seconds. True if that is news."""
        known, whole = self.seconds.get(app), round(seconds)
        self._all().seconds[app] = whole
        return whole != known

    def record(self, python: str, packages: str) -> Record:
        """The record of an interpreter with what is installed for it (a digest).

        If there is none, a new one, which only knows what was left out with what was installed for it before.
        """
        memory = self._all()
        key = f"{packages} {python}"
        before = next((record for other, record in memory.records.items() if other.endswith(f" {python}")), Record())
        found = memory.records.pop(key, None) or Record(left_out=before.lasting())
        memory.records = {key: found, **dict(list(memory.records.items())[: MOST_RECORDS - 1])}
        return found

    def save(self) -> None:
        """Write it down. A cache that cannot be written is no reason to stop."""
        memory = self._all()
        records = {
            key: {"modules": r.modules, "apps": r.apps, "after": r.after, "left_out": r.left_out}
            for key, r in memory.records.items()
        }
        document = {"version": VERSION, "seconds": memory.seconds, "records": records}
        with suppress(OSError, FileError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            writer.write(self._file, json.dumps(document).encode(), mode=0o600)

    def _all(self) -> _Memory:
        if self._memory is None:
            self._memory = _read(self._file)
        return self._memory


class _Memory(Struct):
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    seconds: dict[str, int] = field(default_factory=dict[str, int])


def _read(file: Path) -> _Memory:
    try:
        document: Any = json.loads(file.read_bytes())
        if document["version"] != VERSION:
            return _Memory()
        return _Memory(
            {key: _record(table) for key, table in document["records"].items()},
            {str(app): int(seconds) for app, seconds in document["seconds"].items()},
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return _Memory()


def _record(table: Mapping[str, Any]) -> Record:
    apps = cast("dict[str, list[str]]", table["apps"])
    return Record(
        _texts(table["modules"]),
        {str(app): [str(name) for name in names] for app, names in apps.items()},
        _texts(table["after"]),
        _texts(table["left_out"]),
    )


def _texts(table: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in table.items()}

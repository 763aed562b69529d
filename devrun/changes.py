"""Decides which apps a path concerns whose file may have changed. Events are hints; stamps on disk are the truth.

Reads stamps; watches nothing, tells nobody, knows no loop. A *key* is a path whose folder is a real one: the form in
which the watcher names it. An app may have loaded the same file by another name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from devrun.events import LoadedFile, Run
from devrun.folders import Identity, Tree, file_stamp, identity, stamp
from devrun.loaded import Ledger, Stamp
from devrun.matching import Interest, below

_ABSENT = (0, 0, 0)
"""The stamp of no file."""


class Changes:
    """What the apps have loaded, what they watch besides, and in which state each file is known."""

    def __init__(self, interests: Sequence[Interest], project: Path, own: Iterable[Path]) -> None:
        self.tree = Tree({}, {}, [], set())
        self._interests = interests
        self._ledgers = {interest.app: Ledger() for interest in interests}
        self._patterns = any(interest.watch or interest.ignore for interest in interests)
        self._known: dict[str, Stamp] = {}
        self._projects = dict.fromkeys([os.path.normpath(project), os.path.realpath(project)])
        self._own = frozenset(form for path in own for form in (os.path.normpath(path), os.path.realpath(path)))
        self._real: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        # Which apps may have loaded a path. Asking every app about every path takes seconds where there are hundreds.
        self._loaders: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        self._folders: dict[str, Identity] = {}

    def reconfigure(self, interests: Sequence[Interest], own: Iterable[Path]) -> None:
        """Decide by these from now on. What the apps that stay have loaded still counts."""
        self._interests = interests
        self._ledgers = {one.app: self._ledgers.get(one.app) or Ledger() for one in interests}
        self._patterns = any(one.watch or one.ignore for one in interests)
        self._own = frozenset(form for path in own for form in (os.path.normpath(path), os.path.realpath(path)))
        for apps in self._loaders.values():
            apps.intersection_update(self._ledgers)

    def know(self, files: Mapping[Path, Stamp | None]) -> None:
        """These files were read when they had these stamps; None: there was no file."""
        for path, found in files.items():
            self._known[os.path.realpath(path)] = found or _ABSENT

    @property
    def folders(self) -> Mapping[str, Identity]:
        """All folders to watch."""
        return {**self._folders, **self.tree.folders}

    @property
    def loaded_keys(self) -> set[str]:
        """Where the loaded files of all apps are."""
        return set(self._keys.values())

    @property
    def known_keys(self) -> set[str]:
        """Where all files are whose change may concern an app, as far as they have been seen."""
        return self.loaded_keys | self._known.keys()

    def begin(self, run: Run) -> None:
        if ledger := self._ledgers.get(run.app):
            ledger.begin(run.generation)

    def load(self, run: Run, files: Sequence[LoadedFile]) -> set[str]:
        """Note what a run has loaded; return the keys, to be looked at: a save may have come before the watch."""
        ledger = self._ledgers.get(run.app)
        if ledger is None or not ledger.load(run.generation, files):
            return set()
        for file in files:
            self._loaders.setdefault(file.path, set()).add(run.app)
        return {self._index(file.path) for file in files}

    def settle(self, run: Run) -> None:
        if ledger := self._ledgers.get(run.app):
            ledger.settle(run.generation)

    def adopt(self, tree: Tree, *, first: bool = False) -> set[str]:
        """Take the outcome of a walk; return the keys that are to be looked at. Links may lead elsewhere by now.

        ``first``: what was not asked for until now is as it should be.
        """
        self.tree = tree
        for cache in (self._real, self._keys, self._names, self._folders, self._loaders):
            cache.clear()
        for app, ledger in self._ledgers.items():
            for path in ledger:
                self._loaders.setdefault(path, set()).add(app)
        for path in self._loaders:
            self._index(path)
        if first:
            self._known = {**tree.files, **self._known}
        paths = self._known.keys() | tree.files.keys()
        return self.loaded_keys | {path for path in paths if self._known.get(path) != tree.files.get(path)}

    def concerned(self, key: str) -> list[str]:
        """The apps that have to hear of this file as it is now."""
        if any(below(key, own) is not None for own in self._own):
            return []
        names = (key, *self._names.get(key, ()))
        stamps = {name: stamp(name) for name in names}
        spelled = self.tree.names(key) if self._patterns else []
        new = self._patterns and self._known.get(key) != file_stamp(key)
        loaders = {app for name in names for app in self._loaders.get(name, ())}
        return [
            interest.app
            for interest in self._interests
            if (interest.app in loaders or (new and interest.watch))
            and self._changed(interest, stamps, spelled if new else ())
            and not any(interest.ignores(name) for name in (*names, *spelled))
        ]

    def unfinished(self, key: str) -> bool:
        """Whether a file is gone or empty that was not: an editor may be about to put the new one there."""
        found = file_stamp(key)
        return not (found and found[1]) and any(known and known[1] for known in self._all_known(key))

    def tell(self, keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Give each app that is concerned its changed paths, sorted, and note that it has heard of them."""
        found: dict[str, set[str]] = {}
        for key in keys:
            for app in self.concerned(key):
                found.setdefault(app, set()).add(self._shown(key))
            self._note(key)
        return {app: tuple(sorted(paths)) for app, paths in found.items()}

    def _changed(self, interest: Interest, stamps: Mapping[str, Stamp | None], spelled: Sequence[str]) -> bool:
        """What the app's run has loaded counts by what the run has read; else by what was there before."""
        ledger = self._ledgers[interest.app]
        tracked = [name for name in stamps if ledger.tracks(name)]
        if tracked:
            return any(ledger.known(name) != stamps[name] for name in tracked)
        return any(map(interest.wants, spelled))

    def _note(self, key: str) -> None:
        for name in (key, *self._names.get(key, ())):
            now = stamp(name)
            for ledger in map(self._ledgers.__getitem__, self._loaders.get(name, ())):
                if ledger.tracks(name) and ledger.known(name) != now:
                    ledger.tell(name, now)
        if found := file_stamp(key):
            self._known[key] = found
        else:
            self._known.pop(key, None)

    def _all_known(self, key: str) -> Iterable[Stamp | None]:
        yield self._known.get(key)
        for name in (key, *self._names.get(key, ())):
            for app in self._loaders.get(name, ()):
                yield self._ledgers[app].known(name)

    def _index(self, path: str) -> str:
        """Find where a loaded file really is, and have those folders watched: the link's, and that of its target."""
        folder, name = os.path.split(os.path.normpath(path))
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        key = os.path.join(self._real[folder], name)
        for place in {key, os.path.realpath(key)} if os.path.islink(key) else {key}:
            if place != path:
                self._names.setdefault(place, set()).add(path)
            self._keep_folder(os.path.dirname(place))
        self._keys[path] = key
        return key

    def _keep_folder(self, folder: str) -> None:
        if folder not in self._folders and folder not in self.tree.folders and (found := identity(folder)):
            self._folders[folder] = found

    def _shown(self, key: str) -> str:
        """The path as a person knows it: relative to the project by whichever name lies in it."""
        names = [*sorted(self._names.get(key, ())), *self.tree.names(key)]
        inside = (below(name, project) for name in names for project in self._projects)
        return next(("/".join(parts) for parts in inside if parts), names[0])

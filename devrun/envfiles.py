"""The env files of one stack: which ones it touches, in which order, and their restoring.

What a block looks like is ``outputs.envfile``'s, writing is ``outputs.writer``'s, remembering is ``lock``'s.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from devrun.errors import DevrunError, FileError
from devrun.lock import State, restore
from devrun.outputs import writer
from devrun.outputs.statefile import EnvFileRecord
from devrun.plan import EnvFilePlan

Wanted = tuple[EnvFilePlan, Mapping[str, str]]
"""An env file and its variables."""


class Followed(Struct, frozen=True):
    """``written``: the files that got a new block, relative to the project. ``complaints``: what failed, and why."""

    written: tuple[str, ...]
    complaints: tuple[str, ...]


class EnvFiles:
    """The env files of one stack: written before the apps start, restored when they are gone."""

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        self._state = state

    def install(self, files: Iterable[Wanted]) -> list[str]:
        """Put the block into every file; the paths, relative to the project, of those that changed.

        Entries for one and the same file are merged. When one file fails, those before it are restored and the error
        (a ``DevrunError``) is raised. ``State.save`` must come first.
        """
        wanted = merged(files)
        before = self._state.env_files
        done: list[EnvFileRecord] = []
        written: list[str] = []
        try:
            # Written down first: a kill between any two of these lines can then be repaired.
            self._state.touch([self._look(file) for file, _ in wanted])
            for file, variables in wanted:
                record, wrote = self._put(file, variables)
                done.append(record)
                written += wrote
            self._state.touch(done)
        except DevrunError:
            self._state.env_files = before
            self._forget(done, restore(done)[0])
            raise
        return written

    def follow(self, files: Iterable[Wanted]) -> Followed:
        """Make the files of a running stack these, with these variables; a file that needs no change is not touched.

        Files that are no longer among them are restored, unless they keep their block. What fails is told and leaves
        the others alone: the file stays as it was, and is tried again by the next call, and at the end. Raises
        ``FileError`` when that cannot be written down.
        """
        wanted = merged(files)
        staying = {_real(file) for file, _ in wanted}
        gone = [file for file in self._state.env_files if file.path not in staying]
        owed, failed = restore(file for file in gone if not file.keep)
        self._forget(gone, owed)
        self._state.touch(())
        written: list[str] = []
        complaints = list(failed)
        for file, variables in wanted:
            try:
                self._state.touch([self._look(file)])
                record, wrote = self._put(file, variables)
                self._state.touch([record])
                written += wrote
            except DevrunError as error:
                complaints.append(error.message)
        return Followed(tuple(written), tuple(complaints))

    def remove(self) -> None:
        """Take the block out of every file that does not keep it. Calling it again is safe.

        Raises one ``FileError`` for all that failed; the next command tries those again.
        """
        files = self._state.env_files
        owed, complaints = restore(file for file in files if not file.keep)
        self._forget(files, owed)
        if complaints:
            raise FileError("\n".join(complaints), hint="the next devrun command in this project tries again")

    def _look(self, file: EnvFilePlan) -> EnvFileRecord:
        return self._record(file, writer.look(file.path, self._owner(file)))

    def _put(self, file: EnvFilePlan, variables: Mapping[str, str]) -> tuple[EnvFileRecord, list[str]]:
        installed = writer.install_block(file.path, variables, self._owner(file), file.readers)
        shown = [os.path.relpath(file.path, self._state.project.folder)] if installed.wrote else []
        return self._record(file, installed.found), shown

    def _record(self, file: EnvFilePlan, found: writer.Found) -> EnvFileRecord:
        """A file that is there without the block is the user's, even in the place of one that devrun had made."""
        known = self._known(file)
        if known is not None and found in ("block", "only block"):
            created = known.created
        else:
            created = found in ("nothing", "only block")
        return EnvFileRecord(_real(file), created, file.keep, self._owner(file))

    def _owner(self, file: EnvFilePlan) -> str:
        # A devrun.toml that comes or goes between file and project must not make two blocks of one.
        known = self._known(file)
        return self._state.project.owner_in(_real(file)) if known is None else known.owner

    def _known(self, file: EnvFilePlan) -> EnvFileRecord | None:
        real = _real(file)
        return next((known for known in self._state.env_files if known.path == real), None)

    def _forget(self, files: Iterable[EnvFileRecord], owed: tuple[EnvFileRecord, ...]) -> None:
        paths = {file.path for file in files}
        self._state.env_files = (*(file for file in self._state.env_files if file.path not in paths), *owed)


def _real(file: EnvFilePlan) -> Path:
    """The file itself is written down: a link may lead elsewhere when the time comes to take the block out."""
    return Path(os.path.realpath(file.path))


def merged(files: Iterable[Wanted]) -> list[Wanted]:
    """Make one entry of several for the same file."""
    whole: dict[Path, Wanted] = {}
    for file, variables in files:
        first, before = whole.get(_real(file), (file, {}))
        both = replace(first, keep=first.keep or file.keep, readers=first.readers | file.readers)
        whole[_real(file)] = (both, {**before, **variables})
    return list(whole.values())

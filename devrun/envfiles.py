"""The env files of one stack: which ones it touches, in which order, and their restoring.

What a block looks like is ``outputs.envfile``'s, writing is ``outputs.writer``'s, remembering is ``lock``'s.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from devrun.errors import DevrunError, FileError
from devrun.lock import State, restore
from devrun.outputs import writer
from devrun.outputs.statefile import EnvFileRecord
from devrun.plan import EnvFilePlan


class EnvFiles:
    """The env files of one stack: written before the apps start, restored when they are gone."""

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        self._state = state

    def install(self, files: Iterable[tuple[EnvFilePlan, Mapping[str, str]]]) -> list[str]:
        """Put the block into every file; the paths, relative to the project, of those that changed.

        Entries for one and the same file are merged. When one file fails, those before it are restored and the error
        (a ``DevrunError``) is raised. ``State.save`` must come first.
        """
        wanted = _merged(files)
        # A file that could not be removed last time is still devrun's own.
        own = {file.path for file in self._state.env_files if file.created}
        done: list[EnvFileRecord] = []
        written: list[str] = []
        try:
            # Written down first: a kill between any two of these lines can then be repaired.
            self._state.touch(
                EnvFileRecord(f.path, f.path in own or not os.path.lexists(f.path), f.keep) for f, _ in wanted
            )
            for file, variables in wanted:
                installed = writer.install_block(file.path, variables)
                done.append(EnvFileRecord(file.path, file.path in own or installed.created, file.keep))
                if installed.wrote:
                    written.append(os.path.relpath(file.path, self._state.project.folder))
            self._state.touch(done)
        except DevrunError:
            self._forget({file.path for file, _ in wanted}, restore(done)[0])
            raise
        return written

    def remove(self) -> None:
        """Take the block out of every file that does not keep it. Calling it again is safe.

        Raises one ``FileError`` for all that failed; the next command tries those again.
        """
        files = self._state.env_files
        owed, complaints = restore(file for file in files if not file.keep)
        self._forget({file.path for file in files}, owed)
        if complaints:
            raise FileError("\n".join(complaints), hint="the next devrun command in this project tries again")

    def _forget(self, paths: set[Path], owed: tuple[EnvFileRecord, ...]) -> None:
        self._state.env_files = (*(file for file in self._state.env_files if file.path not in paths), *owed)


def _merged(files: Iterable[tuple[EnvFilePlan, Mapping[str, str]]]) -> list[tuple[EnvFilePlan, dict[str, str]]]:
    merged: dict[str, tuple[EnvFilePlan, dict[str, str]]] = {}
    for file, variables in files:
        first, before = merged.get(os.path.realpath(file.path), (file, {}))
        keep = first.keep or file.keep
        merged[os.path.realpath(file.path)] = (replace(first, keep=keep), {**before, **variables})
    return list(merged.values())

"""Which checkpoints of an app are kept: in front of the files that were edited last, and between their halves.

Pure bookkeeping: starts and ends no process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Checkpoints(Generic[_T]):
    """At most ``most``, in the order of the import. ``_T``: whatever stands for the process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._edited: list[str] = []
        self._parked: list[tuple[str, bool, _T]] = []

    @property
    def wanted(self) -> tuple[str, ...]:
        """The files that were edited last, the newest first: a process is to be parked in front of each."""
        return tuple(self._edited[: self._most])

    @property
    def parked(self) -> Sequence[tuple[str, _T]]:
        """The files and what is parked in front of them, the latest in the import last."""
        return tuple((file, one) for file, _, one in self._parked)

    def edit(self, files: Sequence[str]) -> list[_T]:
        """These files have changed. Return what is no longer wanted."""
        self._edited = [*dict.fromkeys((*files, *self._edited))][: 4 * self._most]
        return self._shed(lambda file: file not in self.wanted)

    def park(self, file: str, one: _T, *, within: bool = False) -> list[_T]:
        """A process is parked in front of a file or ``within``, after all others. Return what is no longer wanted."""
        before = next((other for path, inside, other in self._parked if (path, inside) == (file, within)), None)
        shed = [] if before is None else [before]
        self._drop_all(shed)
        self._parked.append((file, within, one))
        shed += self._shed(lambda other: other not in self.wanted)
        while len(self._parked) > self._most:
            oldest = max(self._parked, key=lambda parked: self._edited.index(parked[0]))  # in front before within
            shed.append(oldest[2])
            self._parked.remove(oldest)
        return shed

    def drop(self, one: _T) -> None:
        """It is gone, or of no use."""
        self._drop_all([one])

    def _drop_all(self, gone: Sequence[_T]) -> None:
        self._parked = [parked for parked in self._parked if not any(parked[2] is one for one in gone)]

    def clear(self) -> list[_T]:
        """Return all of them: none is of use any more."""
        return self._shed(lambda _: True)

    def _shed(self, unwanted: Callable[[str], bool]) -> list[_T]:
        shed = [one for file, _, one in self._parked if unwanted(file)]
        self._drop_all(shed)
        return shed

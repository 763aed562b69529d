"""Which checkpoints of an app are kept: in front of the files that were edited last.

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
        self._parked: list[tuple[str, _T]] = []

    @property
    def wanted(self) -> tuple[str, ...]:
        """The files that were edited last, the newest first: a process is to be parked in front of each."""
        return tuple(self._edited[: self._most])

    @property
    def parked(self) -> Sequence[tuple[str, _T]]:
        """The files and what is parked in front of them, the latest in the import last."""
        return tuple(self._parked)

    def edit(self, files: Sequence[str]) -> list[_T]:
        """These files have changed. Return what is no longer wanted."""
        self._edited = [*dict.fromkeys((*files, *self._edited))][: 4 * self._most]
        return self._shed(lambda file: file not in self.wanted)

    def park(self, file: str, one: _T) -> list[_T]:
        """A process is parked in front of a file, after all that are. Return what is no longer wanted."""
        shed = self._shed(lambda other: other == file)
        self._parked.append((file, one))
        return [*shed, *self._shed(lambda other: other not in self.wanted)]

    def drop(self, one: _T) -> None:
        """It is gone, or of no use."""
        self._parked = [pair for pair in self._parked if pair[1] is not one]

    def clear(self) -> list[_T]:
        """Return all of them: none is of use any more."""
        return self._shed(lambda _: True)

    def _shed(self, unwanted: Callable[[str], bool]) -> list[_T]:
        shed = [one for file, one in self._parked if unwanted(file)]
        self._parked = [pair for pair in self._parked if not unwanted(pair[0])]
        return shed

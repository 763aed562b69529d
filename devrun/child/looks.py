"""What an import only looks at: whether a file is there, its size, its time. No audit event tells of that.

While an import is heard, ``os.stat``, ``os.lstat`` and ``os.access`` are replaced: ``os.path`` and ``pathlib``
ask them.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from copy import copy
from typing import Any, Callable, Optional

Look = Optional[tuple[Any, ...]]
"""What was there: kind, mtime_ns, size and inode of a file, the kind of a folder, kind and target of a link."""
Hear = Callable[[Any, bool], None]

_stat, _lstat = os.stat, os.lstat
_NAMES = ("stat", "lstat", "access")


class Heard:
    """One of these functions, and ``hear`` is told before.

    An object, for a Python function in its place would become a method where a class keeps it, as pathlib's does.
    """

    def __init__(self, name: str, hear: Hear) -> None:
        self._function = getattr(os, name)
        self._hear = hear
        self.__name__ = self.__qualname__ = name
        self.__doc__ = self._function.__doc__

    def __call__(self, path: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(path, int) and options.get("dir_fd") is None:
            self._hear(path, self.__name__ == "lstat" or not options.get("follow_symlinks", True))
        return self._function(path, *args, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return copy, (self._function,)  # a pickle of it means the function itself

    def install(self) -> None:
        """Take its place, also in the sets that say what it can do."""
        setattr(os, self.__name__, self)
        for abilities in _abilities():
            if self._function in abilities:
                abilities.add(self)

    def remove(self) -> None:
        """Give the place back, unless somebody else has it by now."""
        if getattr(os, self.__name__) is self:
            setattr(os, self.__name__, self._function)


def hearing(hear: Hear) -> list[Heard]:
    """Replace them. ``hear`` gets what is looked at, and whether a link there is meant itself."""
    heard = [Heard(name, hear) for name in _NAMES]
    for one in heard:
        one.install()
    return heard


def look(path: str, itself: bool) -> Look:
    """Return what is there now; of a link ``itself`` only what it is, which is all that resolving a path asks for."""
    try:
        if itself:
            kind = stat.S_IFMT(_lstat(path).st_mode)
            return (kind, os.readlink(path)) if stat.S_ISLNK(kind) else (kind,)
        found = _stat(path)
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(found.st_mode):
        return (stat.S_IFDIR,)
    return stat.S_IFMT(found.st_mode), found.st_mtime_ns, found.st_size, found.st_ino


def _abilities() -> Iterator[set[Any]]:
    for name in ("supports_dir_fd", "supports_effective_ids", "supports_fd", "supports_follow_symlinks"):
        found = getattr(os, name, None)
        if isinstance(found, set):
            yield found

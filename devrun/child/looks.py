"""What an import only looks at: whether a file is there, its size, its time. No audit event tells of that.

While an import is heard, ``os.stat``, ``os.lstat`` and ``os.access`` are replaced: ``os.path`` and ``pathlib``
ask them.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import Any, Callable, Optional

from .replaced import Replaced

Look = Optional[tuple[Any, ...]]
"""What was there: kind, mtime_ns, size and inode of a file, the kind of a folder, kind and target of a link."""
Hear = Callable[[Any, bool], None]

_stat, _lstat = os.stat, os.lstat
_NAMES = ("stat", "lstat", "access")


def hearing(hear: Hear) -> list[Replaced]:
    """Replace them. ``hear`` gets what is looked at, and whether a link there is meant itself."""
    return [Replaced(name, partial(_tell, hear, name == "lstat")).install() for name in _NAMES]


def _tell(hear: Hear, itself: bool, path: Any, *_: Any, **options: Any) -> None:
    if not isinstance(path, int) and options.get("dir_fd") is None:
        hear(path, itself or not options.get("follow_symlinks", True))


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

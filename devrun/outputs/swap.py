"""Puts a complete new file in the place of another, or takes one away, and notices whoever saves it at that moment.

Only where the system offers it (Linux): an exchange of two names brings out what was there at that very moment, and a
lease makes programs that want to write to the old file wait until it is known whether it goes. Elsewhere a look just
before the rename has to do. Knows nothing of what is in the files.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

PATIENCE = 0.5
"""Seconds to wait for a program that has the file open to write to it, as editors do for some milliseconds."""
ALONE = 5.0
"""Seconds to wait for another devrun that writes in the same folder."""
_POLL = 0.002
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)

_HERE = -100  # AT_FDCWD
_NOREPLACE, _EXCHANGE = 1, 2

Undisturbed = Callable[[], bool]
"""Whether nobody has wanted to write to the file so far."""


class Seen(Struct, frozen=True):
    """A regular file as it was read."""

    content: bytes
    inode: int
    mode: int
    owner: tuple[int, int]


def look(path: Path) -> Seen | None:
    """The file as it is; None: there is no regular file. ``path`` is free of links."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    return Seen(content, status.st_ino, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid))


def create(new: Path, path: Path) -> bool:
    """Give the file ``new`` the name ``path``; False: that name is taken by now, or ``new`` is gone."""
    try:
        if not _rename(new, path, _NOREPLACE):
            _link(new, path)
    except (FileExistsError, FileNotFoundError):
        return False
    return True


def replace(new: Path, path: Path, seen: Seen) -> bool:
    """Put the file ``new`` in the place of ``path``; False: that is not what was seen any more, and stays as it is.

    What is left under the name of ``new`` may be deleted.
    """
    ours = look(new)
    with _lease(path) as undisturbed:
        if ours is None or look(path) != seen:
            return False
        try:
            if not _rename(new, path, _EXCHANGE):
                os.replace(new, path)
                return True
            if look(new) == seen and undisturbed():
                return True
            _put_back(new, path, ours)
        except FileNotFoundError:
            pass  # deleted meanwhile; or ``new`` was swept away by a project that generates the same file
        return False


def remove(path: Path, aside: Path, seen: Seen) -> bool:
    """Take the file away, by way of the name ``aside``; False: it is not what was seen any more, and stays."""
    with _lease(path) as undisturbed:
        if look(path) != seen:
            return False
        try:
            if not _rename(path, aside, _NOREPLACE):
                path.unlink()
                return True
        except FileNotFoundError:
            return False
        if look(aside) == seen and undisturbed():
            return True
        # Somebody saved just now. If there is a file again, that is newer still.
        create(aside, path)
        return False


def _link(new: Path, path: Path) -> None:
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links; ``path`` was not there a moment ago
        os.replace(new, path)


def _put_back(new: Path, path: Path, ours: Seen) -> None:
    """Exchange again, until what comes out is not newer than what goes in: the newest save stays."""
    inside: Seen | None = ours
    while True:
        going_in = look(new)
        _rename(new, path, _EXCHANGE)
        if look(new) == inside:
            return
        inside = going_in


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Let no other devrun write in the folder meanwhile: else one could miss what the other puts back.

    A folder that cannot be locked, or is for more than a while, is written to all the same.
    """
    lock = None
    deadline = time.monotonic() + ALONE
    try:
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            while not _try_lock(lock) and time.monotonic() < deadline:
                time.sleep(_POLL)
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _lease(path: Path) -> Generator[Undisturbed]:
    """Make those who open the file to write to it wait, once nobody has it open for that.

    Without a lease (another system or file system, another owner, a program that does not let go) nothing is known.
    """
    file = None
    deadline = time.monotonic() + PATIENCE
    try:
        with suppress(OSError):
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        leased = file is not None and _try_lease(file, deadline)
        yield lambda: not leased or file is None or fcntl.fcntl(file, fcntl.F_GETLEASE) == fcntl.F_RDLCK
    finally:
        if file is not None:
            with suppress(OSError, AttributeError):
                # Not by closing alone: a process that is just being started has a copy until it is.
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            os.close(file)


def _try_lease(file: int, deadline: float) -> bool:
    while True:
        try:
            # Whoever breaks it sends a signal to its holder: one that is ignored. The usual one would kill it.
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        except (OSError, AttributeError):
            return False


def _rename(old: Path, new: Path, how: int) -> bool:
    """Rename in one of the ways of Linux; False: there is no such way here."""
    import ctypes  # in the launcher it is there already; other commands seldom write

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    if libc.renameat2(_HERE, os.fsencode(old), _HERE, os.fsencode(new), how) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), str(old), None, str(new))

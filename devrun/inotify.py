"""Linux's inotify, read by the running loop: a save is told within a few milliseconds, and what is idle costs nothing.

An event says that something was done to a name, no more: nothing here looks at a file. Knows no apps.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from enum import IntEnum

from msgspec import Struct

# From <sys/inotify.h>.
MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF = 0x400, 0x800
UNMOUNT, OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000
ONLYDIR, EXCL_UNLINK, ISDIR = 0x1000000, 0x4000000, 0x40000000

OF_ENTRIES = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE
# UNMOUNT, OVERFLOW and IGNORED come unasked. A file that is deleted while it is open is of no interest any more.
ASKED = OF_ENTRIES | DELETE_SELF | MOVE_SELF | ONLYDIR | EXCL_UNLINK
FOLDER_LOST = DELETE_SELF | MOVE_SELF | UNMOUNT | IGNORED
GONE = MOVED_FROM | DELETE | FOLDER_LOST
CAME = MOVED_TO | CREATE

_C = ctypes.CDLL(None, use_errno=True)
HEADER = struct.Struct("iIII")  # watch, mask, cookie, length of the name with its padding
READ_BYTES = 1 << 16

# In seconds. The other files of a save come within GAP of one another; what goes on without a pause is told every MOST.
# A file that is being written waits to be closed, but no longer than it pauses for OPEN_GAP: some are never closed.
GAP = 0.002
OPEN_GAP = 0.01
MOST = 0.05
# A stream of events, as of a log that is written to, may wake the loop EAGER_READS times, then once in READ_PAUSE.
EAGER_READS = 8
READ_PAUSE = 0.015


class Change(IntEnum):
    """What was done to a path; in the numbers of watchfiles."""

    ADDED = 1
    MODIFIED = 2
    DELETED = 3


class _Heard(Struct):
    """What was done to one path; ``begun``: when first, ``last``: when last; ``open``: more is to be expected."""

    change: Change
    begun: float
    last: float
    open: bool


class Gathering:
    """Puts the events of one save together, and says when they are to be told. Knows no clock: times are given."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}

    def add(self, mask: int, path: str, now: float) -> None:
        """Take one event. What says nothing about the content of a file that is being written leaves it open."""
        change = Change.DELETED if mask & GONE else Change.ADDED if mask & CAME else Change.MODIFIED
        begins = bool(mask & (MODIFY | CREATE)) and not mask & ISDIR
        before = self._heard.get(path)
        if before is None:
            self._heard[path] = _Heard(change, now, now, begins)
            return
        before.last = now
        before.open = begins or (before.open and bool(mask & ATTRIB))
        if change is not Change.MODIFIED:
            before.change = change

    def due(self, *, deaf: bool = False) -> float | None:
        """When something is to be told; None when there is nothing. The ``deaf`` cannot know that a file pauses."""
        gap = MOST if deaf else OPEN_GAP
        moments = [min(one.last + gap, one.begun + MOST) for one in self._heard.values() if one.open]
        if closed := [one.begun for one in self._heard.values() if not one.open]:
            moments.append(min(max(closed) + GAP, min(closed) + MOST))
        return min(moments, default=None)

    def take(self, now: float) -> set[tuple[Change, str]]:
        """Give what is to be told now: all files that are closed, and those that have been open for too long."""
        told = {
            path: one
            for path, one in self._heard.items()
            if not one.open or min(one.last + OPEN_GAP, one.begun + MOST) <= now
        }
        for path in told:
            del self._heard[path]
        return {(one.change, path) for path, one in told.items()}


def _call(function: str, *args: object, name: str | None = None) -> int:
    """Call a function of the C library that gives -1 and an errno when it fails: then raises OSError about ``name``."""
    try:
        found: Callable[..., int] = getattr(_C, function)
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name) from None
    result = found(*args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result


def file_system(folder: str) -> int:
    """The number of the kind of file system that a folder is on (statfs's ``f_type``). Raises OSError."""
    found = (ctypes.c_long * 64)()  # larger than any struct statfs, which begins with it
    _call("statfs", os.fsencode(folder), found, name=folder)
    return found[0]


class _Ear:
    """An inotify instance that the running loop reads from. Raises OSError, with errno and the folder's name."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.turn = asyncio.Event()
        """Set when there is something to take, or to be raised."""
        self._loop = asyncio.get_running_loop()
        self._gathering = Gathering()
        self._timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._lost = False
        self._failure: OSError | None = None
        self._reads_left = float(EAGER_READS)
        self._read_at = self._loop.time()
        # One folder may have several names (a bind mount): the kernel gives the same number for each.
        self._names: dict[int, list[str]] = {}
        self._descriptor = _call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            for folder in folders:
                number = _call("inotify_add_watch", self._descriptor, os.fsencode(folder), ASKED, name=folder)
                self._names.setdefault(number, []).append(folder)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Hear nothing more. The kernel takes 10 to 20 ms to let go of an instance: not in the loop's thread."""
        self._loop.remove_reader(self._descriptor)
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()
        self._loop.run_in_executor(None, os.close, self._descriptor)

    def take(self) -> Iterator[set[tuple[Change, str]]]:
        self.turn.clear()
        if self._failure is not None:
            raise self._failure
        if self._lost:
            self._lost = False
            yield set()
        if changes := self._gathering.take(self._loop.time()):
            yield changes
        self._plan()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._descriptor, self._read)
        self._read()

    def _read(self) -> None:
        now = self._loop.time()
        self._reads_left = min(self._reads_left + (now - self._read_at) / READ_PAUSE, EAGER_READS) - 1
        self._read_at = now
        try:
            self._parse(os.read(self._descriptor, READ_BYTES), now)
        except BlockingIOError:
            pass
        except OSError as error:
            self._failure = error
            self._loop.remove_reader(self._descriptor)
        else:
            if self._reads_left < 1:
                self._loop.remove_reader(self._descriptor)
                self._pause = self._loop.call_later(READ_PAUSE, self._resume)
        self._plan()

    def _parse(self, data: bytes, now: float) -> None:
        at = 0
        while at < len(data):
            number, mask, _, length = HEADER.unpack_from(data, at)
            at += HEADER.size
            name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length
            if mask & OVERFLOW:
                self._lost = True
            for folder in self._names.get(number, ()):
                if name or mask & FOLDER_LOST:
                    self._gathering.add(mask, os.path.join(folder, name) if name else folder, now)
            if mask & IGNORED:  # the kernel has removed the watch, and may give its number to another folder
                self._names.pop(number, None)

    def _plan(self) -> None:
        """Have ``turn`` set when something is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._gathering.due(deaf=self._pause is not None)
        if self._lost or self._failure is not None or (due is not None and due <= self._loop.time()):
            self.turn.set()
        elif due is not None:
            self._timer = self._loop.call_at(due, self.turn.set)


async def open_inotify(
    folders: Sequence[str], stop: asyncio.Event, polling: bool
) -> AsyncIterator[set[tuple[Change, str]]]:
    """Watch these folders, not those below them. Raises OSError, at once or while it runs. Cannot poll."""
    ear = _Ear(folders)
    stopped = asyncio.create_task(stop.wait())
    stopped.add_done_callback(lambda _: ear.turn.set())
    try:
        while not stop.is_set():
            for changes in ear.take():
                yield changes
            await ear.turn.wait()
    finally:
        stopped.cancel()
        ear.close()

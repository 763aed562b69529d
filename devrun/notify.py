"""Opens what watches: folders in, sets of changed paths out, and what its errors mean.

On Linux that is inotify, else watchfiles. Knows no apps and remembers nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence

from devrun.inotify import Change, file_system, open_inotify

# watchfiles wakes up every step and reports when one step brought nothing new: a save is reported after one to two
# steps. Measured idle cost of step 5/10/20/50 ms: 1.1/0.7/0.4/0.15 % of a core.
STEP_MS = 10
DEBOUNCE_MS = 50

Opener = Callable[[Sequence[str], asyncio.Event, bool], AsyncIterator[set[tuple[Change, str]]]]
"""(folders, stop, polling) to sets of changes, until ``stop`` is set. An empty set: events were lost, look at all."""

# Local disks of WSL 2, on which inotify hears all there is to hear: ext4, btrfs, xfs, f2fs, tmpfs, overlay.
HEARD_IN_WSL = {0xEF53, 0x9123683E, 0x58465342, 0xF2F52010, 0x01021994, 0x794C7630}
EXHAUSTED = {errno.ENOSPC, errno.EMFILE, errno.ENFILE}


async def open_best(
    folders: Sequence[str], stop: asyncio.Event, polling: bool
) -> AsyncIterator[set[tuple[Change, str]]]:
    """Watch these folders, not those below them. Raises OSError and RuntimeError, at once or while it runs."""
    polling = polling or (sys.platform == "linux" and _must_poll(folders))
    if sys.platform == "linux" and not polling:
        try:
            async for changes in open_inotify(folders, stop, polling):
                yield changes
            return
        except OSError as error:
            if error.errno != errno.ENOSYS:  # an emulated machine may have none; watchfiles then polls
                raise
    async for changes in open_watchfiles(folders, stop, polling):
        yield changes


def _must_poll(folders: Sequence[str]) -> bool:
    """As watchfiles decides it: by its variable; without one in WSL 2, but here not on disks that are Linux's own."""
    if asked := os.getenv("WATCHFILES_FORCE_POLLING"):
        return asked.lower() not in {"false", "disable", "disabled"}
    in_wsl = "microsoft-standard" in os.uname().release.lower()
    return in_wsl and any(file_system(folder) not in HEARD_IN_WSL for folder in folders)


async def open_watchfiles(
    folders: Sequence[str], stop: asyncio.Event, polling: bool
) -> AsyncIterator[set[tuple[Change, str]]]:
    """Watch these folders, not those below them. Raises OSError and RuntimeError, at once or while it runs."""
    # Not on top: with what it imports itself it takes time, and memory for as long as the stack is up.
    from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType] - it also takes trio's events

    async for changes in awatch(
        *folders,
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        stop_event=stop,
        rust_timeout=0,
        force_polling=polling or None,  # None: watchfiles looks at WATCHFILES_FORCE_POLLING itself
        recursive=False,
        ignore_permission_denied=False,  # True would also swallow that there are no watches left
    ):
        yield {(Change(change), path) for change, path in changes}


def first_cause(error: Exception) -> Exception:
    """What went wrong inside: the task group of ``awatch`` wraps it."""
    inside: tuple[Exception, ...] = getattr(error, "exceptions", ())
    return first_cause(inside[0]) if inside else error


def is_exhausted(error: Exception) -> bool:
    """No watches (ENOSPC) or instances (EMFILE, ENFILE) left; watchfiles gives no errno but a text with its number."""
    cause = first_cause(error)
    if isinstance(cause, OSError) and cause.errno is not None:
        return cause.errno in EXHAUSTED
    return re.search(r"watch limit reached|os error (?:23|24|28)\b", str(cause)) is not None

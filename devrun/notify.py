"""The call to watchfiles: folders in, sets of changed paths out, and what its errors mean.

Knows no apps and remembers nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence

from watchfiles import (
    Change,
    awatch,  # pyright: ignore[reportUnknownVariableType] - it also takes trio's events
)

# watchfiles wakes up every step and reports when one step brought nothing new: a save is reported after one to two
# steps. Measured idle cost of step 5/10/20/50 ms: 1.1/0.7/0.4/0.15 % of a core.
STEP_MS = 10
DEBOUNCE_MS = 50

Opener = Callable[[Sequence[str], asyncio.Event, bool], AsyncIterator[set[tuple[Change, str]]]]
"""(folders, stop, polling) to sets of changes, until ``stop`` is set."""


def open_watchfiles(
    folders: Sequence[str], stop: asyncio.Event, polling: bool
) -> AsyncIterator[set[tuple[Change, str]]]:
    """Watch these folders, not those below them. Raises OSError and RuntimeError, at once or while it runs."""
    return awatch(
        *folders,
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        stop_event=stop,
        rust_timeout=0,
        force_polling=polling or None,  # None: watchfiles looks at WATCHFILES_FORCE_POLLING itself
        recursive=False,
        ignore_permission_denied=False,  # True would also swallow that there are no watches left
    )


def first_cause(error: Exception) -> Exception:
    """What went wrong inside: the task group of ``awatch`` wraps it."""
    inside: tuple[Exception, ...] = getattr(error, "exceptions", ())
    return first_cause(inside[0]) if inside else error


def is_exhausted(error: Exception) -> bool:
    """No watches (28, ENOSPC) or instances (24, EMFILE; 23, ENFILE) left; watchfiles gives no errno, only this text."""
    return re.search(r"watch limit reached|os error (?:23|24|28)\b", str(first_cause(error))) is not None

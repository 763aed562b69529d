"""The end of a launcher: no signal may take the place of its exit code any more."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable


def go_deaf(signals: Iterable[int]) -> None:
    """Ignore these signals from now on: all is down, and the interpreter only has to end.

    The running loop would put the default back first, and a signal could come in between; so it is made to forget its
    handlers.
    """
    handlers: dict[int, object] = getattr(asyncio.get_running_loop(), "_signal_handlers", {})
    for signum in signals:
        signal.signal(signum, signal.SIG_IGN)
        handlers.pop(signum, None)

"""What ``breakpoint()`` does in a worker: it stops in a debugger that ``devrun attach`` gives a terminal to.

``debugger`` is imported when it is needed: until then an app has none of its modules. A debugger that the user has
chosen (PYTHONBREAKPOINT), or that the whole of devrun runs under, stays what it is; an editor that is attached stops.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from .channel import Channel
from .debugport import DebugPort

PLAIN = ("", "pdb.set_trace")
"""The values of PYTHONBREAKPOINT that mean Python's own debugger."""


class Breakpoints:
    """The breakpoints of one worker; children of the app's own are not among them."""

    def __init__(self, channel: Channel, port: DebugPort) -> None:
        self._channel = channel
        self._port = port
        self._pid = os.getpid()
        self._console: Any = None
        self._leaving = False

    def install(self) -> None:
        """Be what ``breakpoint()`` calls, unless somebody else is already."""
        if sys.breakpointhook is sys.__breakpointhook__ and not is_debugged():
            sys.breakpointhook = self

    def renew(self) -> None:
        """Be those of this process, which was forked from the one that had them."""
        self._pid = os.getpid()

    def leave(self) -> None:
        """Let go of what has stopped, and stop no more: the worker is to end. May be called by a signal handler."""
        self._leaving = True
        if self._console is not None:
            self._console.leave()

    def __call__(self, *args: Any, **options: Any) -> Any:
        if os.getpid() != self._pid or os.environ.get("PYTHONBREAKPOINT", "") not in PLAIN:
            return sys.__breakpointhook__(*args, **options)
        if self._leaving:
            return None
        if self._port.attached:
            self._port.stop_at(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
            return None
        debugger = importlib.import_module(f"{__package__}.debugger")
        if self._console is None:
            self._console = debugger.Console(self._channel)
        # Nothing may come after this: it would be the first thing that is stopped at.
        debugger.Debugger(self._console, options.get("header")).set_trace(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        return None


def is_debugged() -> bool:
    """Whether an editor's debugger has this process: it has a ``breakpoint()`` of its own."""
    return "pydevd" in sys.modules or "debugpy" in sys.modules

"""Lets an editor into a worker: debugpy, imported when that is asked for, on a port that only the launcher is told of.

Until then an app has nothing of it. Needs debugpy in the app's own environment, where its code can be debugged from.
Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Generator
from types import FrameType
from typing import Any

from .channel import Channel

PATIENCE = 10.0
"""Seconds that a new worker waits for the editor to set its breakpoints."""
LOOK_SECONDS = 0.01
QUIET = "PYDEVD_DISABLE_FILE_VALIDATION"


class Refusal(Exception):
    """No editor can be let in; the text says why."""


class DebugPort:
    """The way into this process. The modules that an app had before it was asked for stay its own."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._debugpy: Any = None
        self._port = 0

    def open(self) -> bool:
        """Tell the launcher where this process can be debugged, or why not; whether it can."""
        try:
            if self._debugpy is None:
                self._port = self._listen()
            else:  # before Python 3.12, pdb has taken its place meanwhile
                self._debugpy.trace_this_thread(True)
        except Refusal as refusal:
            self._channel.send({"is": "undebuggable", "reason": str(refusal)})
            return False
        self._channel.send({"is": "debuggable", "port": self._port})
        return True

    def wait(self) -> None:
        """Wait until the editor has set its breakpoints, or will not come."""
        until = time.monotonic() + PATIENCE
        while not self._debugpy.is_client_connected() and time.monotonic() < until:
            message = self._channel.poll()
            if message is not None and message.get("do") == "undebug":
                return
            time.sleep(LOOK_SECONDS)

    @property
    def attached(self) -> bool:
        return self._debugpy is not None and self._debugpy.is_client_connected()

    def stop_at(self, frame: FrameType) -> None:
        """Let the editor show this place. (``debugpy.breakpoint`` would show the caller's.)"""
        pydevd: Any = sys.modules["pydevd"]
        pydevd.settrace(suspend=True, trace_only_current_thread=True, patch_multiprocessing=False, stop_at_frame=frame)

    def _listen(self) -> int:
        if "pydevd" in sys.modules:
            raise Refusal("it is debugged already, or its own code has started a debugger")
        hook = sys.breakpointhook  # pydevd takes it when it is imported
        try:
            with quiet():
                self._debugpy = importlib.import_module("debugpy")
                # What the app starts would wait for an editor that may have left.
                self._debugpy.configure(subProcess=False)
                return int(self._debugpy.listen(("127.0.0.1", 0))[1])
        except ModuleNotFoundError as exc:
            if exc.name != "debugpy":
                raise Refusal(f"debugpy cannot be imported: {exc}") from exc
            install = f"{sys.executable} -m pip install debugpy"
            raise Refusal(f"debugpy is not installed for {sys.executable}; install it with: {install}") from None
        except Exception as exc:
            self._debugpy = None
            raise Refusal(f"debugpy cannot be started: {type(exc).__name__}: {exc}") from exc
        finally:
            sys.breakpointhook = hook


@contextlib.contextmanager
def quiet() -> Generator[None, None, None]:
    """Keep pydevd from warning, at length, that breakpoints in the standard library may be missed."""
    mine = QUIET not in os.environ
    if mine:
        os.environ[QUIET] = "1"
    try:
        yield
    finally:
        if mine:
            os.environ.pop(QUIET, None)

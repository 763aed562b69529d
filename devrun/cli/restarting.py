"""``devrun exec --restart``: a command that is started anew when the stack's addresses change.

The command stays in devrun's process group and has the terminal; while there is no stack it runs on.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from devrun.cli.child_command import PASSED, ChildCommand, hear_signals
from devrun.cli.look import descriptor_of, is_terminal
from devrun.cli.signals import go_deaf
from devrun.control.client import NobodyListensError, stream
from devrun.errors import DevrunError
from devrun.lock import running
from devrun.plan import Endpoint
from devrun.project import Project

POLL = 0.1
"""Seconds between two looks for the next stack."""
END_SECONDS = 5.0
"""How long a command that is to be restarted may take for its end."""

Environment = Callable[[Iterable[Endpoint]], Mapping[str, str]]


class Restarting:
    """To be made inside or outside of the loop; ``environment`` makes the command's environment of endpoints."""

    def __init__(self, project: Project, command: Sequence[str], environment: Environment) -> None:
        self._project = project
        self._command = command
        self._environment = environment
        self._newest: Mapping[str, str] = {}
        self._changed = asyncio.Event()
        self._child: ChildCommand | None = None

    async def run(self, endpoints: Iterable[Endpoint]) -> int:
        """Run the command until it ends by itself; return its exit code. Raises CommandError."""
        self._newest = self._environment(endpoints)
        hear_signals(self._hear)
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._watch, args=(loop,), name="devrun-endpoints", daemon=True).start()
        modes = _modes()
        try:
            while (code := await self._once()) is None:
                _restore(modes)
                print("[devrun] the addresses have changed: restarting the command", file=sys.stderr, flush=True)
            return code
        finally:
            go_deaf(PASSED)

    async def _once(self) -> int | None:
        """Run the command; None: it had to end, for its environment is not true any more."""
        self._changed.clear()
        self._child = ChildCommand(self._command, self._newest)
        running_, changed = asyncio.ensure_future(self._child.run()), asyncio.ensure_future(self._changed.wait())
        await asyncio.wait([running_, changed], return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        if running_.done():
            return running_.result()
        await _end_all(running_)
        return None

    def _hear(self, signum: int) -> None:
        if self._child is not None:
            self._child.signal(signum)

    def _take(self, environ: Mapping[str, str]) -> None:
        if environ != self._newest:
            self._newest = environ
            self._changed.set()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear of all changes of this stack, and of the stacks after it. In a thread: the client is a blocking one."""
        while True:
            try:
                for part in stream(str(self._project.state_dir), "endpoints", {"follow": True}):
                    environ = self._environment(map(_endpoint, part["endpoints"]))
                    with suppress(RuntimeError):  # the loop has ended meanwhile
                        loop.call_soon_threadsafe(self._take, environ)
            except (NobodyListensError, DevrunError):
                while running(self._project) is None:
                    time.sleep(POLL)
            time.sleep(POLL)


async def _end_all(command: asyncio.Future[int]) -> None:
    """End the command and all that it has started."""
    import psutil  # heavy, and only a restart needs it

    processes = psutil.Process().children(recursive=True)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(psutil.Error):  # it knows when its number is another process's by now
                process.send_signal(how)
        await asyncio.wait([command], timeout=END_SECONDS)
        with suppress(psutil.Error):
            processes = [process for process in processes if process.is_running()]


def _endpoint(fields: Mapping[str, Any]) -> Endpoint:
    url: str = fields["url"]
    return Endpoint(fields["name"], fields["host"], fields["port"], scheme=urlsplit(url).scheme)


def _modes() -> list[Any] | None:
    """How the terminal is: a command that is ended from outside may leave it in its own ways."""
    descriptor = descriptor_of(sys.stdin)
    if descriptor is None or not is_terminal(sys.stdin):
        return None
    with suppress(termios.error):
        return termios.tcgetattr(descriptor)
    return None


def _restore(modes: list[Any] | None) -> None:
    descriptor = descriptor_of(sys.stdin)
    if modes is not None and descriptor is not None:
        with suppress(termios.error, OSError):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, modes)

"""The spawn engine: a fresh interpreter for each run.

Also makes the process of a broken page, whatever the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import socket
import sys
import termios
from collections import deque
from collections.abc import Collection, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from devrun.engine import WORKER, Job, Made, Process, Surroundings
from devrun.events import Run
from devrun.reports import AppReport, EngineReport


class SpawnEngine:
    """Runs every worker as a fresh interpreter in a session and process group of its own."""

    def __init__(self, apps: Collection[str], surroundings: Surroundings) -> None:
        self._apps = apps
        self._surroundings = surroundings
        self._making = asyncio.Lock()

    def note(self, app: str, paths: Sequence[str]) -> None:
        return

    async def make(self, job: Job) -> Made | None:
        recipe = job.recipe
        return await self._exec(job, [str(recipe.plan.python)], recipe.plan.cwd, recipe.environ)

    async def make_page(self, job: Job) -> Made | None:
        # The page must come also when the app's interpreter or folder is gone, or its environment fits no process.
        return await self._exec(job, [sys.executable, "-I"], Path("/"), self._surroundings.environ)

    def hear(self, run: Run, message: Mapping[str, Any], descriptors: deque[int]) -> bool:
        return False

    def ended(self, run: Run, code: int) -> bool:
        return False

    def adopt(self, names: Collection[str]) -> None:
        return

    def report(self) -> EngineReport:
        return EngineReport({name: AppReport("spawn") for name in self._apps})

    async def close(self) -> None:
        return

    async def _exec(
        self, job: Job, interpreter: Sequence[str], folder: Path, environ: Mapping[str, str]
    ) -> Made | None:
        # Making a process holds up the loop. One at a time: between two of hundreds the word to stop is heard.
        async with self._making:
            if not job.wanted():
                return None
            with wires(self._surroundings.terminal) as ends:
                sockets = job.recipe.sockets
                return ends.made(await ends.spawn(interpreter, folder=folder, environ=environ, sockets=sockets))


class Spawned:
    """A child process of the launcher's."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> int:
        code = await self._process.wait()
        kill_group(self._process.pid)  # its children share its fate
        return code


class Wires(Struct):
    """What connects the launcher to a new process. ``channel`` and ``printed`` are the ends for the process."""

    ours: socket.socket
    channel: socket.socket
    output: int
    printed: int
    kept: bool = False

    async def spawn(
        self,
        interpreter: Sequence[str],
        *arguments: str,
        folder: Path,
        environ: Mapping[str, str],
        sockets: Sequence[socket.socket] = (),
    ) -> Spawned:
        """Start ``child/worker.py`` at the other ends, in a session of its own. Raises OSError or ValueError."""
        process = await asyncio.create_subprocess_exec(
            *interpreter,
            str(WORKER),
            str(self.channel.fileno()),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self.printed,
            stderr=self.printed,
            cwd=folder,
            env=dict(environ),
            pass_fds=[self.channel.fileno(), *(sock.fileno() for sock in sockets)],
            start_new_session=True,
        )
        return Spawned(process)

    def made(self, process: Process) -> Made:
        """Keep our ends: they belong to this process now."""
        self.kept = True
        return Made(process, self.ours, self.output)


@contextlib.contextmanager
def wires(terminal: tuple[int, int] | None) -> Generator[Wires]:
    """Open them; close the process's ends afterwards, and ours too unless a process was made."""
    ours, theirs = socket.socketpair()
    try:
        output, printed = open_output(terminal)
    except OSError:
        ours.close()
        theirs.close()
        raise
    ends = Wires(ours, theirs, output, printed)
    try:
        yield ends
    finally:
        theirs.close()
        os.close(printed)
        if not ends.kept:
            ours.close()
            os.close(output)


def open_output(terminal: tuple[int, int] | None) -> tuple[int, int]:
    """Return a pair of descriptors: what is read, and what a worker prints to.

    Where the lines end up on a terminal, a worker gets one too, so that it colours them as it would by itself.
    """
    if terminal is None:
        return os.pipe()
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST  # no "\n" to "\r\n"
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    termios.tcsetwinsize(slave, terminal)
    return master, slave


def kill_group(pid: int) -> None:
    """End a process and all that still share its group. The group's number stays taken while one of them lives."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # forked a moment ago: it leads no group yet
            os.kill(pid, signal.SIGKILL)
    except PermissionError:  # macOS: EPERM for a group of zombies
        return

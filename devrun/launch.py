"""Processes of commands: started, read, ended with everything below them; what becomes of them arrives as events.

Decides nothing: ``step`` does. What is run, and with which variables, comes from the ``order`` that it is handed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from devrun.engine import Groups
from devrun.events import Event, Exited, Listening, Run, Spawned
from devrun.logs import LineReader, Logs
from devrun.plan import Endpoint
from devrun.ports import PortWatch
from devrun.spawn import DRAIN_SECONDS, EXEC_FAILED, TAIL_LINES
from devrun.spawning import open_output
from devrun.tree import members, signal_all

FIRST_LOOK = 0.005
LONGEST_LOOK = 0.1
REST_SECONDS = 3.0
"""How long what a command leaves behind when it ends may take to end, too."""
KILLED_SECONDS = 1.0
"""How long what was killed may take to be gone: a process in an uninterruptible sleep is left to the guard."""


class Launcher(Protocol):
    """Starts and ends the processes of commands. Every call returns at once; what comes of it arrives as events."""

    def has(self, run: Run) -> bool: ...

    def launch(self, run: Run) -> None: ...

    def terminate(self, run: Run) -> None: ...

    def kill(self, run: Run) -> None: ...


class Order(Struct, frozen=True):
    """What to run. ``port``: the one that it was asked to listen on."""

    words: Sequence[str]
    cwd: Path
    environ: Mapping[str, str]
    port: int | None


class _Live(Struct):
    """A run from the call that starts it until all of it is gone. ``tree``: what belonged to it when it was to end."""

    pid: int | None = None
    ended: bool = False
    killed: bool = False
    tree: set[int] = field(default_factory=set[int])
    task: asyncio.Task[None] | None = None


class Commands:
    """The ``Launcher``: one process tree for each run, in a session of its own."""

    def __init__(
        self,
        order: Callable[[str], Order],
        emit: Callable[[Event], None],
        logs: Logs,
        groups: Groups,
        terminal: tuple[int, int] | None,
    ) -> None:
        self._order = order
        self._emit = emit
        self._logs = logs
        self._groups = groups
        self._terminal = terminal
        self._live: dict[Run, _Live] = {}
        self._clock = asyncio.get_running_loop().time

    def has(self, run: Run) -> bool:
        return run in self._live

    def launch(self, run: Run) -> None:
        live = self._live[run] = _Live()
        live.task = asyncio.create_task(self._live_through(run, live))

    def terminate(self, run: Run) -> None:
        live = self._live[run]
        live.ended = True
        self._signal(live, signal.SIGTERM)

    def kill(self, run: Run) -> None:
        live = self._live[run]
        live.ended = live.killed = True
        self._signal(live, signal.SIGKILL)

    async def close(self) -> None:
        """Kill what is left and wait until all of it is gone."""
        for run in tuple(self._live):
            self.kill(run)
        await asyncio.gather(*(live.task for live in tuple(self._live.values()) if live.task is not None))

    def _signal(self, live: _Live, signum: signal.Signals) -> None:
        """Reach the whole tree: of `npm run dev`, npm, its shell and the server, also one in a session of its own.

        Who has left by the time of the last signal is still known from the one before.
        """
        if live.pid is None:
            return
        live.tree = members(live.pid, live.tree)
        signal_all(live.tree, signum)

    async def _live_through(self, run: Run, live: _Live) -> None:
        code = -signal.SIGTERM  # of a run that is to end before it has a process
        if not live.ended:
            order = self._order(run.app)
            try:
                code = await self._run(run, live, order)
            except (OSError, ValueError) as exc:  # ValueError: what no process can be given, as a NUL in a variable
                self._logs.feed(run, [_reason(order, exc)])
                code = EXEC_FAILED
        del self._live[run]
        self._emit(Exited(run, code, self._logs.tail(run, TAIL_LINES), self._clock()))

    async def _run(self, run: Run, live: _Live, order: Order) -> int:
        """Start the process and return its exit code when all of its tree is gone. Raises OSError or ValueError."""
        output, printed = open_output(self._terminal)
        # Not the null device: bundlers in watch mode take the end of their input for the word to stop. Nobody writes.
        stdin, silence = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *order.words,
                stdin=stdin,
                stdout=printed,
                stderr=printed,
                cwd=order.cwd,
                env=dict(order.environ),
                start_new_session=True,
            )
        except BaseException:
            os.close(output)
            os.close(silence)
            raise
        finally:
            os.close(printed)
            os.close(stdin)
        try:
            return await self._follow(run, live, process, order, output)
        finally:
            os.close(silence)

    async def _follow(
        self, run: Run, live: _Live, process: asyncio.subprocess.Process, order: Order, output: int
    ) -> int:
        live.pid = process.pid
        self._groups.add(process.pid)
        self._emit(Spawned(run, process.pid, self._clock()))
        watch = PortWatch(run.app, process.pid, order.port, partial(self._moved, run))
        watching = asyncio.create_task(watch.run())
        reader = LineReader(output, partial(self._print, run, watch))
        if live.ended:  # asked while the process was being made
            self._signal(live, signal.SIGKILL if live.killed else signal.SIGTERM)
        code = await process.wait()
        watching.cancel()
        live.tree |= watch.tree
        await self._end_rest(live, process.pid)
        self._groups.remove(process.pid)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.finished.wait(), DRAIN_SECONDS)
        reader.close()
        return code

    async def _end_rest(self, live: _Live, pid: int) -> None:
        """Wait for the end of what the process has left behind; where nobody has asked it to end, ask."""
        kill_at = math.inf
        if not live.ended:
            signal_all(members(pid, live.tree), signal.SIGTERM)
            kill_at = self._clock() + REST_SECONDS
        give_up_at, pause = math.inf, FIRST_LOOK
        while rest := members(pid, live.tree):
            if live.killed or self._clock() > kill_at:
                signal_all(rest, signal.SIGKILL)
                give_up_at = min(give_up_at, self._clock() + KILLED_SECONDS)
            if self._clock() > give_up_at:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_LOOK)

    def _print(self, run: Run, watch: PortWatch, lines: list[str]) -> None:
        watch.hear(lines)
        self._logs.feed(run, lines)

    def _moved(self, run: Run, endpoint: Endpoint) -> None:
        self._emit(Listening(run, endpoint, self._clock()))


def _reason(order: Order, error: OSError | ValueError) -> str:
    what = order.words[0] if order.cwd.is_dir() else order.cwd
    return f"{what} cannot be started: {error.strerror if isinstance(error, OSError) else error}"

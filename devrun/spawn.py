"""Worker processes: started, spoken to, ended; what they say becomes events.

This is the ``spawn`` engine: a fresh interpreter for each run. Decides nothing: ``step`` does. Another engine offers
the same ``Spawner``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import socket
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from devrun.events import (
    Event,
    Exited,
    Failed,
    Failure,
    Imported,
    Loaded,
    LoadedFile,
    Run,
    Spawned,
    Started,
)
from devrun.logs import CHUNK_BYTES, LineReader, Logs
from devrun.plan import AppPlan, Endpoint

WORKER = Path(__file__).parent / "child" / "worker.py"
TAIL_LINES = 20
DRAIN_SECONDS = 1.0
"""How long the output of a dead run may stay open: a process that left the group may hold it."""
EXEC_FAILED = 127
PROTOCOL = 1
LONGEST_MESSAGE_BYTES = 8 * 1024 * 1024


class Spawner(Protocol):
    """Starts and ends runs. Every call returns at once; what comes of it arrives as events."""

    def start(self, run: Run) -> None: ...

    def start_page(self, run: Run, failure: Failure) -> None: ...

    def begin(self, run: Run) -> None: ...

    def terminate(self, run: Run) -> None: ...

    def kill(self, run: Run) -> None: ...


class Groups(Protocol):
    """Hears of each process group, so that it can be ended when the launcher cannot do it any more."""

    def add(self, pgid: int) -> None: ...

    def remove(self, pgid: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that the workers of one app need."""

    plan: AppPlan
    endpoint: Endpoint
    sockets: tuple[socket.socket, ...]
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all workers have in common."""

    folder: Path
    """The project's; places in messages are relative to it."""
    environ: Mapping[str, str]
    """What a process that runs no app gets."""
    nofile: tuple[int, int]
    """The soft and hard limit of descriptors that they get."""
    terminal: tuple[int, int] | None
    """Rows and columns of the terminal that their output ends up on; None when it is no terminal."""


@dataclass(slots=True)
class _Live:
    """A run from the call that starts it until all of it is gone. ``pid`` is None before exec and after the end."""

    pid: int | None = None
    channel: socket.socket | None = None
    killed: bool = False
    task: asyncio.Task[None] | None = None


_Made = tuple[asyncio.subprocess.Process, socket.socket, int]
"""A process, our end of its channel, and the descriptor that its output is read from."""


class ExecSpawner:
    """Runs every worker as a fresh interpreter in a session and process group of its own."""

    def __init__(
        self,
        recipes: Mapping[str, Recipe],
        emit: Callable[[Event], None],
        logs: Logs,
        groups: Groups,
        surroundings: Surroundings,
    ) -> None:
        self._recipes = recipes
        self._emit = emit
        self._logs = logs
        self._groups = groups
        self._surroundings = surroundings
        self._live: dict[Run, _Live] = {}
        self._making = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time

    def start(self, run: Run) -> None:
        self._launch(run, [str(self._recipes[run.app].plan.python)], None)

    def start_page(self, run: Run, failure: Failure) -> None:
        # devrun's own interpreter, isolated: the app's may be what is broken.
        self._launch(run, [sys.executable, "-I"], failure)

    def begin(self, run: Run) -> None:
        live = self._live.get(run)
        if live is not None and live.channel is not None:
            with contextlib.suppress(OSError):  # the worker is gone: Exited is on its way
                live.channel.send(b'{"do": "begin"}\n')

    def terminate(self, run: Run) -> None:
        live = self._live.get(run)
        if live is not None and live.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have changed its user
                os.kill(live.pid, signal.SIGTERM)

    def kill(self, run: Run) -> None:
        live = self._live.get(run)
        if live is not None:
            live.killed = True
            _kill_group(live.pid)

    async def close(self) -> None:
        """Kill what is left and wait until all of it is gone."""
        for run in tuple(self._live):
            self.kill(run)
        await asyncio.gather(*(live.task for live in tuple(self._live.values()) if live.task is not None))

    def _launch(self, run: Run, interpreter: Sequence[str], failure: Failure | None) -> None:
        live = self._live[run] = _Live()
        live.task = asyncio.create_task(self._live_through(run, live, interpreter, failure))

    async def _live_through(self, run: Run, live: _Live, interpreter: Sequence[str], failure: Failure | None) -> None:
        code = -signal.SIGKILL  # of a run that is killed before it has a process
        command = [*interpreter, str(WORKER)]
        try:
            # Making a process holds up the loop. One at a time: between two of hundreds the word to stop is heard.
            async with self._making:
                made = None if live.killed else await self._exec(run.app, command, page=failure is not None)
        except (OSError, ValueError) as exc:  # ValueError: what no process can be given, such as a NUL in a variable
            reason = exc.strerror if isinstance(exc, OSError) else exc
            self._logs.feed(run, [f"{interpreter[0]} cannot be started: {reason}"])
            code = EXEC_FAILED
        else:
            if made is not None:
                code = await self._follow(run, live, made, self._order(run, failure))
        del self._live[run]
        self._emit(Exited(run, code, self._logs.tail(run, TAIL_LINES), self._clock()))

    async def _follow(self, run: Run, live: _Live, made: _Made, order: bytes) -> int:
        """Attend to a worker and read what it prints, to the end of both; return its exit code."""
        process, live.channel, output = made
        live.pid = process.pid
        reader = LineReader(output, partial(self._logs.feed, run))
        code = await self._attend(run, live, process, order)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.finished.wait(), DRAIN_SECONDS)
        reader.close()
        live.channel.close()
        return code

    async def _exec(self, app: str, command: Sequence[str], *, page: bool) -> _Made:
        """Return the process, our end of its channel, and the descriptor that its output is read from."""
        recipe = self._recipes[app]
        # The page must come also when the app's folder is gone, or its environment is not fit for a process.
        folder, environ = (Path("/"), self._surroundings.environ) if page else (recipe.plan.cwd, recipe.environ)
        ours, theirs = socket.socketpair()
        output, printed = _open_output(self._surroundings.terminal)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                cwd=folder,
                env=dict(environ),
                pass_fds=[theirs.fileno(), *(sock.fileno() for sock in recipe.sockets)],
                start_new_session=True,
            )
        except (OSError, ValueError):
            ours.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(printed)
        ours.setblocking(False)
        return process, ours, output

    async def _attend(self, run: Run, live: _Live, process: asyncio.subprocess.Process, order: bytes) -> int:
        """Give the order, hear the worker out, and return its exit code when its whole group is gone."""
        assert live.channel is not None
        self._groups.add(process.pid)
        self._emit(Spawned(run, process.pid, self._clock()))
        if live.killed:  # asked while the process was being made
            _kill_group(process.pid)
        talk = asyncio.create_task(self._talk(run, live.channel, order))
        code = await process.wait()
        live.pid = None
        _kill_group(process.pid)  # its children share its fate
        self._groups.remove(process.pid)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(talk, DRAIN_SECONDS)
        return code

    async def _talk(self, run: Run, channel: socket.socket, order: bytes) -> None:
        """Send the order; turn what the worker says into events until it closes its end."""
        loop = asyncio.get_running_loop()
        pending = b""
        with contextlib.suppress(OSError):  # reset: the worker died with unread words
            await loop.sock_sendall(channel, order)
            while chunk := await loop.sock_recv(channel, CHUNK_BYTES):
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    self._hear(run, line)
                if len(pending) > LONGEST_MESSAGE_BYTES:
                    return

    def _hear(self, run: Run, line: bytes) -> None:
        try:
            event = read_report(run, line, self._clock(), self._surroundings.folder)
        except (ValueError, TypeError, KeyError):
            # User code shares the process and could write to any descriptor.
            self._logs.feed(run, [f"devrun: a report of the worker could not be read: {line[:200]!r}"])
        else:
            self._emit(event)

    def _order(self, run: Run, failure: Failure | None) -> bytes:
        recipe = self._recipes[run.app]
        plan = recipe.plan
        order = {
            "v": PROTOCOL,
            "name": plan.name,
            "token": f"{plan.name}-{run.generation}",
            "app": plan.target,
            "factory": plan.factory,
            "host": recipe.endpoint.host,
            "port": recipe.endpoint.port,
            "grace": plan.grace,
            "uvicorn": dict(plan.uvicorn),
            "fds": [sock.fileno() for sock in recipe.sockets],
            "nofile": list(self._surroundings.nofile),
            "page": None if failure is None else asdict(failure),
        }
        return json.dumps(order).encode() + b"\n"


def read_report(run: Run, line: bytes, at: float, folder: Path) -> Event:
    """Turn one line of a worker into an event. Raises ValueError, TypeError or KeyError for anything else."""
    message: dict[str, Any] = json.loads(line)
    match message["is"]:
        case "loaded":
            files = (LoadedFile(path, tuple(stamp) if stamp else None) for path, stamp in message["files"])
            return Loaded(run, tuple(files), at)
        case "imported":
            return Imported(run, at)
        case "started":
            return Started(run, at)
        case "failed":
            failure = Failure(**message["failure"])
            return Failed(run, replace(failure, file=_relative(failure.file, folder)), at)
        case unknown:
            raise ValueError(unknown)


def _relative(file: str | None, folder: Path) -> str | None:
    if file is None:
        return None
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file


def _open_output(terminal: tuple[int, int] | None) -> tuple[int, int]:
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


def _kill_group(pid: int | None) -> None:
    """End a process and all that still share its group. The group's number stays taken while one of them lives."""
    if pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(pid, signal.SIGKILL)

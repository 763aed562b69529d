"""The launcher's side of a process that forks on demand: a fork server or a checkpoint.

Speaks the words of ``child/forks.py``. Decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from devrun.channel import Channel

WORD_SECONDS = 0.5
"""How long the exit code of a process that is gone is waited for: its parent may be dead, or busy importing."""
LOOK_SECONDS = 0.2


class Exits:
    """The exit codes of forked processes. Whoever is their parent tells: a checkpoint, or the fork server after it."""

    def __init__(self) -> None:
        self._expected: dict[int, asyncio.Future[int]] = {}
        self._loop = asyncio.get_running_loop()

    def expect(self, pid: int) -> None:
        self._expected[pid] = self._loop.create_future()
        try:
            descriptor = os.pidfd_open(pid)
        except (AttributeError, OSError):  # not Linux, or an old one
            self._look(pid)
        else:
            self._loop.add_reader(descriptor, self._hear_of_end, pid, descriptor)

    def tell(self, pid: int, code: int) -> None:
        _resolve(self._expected.get(pid), code)

    async def wait(self, pid: int) -> int:
        try:
            return await self._expected[pid]
        finally:
            del self._expected[pid]

    def _hear_of_end(self, pid: int, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        self._give_up(pid)

    def _look(self, pid: int) -> None:
        if pid not in self._expected:
            return
        if is_gone(pid):
            self._give_up(pid)
        else:
            self._loop.call_later(LOOK_SECONDS, self._look, pid)

    def _give_up(self, pid: int) -> None:
        # The future, not the number: that may be another process's by then.
        self._loop.call_later(WORD_SECONDS, _resolve, self._expected.get(pid), -signal.SIGKILL)


def _resolve(future: asyncio.Future[int] | None, code: int) -> None:
    if future is not None and not future.done():
        future.set_result(code)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    import psutil  # not needed at the start

    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Forked(Struct, frozen=True):
    """A process that a forker has made. Its group is ended by whoever reaps it, before its number is free again."""

    pid: int
    exits: Exits

    async def wait(self) -> int:
        return await self.exits.wait(self.pid)


class Stale(Struct, frozen=True):
    """Nothing was forked: these files are no longer as the process has loaded them, or it cannot (``error``)."""

    changed: tuple[str, ...]
    error: str


class Forker:
    """One such process. ``greeting`` is what it says first, None if it ended before."""

    def __init__(self, sock: socket.socket, exits: Exits, complain: Callable[[str], None]) -> None:
        self._channel = Channel(sock, self._hear)
        self._exits = exits
        self._complain = complain
        self._answers: dict[int, asyncio.Future[Forked | Stale]] = {}
        self._preloaded: asyncio.Future[Mapping[str, Any]] | None = None
        self._count = 0
        self.greeting: asyncio.Future[Mapping[str, Any] | None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.create_task(self._live())

    async def start(self, message: Mapping[str, object], descriptors: Sequence[int]) -> Forked | Stale:
        """Ask for a new process. The descriptors stay the caller's, who may close them at once."""
        self._count += 1
        answer: asyncio.Future[Forked | Stale] = asyncio.get_running_loop().create_future()
        self._answers[self._count] = answer
        if self._channel.closed.is_set():
            return Stale((), "it has ended")
        words = {**message, "do": "start", "id": self._count, "descriptors": len(descriptors)}
        self._channel.send(words, descriptors)
        return await answer

    async def preload(self, message: Mapping[str, object]) -> Mapping[str, Any]:
        """Ask a fork server to import modules; return its answer. Raises OSError if it ends over that."""
        self._preloaded = asyncio.get_running_loop().create_future()
        if self._channel.closed.is_set():
            raise OSError("it has ended")
        self._channel.send({**message, "do": "preload"})
        return await self._preloaded

    def retire(self) -> None:
        """Fork no more; the process ends when its last child has."""
        self._channel.send({"do": "retire"})

    def close(self) -> None:
        """End the process and its children."""
        self._channel.close()

    async def _live(self) -> None:
        """Wait until the process is gone; then nothing that was asked will be answered."""
        await self._channel.closed.wait()
        self._channel.close()
        if not self.greeting.done():
            self.greeting.set_result(None)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(Stale((), "it has ended"))
        if self._preloaded is not None and not self._preloaded.done():
            self._preloaded.set_exception(OSError("it has ended"))

    def _hear(self, line: bytes) -> None:
        try:
            self._obey(json.loads(line))
        except (ValueError, TypeError, KeyError):
            self._complain(f"devrun: a report of the fork server could not be read: {line[:200]!r}")

    def _obey(self, message: Mapping[str, Any]) -> None:
        match message["is"]:
            case "hello":
                self.greeting.set_result(message)
            case "started":
                self._answer(message["id"], Forked(message["pid"], self._exits))
            case "stale":
                self._answer(message["id"], Stale(tuple(message["changed"]), message["error"]))
            case "exited":
                self._exits.tell(message["pid"], message["code"])
            case "preloaded":
                if self._preloaded is not None and not self._preloaded.done():
                    self._preloaded.set_result(message)
            case unknown:
                raise ValueError(unknown)

    def _answer(self, number: int, answer: Forked | Stale) -> None:
        future = self._answers.pop(number)
        if future.done():  # nobody wants it any more; a process that was forked finds its channel closed
            return
        if isinstance(answer, Forked):
            self._exits.expect(answer.pid)
        future.set_result(answer)

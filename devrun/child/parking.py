"""Checkpoints: processes parked in the middle of an import, before a file that is being edited, or between its halves.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Iterable
from typing import Callable

from .chance import Chance
from .channel import Channel
from .forks import Forks, Start
from .halves import Halves
from .system import armed_timers, open_descriptors, outlasts_fork, own_children, shared_memory
from .traces import Traces


class Parking:
    """Parks a copy of this process in front of each of the ``wanted`` files and between its halves, once.

    ``resumed`` is called in a process that goes on from a checkpoint, with the launcher's word, when it has its new
    descriptors. The numbers of the channel and of the listening sockets stay the same in all of them.
    """

    def __init__(
        self,
        channel: Channel,
        sockets: Iterable[int],
        traces: Traces,
        roots: Iterable[str],
        resumed: Callable[[Start], None],
        chance: Chance,
    ) -> None:
        self.wanted: frozenset[str] = frozenset()
        self._channel = channel
        self._numbers = (channel.fileno(), *sockets)
        self._traces = traces
        self._roots = tuple(roots)
        self._resumed = resumed
        self._met: set[str] = set()
        self._opened: dict[str, int] = {}
        self._chance = chance
        self._descriptors = set(open_descriptors())
        self._shared = shared_memory()

    def before(self, path: str) -> bool:
        """Park if this file is wanted. True in a process that goes on from there later."""
        path = os.path.realpath(path) if self.wanted else ""
        if path not in self.wanted or path in self._met:
            return False
        self._met.add(path)
        return self._park_if_possible(path)

    def opens(self, path: str) -> bool:
        """Say whether to ask ``within`` for this file, which is about to be run."""
        path = os.path.realpath(path) if self.wanted else ""
        if path not in self.wanted or path in self._opened:
            return False
        self._opened[path] = self._traces.count
        return True

    def within(self, path: str, halves: Halves) -> None:
        """Park between the halves of this file, unless its first half has brought nothing of the project's own."""
        real = os.path.realpath(path)
        if real in self.wanted and self._traces.count > self._opened[real]:
            with self._traces.between(path, halves):
                self._park_if_possible(real, halves.line)

    def _park_if_possible(self, path: str, line: int | None = None) -> bool:
        obstacle = self._obstacle()
        if obstacle is not None:
            self._channel.send({"is": "unparked", "file": path, "reason": obstacle})
            return False
        return self._park(path, line)

    def _obstacle(self) -> str | None:
        extra = {number: what for number, what in open_descriptors().items() if number not in self._descriptors}
        if extra:
            return f"leaves a descriptor open ({', '.join(sorted(extra.values()))})"
        if shared_memory() - self._shared:
            return "shares memory with others"
        return self._traces.obstacle or own_children() or armed_timers() or outlasts_fork(threads=1)

    def _park(self, path: str, line: int | None) -> bool:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._chance.park()
        ours, theirs = socket.socketpair()
        # Twice, so that the worker has no child: it is not the worker's to wait for.
        pid = os.fork()
        if pid:
            theirs.close()
            os.waitpid(pid, 0)
            self._channel.send({"is": "parked", "file": path, "line": line}, [ours.fileno()])
            ours.close()
            return False
        ours.close()
        if os.fork():
            os._exit(0)
        self._resume(self._wait(theirs))
        return True

    def _wait(self, sock: socket.socket) -> Start:
        """Be a checkpoint. Return in each process that goes on."""
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number in (1, 2, *self._numbers):  # taken, so that they are free for nothing else
            os.dup2(null, number, inheritable=number < 3)
        os.close(null)
        self._traces.complete(self._roots)
        gc.freeze()
        forks = Forks(sock, self._traces.changed)
        forks.channel.send({"is": "hello", "pid": os.getpid()})
        return forks.serve()

    def _resume(self, start: Start) -> None:
        for number, new in zip(self._numbers, (start.channel, *start.sockets)):
            os.dup2(new, number, inheritable=False)
            os.close(new)
        take_output(start.output)
        self._descriptors = set(open_descriptors())
        self._chance.resume()
        self._traces.resume()
        self._resumed(start)


def take_output(descriptor: int) -> None:
    """Print there from now on."""
    for number in (1, 2):
        os.dup2(descriptor, number)
    os.close(descriptor)

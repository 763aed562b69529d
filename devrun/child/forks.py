"""Forks on demand: the loop of a fork server and of a checkpoint.

A plain poll loop in a process with one thread. The launcher's messages: ``start`` (with the descriptors of the new
worker: its channel, its output, its listening sockets), ``preload`` (fork server), ``retire``. The answers: ``started``
with the pid, ``stale`` with what has changed, ``exited`` with the exit status, as soon as a child has gone.

After multiprocessing/forkserver.py of the standard library. Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable, NoReturn

from .channel import Channel
from .system import bury, bury_all, end_group

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Start:
    """What a forked child is to be: ``message`` as the launcher sent it, ``descriptors`` in its order."""

    def __init__(self, message: dict[str, Any], descriptors: list[int]) -> None:
        self.message = message
        self.channel, self.output, *self.sockets = descriptors


class Forks:
    """``changed`` returns what no longer is as this process has loaded it: then nothing is forked any more."""

    def __init__(
        self,
        sock: socket.socket,
        changed: Callable[[], list[str]],
        preload: Callable[[dict[str, Any]], dict[str, object]] | None = None,
    ) -> None:
        self.channel = Channel(sock, self._end)
        self._changed = changed
        self._preload = preload
        self._children: set[int] = set()
        self._retiring = False

    def serve(self) -> Start:
        """Serve until the launcher is gone. Return in each child, with what it is to do, and only there."""
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        handlers = {signum: signal.getsignal(signum) for signum in (*_IGNORED, signal.SIGCHLD)}
        for signum in _IGNORED:
            signal.signal(signum, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, _wake)
        wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLIN)
        poll.register(ours.fileno(), select.POLLIN)
        while True:
            poll.poll()
            _drain(ours)
            self._reap()
            for message in self._messages():
                start = self._obey(message)
                if start is not None:  # this is the child
                    # CPython leaves the parent's there (3.9 to 3.13).
                    getattr(threading.main_thread(), "_set_native_id", int)()
                    signal.set_wakeup_fd(wakeup)
                    for signum, handler in handlers.items():
                        if handler is not None:  # None: installed from C
                            signal.signal(signum, handler)
                    ours.close()
                    theirs.close()
                    self.channel.close()
                    return start

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            message = self.channel.poll()
            if message is None:
                return
            yield message

    def _obey(self, message: dict[str, Any]) -> Start | None:
        """Do what the launcher asks for. Return in a forked child what it is to be."""
        if message["do"] == "start":
            descriptors = [self.channel.descriptors.pop(0) for _ in range(message["descriptors"])]
            return self._start(message, descriptors)
        if message["do"] == "preload" and self._preload is not None:
            self.channel.send({"is": "preloaded", **self._preload(message)})
        if message["do"] == "retire":
            self._retiring = True
            self._leave_if_done()
        return None

    def _start(self, message: dict[str, Any], descriptors: list[int]) -> Start | None:
        changed = self._changed()
        pid = -1
        error = ""
        if not changed:
            try:
                pid = os.fork()
            except OSError as exc:
                error = f"cannot fork: {exc.strerror}"
        if pid == 0:
            os.setsid()
            return Start(message, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._children.add(pid)
            self.channel.send({"is": "started", "id": message["id"], "pid": pid})
        else:
            self.channel.send({"is": "stale", "id": message["id"], "changed": changed, "error": error})
        return None

    def _reap(self) -> None:
        """Bury the dead, and tell of each. Orphans of checkpoints that are gone come here too."""
        while True:
            dead = bury()
            if dead is None:
                break
            self._children.discard(dead[0])
            self.channel.send({"is": "exited", "pid": dead[0], "code": dead[1]})
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self._retiring and not self._children:
            os._exit(0)

    def _end(self) -> NoReturn:
        """The launcher is gone: nobody is to outlive it."""
        for pid in self._children:
            end_group(pid)
        bury_all()
        os._exit(0)


def _wake(_signum: int, _frame: object) -> None:
    """Without a handler the signal would not reach the wakeup descriptor."""


def _drain(sock: socket.socket) -> None:
    try:
        while sock.recv(4096):
            pass
    except BlockingIOError:
        pass

"""The guard process, seen from the launcher: it hears of every process group and outlives the launcher to end them.

Must not decide who ends when: it acts only when the launcher is gone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

GUARD = Path(__file__).parent / "child" / "guard.py"
END_SECONDS = 2.0


class Guard:
    """Tells the guard process which groups live. Started anew should somebody kill it."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._groups: set[int] = set()
        self._closed = False
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def add(self, pgid: int) -> None:
        self._groups.add(pgid)
        self._write(f"+{pgid}\n")

    def remove(self, pgid: int) -> None:
        self._groups.discard(pgid)
        self._write(f"-{pgid}\n")

    def close(self) -> None:
        """Let the guard end what is left, and wait for it."""
        self._closed = True
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._say(".\n")
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: what kills the launcher's group or closes its terminal does not reach the guard. Nor
        # does a debugger of the launcher's that follows its children and would end them with it: it knows a Python
        # by its name. The folder is where this one finds its standard library.
        name = os.path.join(os.path.dirname(os.path.realpath(sys.executable)), "devrun-guard")
        return subprocess.Popen(
            [name, "-I", "-S", str(GUARD), self._mark],
            executable=sys.executable,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def _write(self, line: str) -> None:
        if self._closed:  # word of something that the guard itself has ended: there is nothing left to guard
            return
        try:
            self._say(line)
        except (BrokenPipeError, ValueError):  # ValueError: the last try to replace it failed
            # Without a guard the stack goes on: its workers see for themselves that the launcher is gone.
            with suppress(OSError):
                self._replace()

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())

    def _replace(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process = self._start()
        self._say("".join(f"+{group}\n" for group in sorted(self._groups)))


@contextmanager
def guarded(mark: str) -> Generator[Guard]:
    """Run a guard; ``mark`` is a NAME=VALUE that every process of the stack has in its environment."""
    guard = Guard(mark)
    try:
        yield guard
    finally:
        guard.close()

"""A real pseudo-terminal with a terminal emulator behind it: what a person would see of the bytes that were written."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import termios
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TextIO, TypeVar

import pyte

from tests.driver import wait_until

T = TypeVar("T")


class Terminal:
    """A terminal of ``columns`` x ``rows``. A thread reads what is written to it, unless it is made ``stuck``."""

    def __init__(self, columns: int = 80, rows: int = 24, *, stuck: bool = False) -> None:
        self.master, self.slave = os.openpty()
        self.screen = pyte.HistoryScreen(columns, rows, history=100_000, ratio=0.5)
        self._parser = pyte.ByteStream(self.screen)
        self.written = bytearray()
        self._fed = 0
        self.resize(columns, rows)
        self.stream: TextIO = open(self.slave, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        self._reader = threading.Thread(target=self._read, daemon=True)
        if not stuck:
            self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self.slave)
        if self._reader.is_alive():
            self._reader.join(5)
        self.hang_up()
        if error is not None:
            print("\n".join(self.lines()))

    def hang_up(self) -> None:
        """Close the terminal's own side, as a window that is closed."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; SIGWINCH goes to its foreground processes only."""
        self.lines()
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the last of the other side's descriptors is closed
                return
            if not data:
                return
            self.written += data

    # --- what is on it --------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The lines on the screen, without the spaces at their ends."""
        upto = len(self.written)
        self._parser.feed(bytes(self.written[self._fed : upto]))
        self._fed = upto
        return [line.rstrip() for line in self.screen.display]

    def everything(self) -> list[str]:
        """All lines, those that have left the screen at its top too, without the empty ones at the end."""
        lines = self.lines()
        columns = range(self.screen.columns)
        gone = ["".join(line[x].data for x in columns).rstrip() for line in self.screen.history.top]
        while lines and not lines[-1]:
            lines.pop()
        return gone + lines

    def wait(self, condition: Callable[[list[str]], T], message: str = "") -> T:
        """Wait until ``condition`` holds for the lines on the screen."""
        return wait_until(lambda: condition(self.lines()), message)

    def wait_text(self, text: str) -> None:
        """Wait until ``text`` is on the screen."""
        self.wait(lambda lines: text in "\n".join(lines), f"no {text!r} on the terminal")

    def modes(self) -> int:
        """The local modes of the terminal: ICANON, ECHO, ISIG, ..."""
        modes: int = termios.tcgetattr(self.slave)[3]
        return modes

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def run(self, *argv: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, with this as its controlling terminal."""
        code = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"
        return subprocess.Popen(
            [env["PYTHON"], "-c", code, *argv], stdin=self.slave, stdout=self.slave, stderr=self.slave, env=env
        )

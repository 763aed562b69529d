"""The keys of ``devrun up``: read one by one while the launcher is in the foreground, and Ctrl-Z done properly.

Owns the terminal's input modes and gives them back whatever happens. Must not know what a key does.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import termios
import threading
import webbrowser
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TextIO

from devrun.cli.look import descriptor_of, in_foreground, is_terminal

HELP = """\
  h  this help
  r  restart all apps
  o  open the app in the browser
  c  clear the screen
  q  quit
  Enter prints an empty line"""

LOOK_SECONDS = 1.0
"""How often the launcher sees whether it is in the foreground: no signal tells it of `fg` when it was not stopped."""

_PASTED = 16
"""Bytes that no hand types at once: pasted text must not quit the stack."""
_TEXT_BROWSERS = ("www-browser", "links", "elinks", "lynx", "w3m")
_SEQUENCE = re.compile(r"\x1b(?:[\[O][0-?]*[ -/]*[@-~]?|.)?", re.DOTALL)


class Pausing(Protocol):
    """What draws on the terminal, and stops drawing while the launcher is stopped."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


def typed(data: bytes) -> list[str]:
    """Return the keys in what a terminal sent, ``enter`` for Enter. Arrows and pasted text are none."""
    if len(data) > _PASTED:
        return []
    text = _SEQUENCE.sub("", data.decode("utf-8", "ignore"))
    return ["enter" if key in "\r\n" else key for key in text]


async def browse(url: str) -> bool:
    """Open ``url`` in the user's browser; return False when there is none but one that would take over the terminal."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def settle(opened: bool) -> None:
        if not answer.done():
            answer.set_result(opened)

    def ask() -> None:
        opened = _browse(url)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, opened)

    # Not to_thread: some browsers answer only when they are closed, and the launcher's end would wait for that.
    threading.Thread(target=ask, name="devrun-browser", daemon=True).start()
    return await answer


@contextmanager
def keys(
    on_key: Callable[[str], None], screen: Pausing, stdin: TextIO | None, stdout: TextIO | None
) -> Generator[None]:
    """Call ``on_key`` for each key while the body runs, on the event loop; do nothing where there is no terminal."""
    descriptor = descriptor_of(stdin) if is_terminal(stdin) and is_terminal(stdout) else None
    keyboard = None if descriptor is None else _Keyboard(descriptor, on_key)
    stopping = _Stopping(asyncio.get_running_loop(), keyboard, screen)
    try:
        if is_terminal(stdout):
            stopping.install()
        if keyboard is not None:
            keyboard.look()
        yield
    finally:
        stopping.remove()
        if keyboard is not None:
            keyboard.release()


class _Keyboard:
    """Reads the terminal while this process is in its foreground. In the background any touch would stop it."""

    def __init__(self, descriptor: int, on_key: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._on_key = on_key
        self._loop = asyncio.get_running_loop()
        self._original: list[Any] | None = None
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Begin to read, or leave off, as the launcher came to the foreground or left it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LOOK_SECONDS, self.look)
        if not in_foreground(self._descriptor):
            self._leave_off()
        elif not self._reading:
            with suppress(termios.error, OSError):
                self._key_by_key()
                self._loop.add_reader(self._descriptor, self._read)
                self._reading = True

    def release(self) -> None:
        """Stop reading and give the modes back."""
        if self._timer is not None:
            self._timer.cancel()
        self._leave_off()
        if self._original is not None and in_foreground(self._descriptor):
            with suppress(termios.error, OSError):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._original)

    def _leave_off(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._descriptor)
            self._reading = False

    def _key_by_key(self) -> None:
        """Turn off lines and echo; Ctrl-C and Ctrl-Z stay signals."""
        modes = termios.tcgetattr(self._descriptor)
        if self._original is None:  # later the shell may hand the terminal back in our own modes
            self._original = [*modes[:6], list(modes[6])]
        modes[3] &= ~(termios.ICANON | termios.ECHO)
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._descriptor, termios.TCSANOW, modes)

    def _read(self) -> None:
        if not in_foreground(self._descriptor):
            self._leave_off()
            return
        try:
            data = os.read(self._descriptor, 1024)
        except OSError:
            data = b""
        if not data:  # the terminal is gone for good
            self._loop.remove_reader(self._descriptor)
        for key in typed(data):
            self._on_key(key)


class _Stopping:
    """Ctrl-Z: the shell must find its terminal as it was, and `fg` the launcher as *it* was."""

    def __init__(self, loop: asyncio.AbstractEventLoop, keyboard: _Keyboard | None, screen: Pausing) -> None:
        self._loop = loop
        self._keyboard = keyboard
        self._screen = screen

    def install(self) -> None:
        # Off the main thread there are no signals; where the parent ignores SIGTSTP there is no job control.
        with suppress(ValueError, RuntimeError):
            if signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
                self._loop.add_signal_handler(signal.SIGTSTP, self._stop)
                self._loop.add_signal_handler(signal.SIGCONT, self._go_on)

    def remove(self) -> None:
        with suppress(ValueError, RuntimeError):
            self._loop.remove_signal_handler(signal.SIGTSTP)
            self._loop.remove_signal_handler(signal.SIGCONT)

    def _stop(self) -> None:
        self._screen.pause()
        if self._keyboard is not None:
            self._keyboard.release()
        self._loop.remove_signal_handler(signal.SIGTSTP)  # back to the default: this process stops
        os.kill(os.getpid(), signal.SIGTSTP)
        self._loop.add_signal_handler(signal.SIGTSTP, self._stop)
        self._go_on()

    def _go_on(self) -> None:
        if self._keyboard is not None:
            self._keyboard.look()
        self._screen.resume()


def _browse(url: str) -> bool:
    try:
        browser = webbrowser.get()
        return os.path.basename(browser.name) not in _TEXT_BROWSERS and browser.open(url)
    except webbrowser.Error:
        return False

"""The terminal's side of an app's debugger: shows what it says, asks for lines with readline.

``child/debugger`` tells what goes over the socket. Knows no stack.
"""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType, ModuleType
from typing import Any, TextIO

DELIMITERS = " \t\n`@#%^&*()=+[{]}\\|;:'\",<>?"
"""What parts words for completion: `!`, `.`, `/` and `-` stand in what pdb completes."""


class _Over(Exception):
    """The debugger has gone while a line was asked for."""


class Conversation:
    """To be held in the main thread: a line that is being typed is broken off by a signal."""

    def __init__(self, console: socket.socket, stdout: TextIO) -> None:
        self._console = console
        self._stdout = stdout
        self._messages: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
        self._asking = False
        self._ended = False

    def hold(self) -> None:
        """Go on until the debugger has nothing more to ask, or the person leaves."""
        before = signal.signal(signal.SIGUSR1, self._break_off)
        listening = threading.Thread(target=self._listen, args=(threading.get_ident(),), daemon=True)
        listening.start()
        try:
            with suppress(KeyboardInterrupt, OSError, _Over):  # Ctrl-C while the app runs; an app that is gone
                self._edit()
                self._talk()
        finally:
            with suppress(OSError):
                self._console.shutdown(socket.SHUT_RDWR)
            listening.join()
            signal.signal(signal.SIGUSR1, before)

    def _talk(self) -> None:
        for message in self._heard():
            if "text" in message:
                self._stdout.write(str(message["text"]))
                self._stdout.flush()
            elif "ask" in message:
                line = self._line(str(message["ask"]))
                if line is None:
                    return
                self._send({"line": line})

    def _line(self, prompt: str) -> str | None:
        """A line of the person's; None: there will be no more."""
        while True:
            self._asking = True
            try:
                return None if self._ended else input(prompt)
            except KeyboardInterrupt:  # as a shell does: a new line
                print()
            except (EOFError, _Over):
                print()
                return None
            finally:
                self._asking = False

    def _break_off(self, _signum: int, _frame: FrameType | None) -> None:
        if self._asking:
            raise _Over

    def _listen(self, asker: int) -> None:
        with suppress(OSError, ValueError), self._console.makefile("rb") as lines:
            for line in lines:
                self._messages.put(json.loads(line))
        self._messages.put(None)
        self._ended = True
        signal.pthread_kill(asker, signal.SIGUSR1)

    def _heard(self) -> Iterator[Mapping[str, Any]]:
        while (message := self._messages.get()) is not None:
            yield message

    def _send(self, message: Mapping[str, Any]) -> None:
        self._console.sendall(json.dumps(message).encode() + b"\n")

    def _edit(self) -> None:
        """Let ``input`` edit lines, with history and completion, where this Python can."""
        readline = _readline()
        if readline is None:
            return
        found: list[str] = []

        def complete(text: str, state: int) -> str | None:
            if state == 0:
                place = readline.get_begidx(), readline.get_endidx()
                self._send({"complete": [text, readline.get_line_buffer(), *place]})
                answers = (message["completions"] for message in self._heard() if "completions" in message)
                found[:] = map(str, next(answers, ()))
            return found[state] if state < len(found) else None

        readline.set_completer_delims(DELIMITERS)
        readline.set_completer(complete)
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")


def _readline() -> ModuleType | None:
    try:
        import readline
    except ImportError:
        return None
    return readline

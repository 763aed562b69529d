"""The terminal's side of an app's debugger: shows what it says, asks for lines with readline. (``child/debugger``
tells what goes over the socket.)

Knows no stack.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, TextIO

DELIMITERS = " \t\n`@#%^&*()=+[{]}\\|;:'\",<>?"
"""What parts words for completion: `!`, `.`, `/` and `-` stand in what pdb completes."""


def converse(console: socket.socket, stdout: TextIO) -> None:
    """Go on until the debugger has nothing more to ask, or the person leaves."""
    messages = _messages(console)
    with suppress(KeyboardInterrupt, OSError):  # Ctrl-C while the app runs; an app that is gone
        _edit(console, messages)
        for message in messages:
            if "text" in message:
                stdout.write(str(message["text"]))
                stdout.flush()
            elif "ask" in message:
                line = _line(str(message["ask"]))
                if line is None:
                    return
                _send(console, {"line": line})


def _line(prompt: str) -> str | None:
    """A line of the person's; None: there will be no more."""
    while True:
        try:
            return input(prompt)
        except KeyboardInterrupt:  # as a shell does: a new line
            print()
        except EOFError:
            print()
            return None


def _edit(console: socket.socket, messages: Iterator[Mapping[str, Any]]) -> None:
    """Let ``input`` edit lines, with history and completion, where this Python can."""
    readline = _readline()
    if readline is None:
        return
    found: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if state == 0:
            place = readline.get_begidx(), readline.get_endidx()
            _send(console, {"complete": [text, readline.get_line_buffer(), *place]})
            answers = (message["completions"] for message in messages if "completions" in message)
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


def _messages(console: socket.socket) -> Iterator[Mapping[str, Any]]:
    with console.makefile("rb") as lines:
        for line in lines:
            yield json.loads(line)


def _send(console: socket.socket, message: Mapping[str, Any]) -> None:
    console.sendall(json.dumps(message).encode() + b"\n")

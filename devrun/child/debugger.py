"""The debugger of a worker: pdb on a console that is a socket, whose other end is given to whoever attaches.

JSON lines. To the terminal: ``{"text": ...}``, ``{"ask": PROMPT}`` and ``{"completions": [...]}``; from it
``{"line": ...}`` and ``{"complete": [text, line, begin, end]}``. Lines are edited in the terminal's own process, which
has readline and the right size. The end of the stream means that nobody is at the terminal any more.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import json
import pdb
import socket
import sys
import threading
from _queue import SimpleQueue  # not `queue`: an app may have a module of that name
from collections.abc import Generator
from types import FrameType
from typing import Any, Callable, Optional

from .channel import Channel

Message = Optional[dict[str, Any]]
Complete = Callable[[str, str, int, int], list[str]]


class Console:
    """What the debuggers of a worker read and write. ``turn`` is held by the one that asks.

    Open from the first stop until a debugger has nothing to stop at any more; each time somebody may attach, once.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, channel: Channel) -> None:
        self.turn = threading.RLock()
        self.leaving = False
        self.complete: Complete = no_completions
        self._channel = channel
        self._sock: socket.socket | None = None
        self._heard: SimpleQueue[Message] = SimpleQueue()
        self._gone = False
        self._asking = False
        self._text = ""

    def stop(self, file: str, line: int) -> None:
        """Tell that the app has stopped there; the end for the terminal goes along if nobody has one."""
        message = {"is": "paused", "file": file, "line": line}
        if self._sock is not None:
            self._channel.send({**message, "open": True})
            return
        self._sock, theirs = socket.socketpair()
        self._sock.set_inheritable(False)
        self._heard, self._gone, self._text = SimpleQueue(), False, ""
        arguments = (self._sock, self._heard)
        threading.Thread(target=self._listen, args=arguments, name="devrun-debugger", daemon=True).start()
        self._channel.send({**message, "open": False}, [theirs.fileno()])
        theirs.close()

    def go_on(self, over: bool) -> None:
        """Tell that the app runs; ``over``: there is nothing that it would stop at again."""
        self.flush()
        self._channel.send({"is": "resumed"})
        if over and self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)  # wakes the reader, too
            self._sock = None

    def leave(self) -> None:
        """Be as if the terminal was gone. (A queue of this kind bears signal handlers.)"""
        self.leaving = True
        self._heard.put(None)

    # --- a file for pdb -------------------------------------------------------------------------------------------

    def write(self, text: str) -> int:
        self._text += text
        return len(text)

    def flush(self) -> None:
        """Send whole lines; what follows them may be a prompt."""
        lines, end, self._text = self._text.rpartition("\n")
        if end:
            self._send({"text": lines + end})

    def readline(self) -> str:
        """Ask with what was written last as the prompt; return an empty text when there is nobody to ask."""
        self.flush()
        prompt, self._text = self._text, ""
        self._send({"ask": prompt})
        self._asking = True
        try:
            while not self._gone and not self.leaving:
                message = self._heard.get()
                if message is None:
                    self._gone = True
                elif "complete" in message:
                    self._send({"completions": self.complete(*message["complete"])})
                else:
                    return f"{message.get('line', '')}\n"
            return ""
        finally:
            self._asking = False

    def isatty(self) -> bool:
        return False

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # that nobody is there is noticed by the reader
            if self._sock is not None:
                self._sock.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self, sock: socket.socket, heard: SimpleQueue[Message]) -> None:
        with sock, contextlib.suppress(OSError, ValueError), sock.makefile("rb") as lines:
            for line in lines:
                heard.put(json.loads(line))
        heard.put(None)
        if sock is self._sock and not self._asking:  # left between two steps: the app runs, and is to stay free
            self._channel.send({"is": "resumed"})


class Debugger(pdb.Pdb):
    """pdb, but that leaving it lets the app run on, whatever way it is left."""

    def __init__(self, console: Console, header: str | None = None) -> None:
        # nosigint: the signals are uvicorn's
        super().__init__(stdin=console, stdout=console, nosigint=True)  # type: ignore[arg-type]
        self._console = console
        self._header = header

    def interaction(self, frame: FrameType | None, *args: Any, **options: Any) -> None:
        """Stop here, and do what the terminal says."""
        console = self._console
        with console.turn:
            if console.leaving or frame is None:
                self._let_go()
                return
            console.stop(frame.f_code.co_filename, frame.f_lineno)
            if self._header is not None:
                self.message(self._header)
                self._header = None
            before, console.complete = console.complete, self._completions
            try:
                super().interaction(frame, *args, **options)
            finally:
                console.complete = before

    def set_continue(self) -> None:
        super().set_continue()
        self._console.go_on(over=not self.breaks)

    def do_quit(self, arg: str) -> bool:
        """q(uit)

        Leave the debugger; the app runs on.
        """
        self._let_go()
        return True

    do_q = do_exit = do_EOF = do_quit

    def do_run(self, arg: str) -> None:
        """run

        Not here: `devrun restart NAME` starts an app anew.
        """
        self.error("`devrun restart NAME` starts an app anew")

    do_restart = do_run

    def do_interact(self, arg: str) -> Any:
        """interact

        Start an interactive interpreter with the names of this place; Ctrl-D ends it.
        """
        with streams(self._console):
            return super().do_interact(arg)

    def _let_go(self) -> None:
        self.clear_all_breaks()
        self.set_continue()

    def _completions(self, text: str, line: str, begin: int, end: int) -> list[str]:
        """What readline would ask ``cmd.Cmd.complete`` for."""
        stripped = line.lstrip()
        shift = len(line) - len(stripped)
        complete: Complete = self.completenames
        if begin > shift:
            complete = getattr(self, f"complete_{self.parseline(stripped)[0]}", self.completedefault)
        try:
            return list(complete(text, stripped, begin - shift, end - shift))
        except Exception:  # it looks at objects of the app's
            return []


def no_completions(text: str, line: str, begin: int, end: int) -> list[str]:
    return []


@contextlib.contextmanager
def streams(console: Console) -> Generator[None, None, None]:
    """Let ``input`` and ``print`` use the console for a while."""
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdout = sys.stderr = console
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before

"""What passes between an editor and the debugger of a worker, and what it means for the app.

Pure. https://microsoft.github.io/debug-adapter-protocol/specification
"""

from __future__ import annotations

from msgspec import Struct

from devrun.dap import Message, arguments


class Stopped(Struct, frozen=True):
    """The worker stands somewhere."""

    file: str
    line: int


class Stepping(Struct, frozen=True):
    """The worker makes a step: it stops again, or runs on."""


class Running(Struct, frozen=True):
    """The worker runs on."""


class Left(Struct, frozen=True):
    """The person has ended the session of this worker."""


News = Stopped | Stepping | Running | Left


class Passed(Struct, frozen=True):
    """What is to be passed on to either side, and what it means."""

    editor: tuple[Message, ...] = ()
    worker: tuple[Message, ...] = ()
    news: News | None = None


_PLACE_SEQ = 2**31 - 1
"""The number of our own question to the worker; an editor counts from one."""


class WorkerSession:
    """Looks at what an editor and a worker's debugger say to each other; the workers are not the editor's to end."""

    def __init__(self) -> None:
        self.over = False
        """Whether the editor has been told that the worker has gone."""
        self._going_on: set[object] = set()
        """The requests to go on that are not answered yet: nothing may part the two before that."""

    def of_editor(self, message: Message) -> Passed:
        if message.get("type") != "request":
            return Passed(worker=(message,))
        match message.get("command"):
            case "continue":
                self._going_on.add(message.get("seq"))
                return Passed(worker=(message,))
            case "next" | "stepIn" | "stepOut":
                return Passed(worker=(message,), news=Stepping())
            case "disconnect" | "terminate":
                restart = arguments(message).get("restart") is True
                left = {**message, "command": "disconnect", "arguments": {"terminateDebuggee": False}}
                return Passed(worker=(left,), news=None if self.over or restart else Left())
            case _:
                return Passed(worker=(message,))

    def of_worker(self, message: Message) -> Passed:
        match message:
            case {"type": "event", "event": "stopped", "body": {"threadId": thread}}:
                where = {"threadId": thread, "startFrame": 0, "levels": 1}
                asked = {"seq": _PLACE_SEQ, "type": "request", "command": "stackTrace", "arguments": where}
                return Passed(editor=(message,), worker=(asked,))
            case {"type": "response", "request_seq": number, **rest} if number == _PLACE_SEQ:
                return Passed(news=_place(rest))
            case {"type": "response", "request_seq": number} if number in self._going_on:
                self._going_on.discard(number)
                return Passed(editor=(message,), news=Running())
            case {"type": "event", "event": "terminated"}:
                self.over = True
                return Passed(editor=(message,))
            case _:
                return Passed(editor=(message,))

    def end(self) -> tuple[Message, ...]:
        """What is still to be told to an editor whose worker is out of reach from now on."""
        told, self.over = self.over, True
        return () if told else ({"seq": _PLACE_SEQ, "type": "event", "event": "terminated", "body": {}},)


def _place(answer: Message) -> Stopped | None:
    match answer:
        case {"body": {"stackFrames": [{"source": {"path": str(file)}, "line": int(line)}, *_]}}:
            return Stopped(file, line)
        case _:
            return None

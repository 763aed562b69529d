"""The session that an editor opens on an app's debug port: with the launcher, whatever becomes of the app's workers.

Pure. https://microsoft.github.io/debug-adapter-protocol/specification
"""

from __future__ import annotations

from msgspec import Struct

from devrun.dap import Message, arguments


class Attaching(Struct, frozen=True):
    """The editor wants to attach: to be answered by ``accept`` or ``refuse``."""

    roots: tuple[str, ...]
    """The folders that it takes the app's files from, where it says so."""


class Attached(Struct, frozen=True):
    """The editor is ready to hear of workers."""


class Detached(Struct, frozen=True):
    """The editor has said that it leaves."""


class Heard(Struct, frozen=True):
    """What comes of a message: what is to be sent, and what it means."""

    messages: tuple[Message, ...] = ()
    news: Attaching | Attached | Detached | None = None


_CAPABILITIES = {
    "supportsConfigurationDoneRequest": True,
    # As debugpy's: an editor would mark breakpoints that one of its sessions does not know.
    "supportsConditionalBreakpoints": True,
    "supportsFunctionBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsLogPoints": True,
}
_OWN = ("args", "host", "listen", "name", "port", "postDebugTask", "preLaunchTask", "processId", "request", "restart")
"""What a configuration says of the session itself, and not of how a worker is to be debugged."""


class RootSession:
    """What an editor is attached to: nothing by itself, the workers of one app one after the other.

    It outlives them all. The editor opens a session below it for each worker that it is told of, and sets its
    breakpoints there, as it does for the children of a process that it debugs.
    """

    def __init__(self) -> None:
        self._seq = 0
        self._start: Message | None = None
        self._asked: Message = {}
        self._reverse = False

    def hear(self, message: Message) -> Heard:
        """Take a message of the editor's; an answer to one of ours needs nothing."""
        if message.get("type") != "request":
            return Heard()
        match message.get("command"):
            case "initialize":
                self._reverse = arguments(message).get("supportsStartDebuggingRequest") is True
                return Heard((self._answer(message, _CAPABILITIES),))
            case "attach":
                self._start, self._asked = message, arguments(message)
                return Heard(news=Attaching(_roots(self._asked)))
            case "setBreakpoints" | "setFunctionBreakpoints":
                told = [{"verified": False} for _ in arguments(message).get("breakpoints", ())]
                return Heard((self._answer(message, {"breakpoints": told}),))
            case "setExceptionBreakpoints":
                return Heard((self._answer(message),))
            case "threads":
                return Heard((self._answer(message, {"threads": []}),))
            case "configurationDone" if self._start is not None:
                return Heard((self._answer(message), self._answer(self._start)), Attached())
            case "disconnect" | "terminate":
                return Heard((self._answer(message), *self.end()), Detached())
            case command:
                return Heard((self._refusal(message, f"{command} is for the session of a worker"),))

    def accept(self) -> tuple[Message, ...]:
        """Let the editor set its breakpoints."""
        return (self._event("initialized"),)

    def refuse(self, reason: str) -> tuple[Message, ...]:
        assert self._start is not None
        return (self._refusal(self._start, reason),)

    def worker(self, name: str, port: int, hidden: str) -> tuple[Message, ...]:
        """Tell of a worker whose debugger is at ``port``. No step stops in the code of the folder ``hidden``."""
        kept = {key: value for key, value in self._asked.items() if key not in _OWN and not key.startswith("__")}
        place = {"host": "127.0.0.1", "port": port}
        rules = [*self._asked.get("rules", ()), {"path": hidden, "include": False}]
        kind = self._asked.get("type", "debugpy")
        configuration = {**kept, "type": kind, "name": name, "connect": place, "rules": rules}
        if self._reverse:
            started = {"request": "attach", "configuration": configuration}
            return (self._numbered({"type": "request", "command": "startDebugging", "arguments": started}),)
        # Before startDebugging was in the protocol, debugpy told of children by an event of its own.
        return (self._event("debugpyAttach", {**configuration, "request": "attach"}),)

    def end(self, reason: str = "") -> tuple[Message, ...]:
        """Tell that there is nothing to debug any more."""
        told = {"category": "stderr", "output": f"{reason}\n"}
        return (*((self._event("output", told),) if reason else ()), self._event("terminated"))

    def _answer(self, request: Message, body: Message | None = None) -> Message:
        return self._numbered(
            {
                "type": "response",
                "request_seq": request.get("seq"),
                "success": True,
                "command": request.get("command"),
                "body": body or {},
            }
        )

    def _refusal(self, request: Message, reason: str) -> Message:
        error = {"id": 1, "format": reason, "showUser": True}
        return {**self._answer(request, {"error": error}), "success": False, "message": reason}

    def _event(self, name: str, body: Message | None = None) -> Message:
        return self._numbered({"type": "event", "event": name, "body": body or {}})

    def _numbered(self, message: Message) -> Message:
        self._seq += 1
        return {"seq": self._seq, **message}


def _roots(configuration: Message) -> tuple[str, ...]:
    match configuration.get("pathMappings"):
        case [*mappings]:
            return tuple(root for root in map(_root, mappings) if root is not None)
        case _:
            return ()


def _root(mapping: object) -> str | None:
    match mapping:
        case {"localRoot": str(root)}:
            return root
        case _:
            return None

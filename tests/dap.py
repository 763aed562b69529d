"""A client of the Debug Adapter Protocol, as small as debugging a stack needs: what an editor does on F5.

It starts debugpy's adapter and launches a configuration of launch.json in a "terminal" that the test gives it, or
attaches to a port; and opens a session of its own for every child that it is told of (``startDebugging``).
https://microsoft.github.io/debug-adapter-protocol/specification
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

PATIENCE = 60.0
"""Seconds until a wait fails: debugpy starts slowly, in every process."""

Terminal = Callable[[Sequence[str], Mapping[str, str | None]], None]
"""Runs a command line with these variables besides its own, as an editor's terminal does."""


class Session:
    """One connection to the adapter: that of the program, or of one of its children."""

    def __init__(self, debugger: Debugger, reader: IO[bytes], writer: IO[bytes]) -> None:
        self._debugger = debugger
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._initialized = threading.Event()
        self.ended = threading.Event()
        """The session is over: it was said, or there is nobody any more."""
        self.said: list[str] = []
        """What is for the person to read."""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def close(self) -> None:
        """Let go of the connection, which has been shut down."""
        self._reading.join(PATIENCE)
        with contextlib.suppress(OSError):
            self._writer.close()
        self._reader.close()

    def begin(self, how: str, configuration: Mapping[str, Any]) -> None:
        """Initialize, launch or attach, set the breakpoints, and let it run."""
        self.ask("initialize", adapterID="debugpy", pathFormat="path", **CAPABILITIES)
        started = self.post(how, configuration)
        assert self._initialized.wait(PATIENCE), f"{how}: not initialized"
        if not self._answers[started].empty():
            self._answer(started)  # refused
        for file, lines in self._debugger.breakpoints.items():
            self.ask("setBreakpoints", source={"path": file}, breakpoints=[{"line": line} for line in lines])
        self.ask("configurationDone")
        self._answer(started)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return the body of its answer."""
        return self._answer(self.post(command, arguments))

    def post(self, command: str, arguments: Mapping[str, Any]) -> int:
        return self._send({"type": "request", "command": command, "arguments": arguments})

    def _answer(self, number: int) -> dict[str, Any]:
        answer = self._answers[number].get(timeout=PATIENCE)
        assert answer["success"], answer
        body: dict[str, Any] = answer.get("body") or {}
        return body

    def _send(self, message: dict[str, Any]) -> int:
        with self._sending:
            number = next(self._numbers)
            self._answers[number] = queue.Queue()
            data = json.dumps({**message, "seq": number}).encode()
            self._writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
            self._writer.flush()
        return number

    def _read(self) -> None:
        try:
            while header := self._reader.readline():
                length = int(header.split(b":")[1])
                self._reader.readline()
                self._hear(json.loads(self._reader.read(length)))
        except (OSError, ValueError):
            pass  # the adapter has ended
        self.ended.set()

    def _hear(self, message: dict[str, Any]) -> None:
        match message["type"], message.get("command") or message.get("event"):
            case "response", _:
                self._answers[message["request_seq"]].put(message)
                if not message["success"]:
                    self._initialized.set()  # it will not be
            case "event", "initialized":
                self._initialized.set()
            case "event", "terminated":
                self.ended.set()
            case "event", "output" if message["body"].get("category") != "telemetry":
                self.said.append(message["body"]["output"])
            case "event", "stopped":
                self._debugger.stops.put((self, message["body"]["threadId"]))
            case "request", command:
                threading.Thread(target=self._serve, args=(command, message), daemon=True).start()
            case _:
                pass

    def _serve(self, command: str, message: dict[str, Any]) -> None:
        arguments = message["arguments"]
        if command == "runInTerminal":
            self._debugger.terminal(arguments["args"], arguments.get("env", {}))
        answer = {"type": "response", "request_seq": message["seq"], "success": True, "command": command, "body": {}}
        self._send(answer)
        if command == "startDebugging":
            self._debugger.follow(arguments["configuration"])


CAPABILITIES = {
    "linesStartAt1": True,
    "columnsStartAt1": True,
    "supportsRunInTerminalRequest": True,
    "supportsStartDebuggingRequest": True,
}


@dataclass(frozen=True)
class Stop:
    """A thread of a debugged process that stands at a breakpoint."""

    session: Session
    thread: int
    file: str
    line: int
    variables: Mapping[str, str]

    def go_on(self) -> None:
        self.session.ask("continue", threadId=self.thread)


class Debugger:
    """An editor's debugger. ``breakpoints``: lines by absolute path."""

    def __init__(self, breakpoints: Mapping[str, Sequence[int]], terminal: Terminal) -> None:
        self.breakpoints = breakpoints
        self.terminal = terminal
        self.stops: queue.Queue[tuple[Session, int]] = queue.Queue()
        self.children: list[str] = []
        self.sessions: list[Session] = []
        """Those of children."""
        self._connections: list[tuple[socket.socket, Session]] = []
        self._adapter: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Debugger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for sock, session in self._connections:
            with sock, contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            session.close()
        if self._adapter is not None:
            self._adapter.kill()
            with self._adapter:
                pass

    def launch(self, configuration: Mapping[str, Any]) -> None:
        """Start a configuration of launch.json, with its variables already filled in."""
        command = [sys.executable, "-m", "debugpy.adapter"]
        self._adapter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._adapter.stdin is not None and self._adapter.stdout is not None
        self.main = Session(self, self._adapter.stdout, self._adapter.stdin)
        python = configuration["python"]
        own = {"python": [python], "debugAdapterPython": python, "debugLauncherPython": python}
        self.main.begin("launch", {**configuration, **own})

    def attach(self, configuration: Mapping[str, Any]) -> None:
        """Start a configuration of launch.json that attaches."""
        self.main = self._connect(configuration)
        self.main.begin("attach", configuration)

    def follow(self, configuration: Mapping[str, Any]) -> None:
        """Debug a child that the adapter tells of."""
        session = self._connect(configuration)
        session.begin("attach", configuration)
        self.sessions.append(session)
        self.children.append(configuration["name"])

    def _connect(self, configuration: Mapping[str, Any]) -> Session:
        place = configuration["connect"]
        sock = socket.create_connection((place["host"], place["port"]))
        session = Session(self, sock.makefile("rb"), sock.makefile("wb"))
        self._connections.append((sock, session))
        return session

    def wait_stop(self) -> Stop:
        """Wait until a breakpoint is hit, anywhere."""
        session, thread = self.stops.get(timeout=PATIENCE)
        frame = session.ask("stackTrace", threadId=thread, startFrame=0, levels=1)["stackFrames"][0]
        scopes = session.ask("scopes", frameId=frame["id"])["scopes"]
        found = session.ask("variables", variablesReference=scopes[0]["variablesReference"])["variables"]
        variables = {variable["name"]: variable["value"] for variable in found}
        return Stop(session, thread, Path(frame["source"]["path"]).name, frame["line"], variables)

    def stop(self) -> None:
        """Press the stop button."""
        self.main.ask("terminate")

    def leave(self) -> None:
        """Press the button that an editor shows instead for what it has attached to."""
        self.main.ask("disconnect", restart=False, terminateDebuggee=False)

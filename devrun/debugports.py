"""The debug ports of a stack: opens and closes them, and brings together each app's and its workers.

Knows no editor.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devrun.events import Event, Run

if TYPE_CHECKING:
    from devrun.debugport import DebugPort

Tell = Callable[[str, Mapping[str, object]], bool]


class DebugPorts:
    """``sockets`` listen already, by app; they are closed by whoever has made them. ``folder``: the project's."""

    def __init__(
        self,
        sockets: Mapping[str, Sequence[socket.socket]],
        folder: Path,
        post: Callable[[Event], None],
        warn: Callable[[str, str], None],
    ) -> None:
        self.tell: Tell = lambda app, message: False
        """Tells the newest worker of an app something; whether it hears that now. There are none before it is set."""
        self.folder = folder
        self.post = post
        self.warn = warn
        self._sockets = sockets
        self._ports = self._made() if sockets else {}
        self._servers: list[asyncio.Server] = []

    def _made(self) -> dict[str, DebugPort]:
        from devrun.debugport import DebugPort  # with what it knows of editors: few stacks need it

        return {app: DebugPort(app, self) for app in self._sockets}

    async def open(self) -> None:
        for app, group in self._sockets.items():
            for sock in group:
                self._servers.append(await asyncio.start_server(self._ports[app].serve, sock=sock))

    def close(self) -> None:
        """Let every editor go."""
        for server in self._servers:
            server.close()
        for port in self._ports.values():
            port.close()

    def wants(self, app: str) -> bool:
        """Whether an editor is to debug the next worker of an app."""
        return app in self._ports and self._ports[app].taken

    def hear(self, run: Run, message: Mapping[str, Any]) -> None:
        """Take a word of a worker's; those of other matters are passed over."""
        match message["is"]:
            case "debuggable":
                self._ports[run.app].debuggable(run, int(message["port"]))
            case "undebuggable":
                self._ports[run.app].undebuggable(str(message["reason"]))
            case _:
                pass

    def leave(self, run: Run) -> None:
        """A run is to end, or has ended: nothing may hold it."""
        if run.app in self._ports:
            self._ports[run.app].leave(run)

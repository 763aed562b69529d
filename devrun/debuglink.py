"""The way from an editor to the debugger of one worker: a port for one connection, and what passes through it.

Decides nothing about the app: who made it hears what happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from devrun.dap import Frames, Message, encode
from devrun.peers import is_own
from devrun.workersession import News, Passed, WorkerSession

LOCALHOST = "127.0.0.1"
CHUNK_BYTES = 65536


class DebugLink:
    """``port`` is where the worker's own debugger listens; ``hear`` is told what happens to the worker."""

    def __init__(self, port: int, hear: Callable[[News], None]) -> None:
        self._port = port
        self._hear = hear
        self._session = WorkerSession()
        self._server: asyncio.Server | None = None
        self._editor: asyncio.StreamWriter | None = None
        self._worker: asyncio.StreamWriter | None = None

    async def open(self) -> int:
        """Return the port that the editor is to connect to."""
        self._server = await asyncio.start_server(self._serve, LOCALHOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Part the two: the worker runs on as if nobody had debugged it. May be called twice."""
        if self._server is not None:
            self._server.close()
        if self._editor is not None:
            self._send(self._editor, self._session.end())
            self._editor.close()
        if self._worker is not None:
            self._worker.close()

    async def _serve(self, reader: asyncio.StreamReader, editor: asyncio.StreamWriter) -> None:
        if self._editor is not None or not is_own(editor.get_extra_info("socket")):
            editor.close()
            return
        self._editor = editor
        with suppress(OSError):  # the worker has ended meanwhile
            answers, self._worker = await asyncio.open_connection(LOCALHOST, self._port)
            ways = (
                asyncio.create_task(self._pass(reader, self._session.of_editor)),
                asyncio.create_task(self._pass(answers, self._session.of_worker)),
            )
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        self.close()

    async def _pass(self, reader: asyncio.StreamReader, look: Callable[[Message], Passed]) -> None:
        assert self._editor is not None and self._worker is not None
        frames = Frames()
        # ValueError, RecursionError: whoever says that is no debugger, or no editor.
        with suppress(OSError, ValueError, RecursionError):
            while data := await reader.read(CHUNK_BYTES):
                for message in frames.feed(data):
                    passed = look(message)
                    self._send(self._editor, passed.editor)
                    self._send(self._worker, passed.worker)
                    if passed.news is not None:
                        self._hear(passed.news)
                await self._editor.drain()
                await self._worker.drain()

    @staticmethod
    def _send(writer: asyncio.StreamWriter, messages: tuple[Message, ...]) -> None:
        for message in messages:
            writer.write(encode(message))

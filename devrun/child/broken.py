"""Answers for an app that is broken: every request on its sockets gets 503 with the failure.

Standard library only, Python 3.9 on. Must not import the app, touch signals or close the sockets it is given.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .page import Page, source_around
from .request import HEAD_BYTES, parse

if TYPE_CHECKING:
    import ssl

_STAGE_SECONDS = 10.0
_FIRST_WORD_TURNS, _TURN_SECONDS = 20, 0.005
_LAST_WORD_SECONDS = 0.45
_CONNECTIONS = 256
_REST_SECONDS = 0.05


async def serve(
    sockets: list[socket.socket],
    failure: Mapping[str, Any],
    *,
    app: str,
    token: str,
    identity: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> None:
    """Answer every request on the listening ``sockets`` with 503 and ``failure`` until cancelled.

    ``token`` differs from failure to failure: the page in a browser knows by it that there is news. The sockets stay
    open. ``identity``: the header that says who answers. Once cancelled, requests that have begun to arrive are still
    answered, for half a second at the most.
    """
    source = source_around(failure.get("file"), failure.get("line"))
    desk = _Desk(Page(app, token, failure, source, identity), ssl_context)
    try:
        desk.open(sockets)
        await asyncio.get_running_loop().create_future()
    finally:
        await desk.close(sockets)


class _Desk:
    """The open connections. One is ``busy`` from the first byte of its request until its answer is sent.

    Not asyncio's own server: when that is closed, it forgets the connections that it accepted in the same turn of the
    loop, neither served nor closed, and their clients wait for ever.
    """

    def __init__(self, page: Page, ssl_context: ssl.SSLContext | None) -> None:
        self._page = page
        self._ssl = ssl_context
        self._open: dict[asyncio.Task[None], None] = {}
        self._busy: set[asyncio.Task[None]] = set()
        self._closing = False

    def open(self, sockets: list[socket.socket]) -> None:
        for sock in sockets:
            sock.setblocking(False)
            self._look_at(sock)

    def _look_at(self, sock: socket.socket) -> None:
        if not self._closing:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    async def close(self, sockets: list[socket.socket]) -> None:
        self._closing = True
        for sock in sockets:
            asyncio.get_running_loop().remove_reader(sock)
        # The request of a connection accepted a moment ago may be on its way: closing would reset its client. Turns are
        # counted, not time, because on a busy machine the time can pass before anything was read.
        for _ in range(_FIRST_WORD_TURNS):
            if self._open:
                await asyncio.wait(list(self._open), timeout=_TURN_SECONDS)
        for task in self._open.keys() - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(list(self._busy), timeout=_LAST_WORD_SECONDS)
        rest = list(self._open)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _accept(self, sock: socket.socket) -> None:
        try:
            connection, _ = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # Another process was quicker, or the client has gone.
        except OSError:  # No descriptor is left.
            self._drop_oldest(0)
            # The client still waits: looked at without a pause, its socket would keep a whole core busy.
            asyncio.get_running_loop().remove_reader(sock)
            asyncio.get_running_loop().call_later(_REST_SECONDS, self._look_at, sock)
            return
        connection.setblocking(False)
        self._drop_oldest(_CONNECTIONS)
        task = asyncio.ensure_future(self._attend(connection))
        self._open[task] = None
        task.add_done_callback(lambda task: self._open.pop(task, None))

    def _drop_oldest(self, allowed: int) -> None:
        if len(self._open) > allowed:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.cancel()

    async def _attend(self, connection: socket.socket) -> None:
        task = asyncio.current_task()
        assert task is not None
        transport: asyncio.WriteTransport | None = None
        try:
            reader, writer = await self._streams(connection)
            transport = writer.transport
            first = await asyncio.wait_for(reader.read(1), _STAGE_SECONDS)
            self._busy.add(task)
            body = await asyncio.wait_for(self._answer(first, reader, writer), _STAGE_SECONDS)
            self._busy.discard(task)
            await asyncio.wait_for(_see_off(body, reader, writer), _STAGE_SECONDS)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass  # Slow, gone or not speaking HTTP: nobody is there to tell.
        finally:
            self._busy.discard(task)
            if transport is not None:
                transport.abort()

    async def _streams(self, connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        patience = _STAGE_SECONDS if self._ssl else None
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=self._ssl, ssl_handshake_timeout=patience
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _answer(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """Read a request, answer it; the number of bytes that its body may have."""
        if not first.isalpha():
            raise ValueError("not HTTP: perhaps a TLS handshake, which would never send the end of a head")
        request = parse(first + await reader.readuntil(b"\r\n\r\n"))
        # With the default limits drain() returns while the end of the answer is still here, to be cut off by close().
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(self._page.answer(request))
        await writer.drain()
        return request.body


async def _see_off(body: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what the client still sends: closing with input unread resets it, and it may lose the answer."""
    while body > 0 and (chunk := await reader.read(HEAD_BYTES)):
        body -= len(chunk)
    writer.close()
    await writer.wait_closed()

"""The launcher's end of the control socket: takes requests of many clients at once, each answered in its order.

Knows neither what is asked nor what is answered (``desk`` does). No client, however slow, rude or gone, disturbs the
stack or another client.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from devrun.control.fields import RefusedError
from devrun.control.listening import listening
from devrun.control.protocol import LONGEST_REQUEST, Handover, Request, answer, parse, part, refusal

T = TypeVar("T")

MOST_CLIENTS = 100
PATIENCE = 30.0
"""Seconds that a client may take for its next request, or to read an answer."""

BEAT = 5.0
"""Seconds between two signs of life while an answer takes its time."""

Answer = Callable[[Request, Callable[[Mapping[str, Any]], Awaitable[None]]], Awaitable[Mapping[str, Any] | Handover]]
"""Answers a request; what is given to the second argument is sent ahead of the answer. Raises RefusedError."""


@asynccontextmanager
async def serving(state_dir: Path, answers: Answer, warn: Callable[[str], None]) -> AsyncGenerator[None]:
    """Answer on the control socket of the project. Where there can be none, ``warn`` says why."""
    with listening(state_dir, warn) as listener:
        if listener is None:
            yield
            return
        server = Server(answers)
        accepting = asyncio.create_task(server.accept(listener))
        try:
            yield
        finally:
            accepting.cancel()
            await asyncio.wait([accepting])
            await server.close()


class Server:
    """The connections. ``patience`` as ``PATIENCE``, ``beat`` as ``BEAT``."""

    def __init__(self, answers: Answer, patience: float = PATIENCE, beat: float = BEAT) -> None:
        self._answers = answers
        self._patience = patience
        self._beat = beat
        self._clients: set[asyncio.Task[None]] = set()

    async def accept(self, listener: socket.socket) -> None:
        """Take clients until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError:  # no descriptor is left: those who come may wait
                await asyncio.sleep(1.0)
                continue
            task = asyncio.create_task(self._serve(client))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
            await asyncio.sleep(0)  # clients that come without end may not keep the loop for themselves

    async def close(self) -> None:
        """Leave every client."""
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        if clients:
            await asyncio.wait(clients)

    async def _serve(self, client: socket.socket) -> None:
        with client:
            client.setblocking(False)
            with suppress(GoneError):
                connection = _Connection(client, self._patience)
                if len(self._clients) > MOST_CLIENTS:
                    await connection.write(refusal(RefusedError("busy", f"more than {MOST_CLIENTS} clients at once")))
                    return
                await self._converse(connection)

    async def _converse(self, connection: _Connection) -> None:
        while True:
            try:
                line = await connection.read()
            except RefusedError as error:  # where its end is cannot be known
                await connection.write(refusal(error))
                return
            if line is None:
                return
            if line.strip():
                await self._reply(line, connection)
            await asyncio.sleep(0)  # a client that asks without end may not keep the loop for itself

    async def _reply(self, line: bytes, connection: _Connection) -> None:
        try:
            request = parse(line)
            answered = await self._answered(request, connection)
            if isinstance(answered, Handover):
                await connection.hand_over(answer(request, answered.data), answered.descriptor)
                return
            reply = answer(request, answered)
        except GoneError:
            raise
        except RefusedError as error:
            reply = refusal(error)
        except Exception as error:
            # One question that we cannot answer must not end the stack; the asker gets to know what went wrong.
            reply = refusal(RefusedError("failed", f"the launcher could not answer: {type(error).__name__}: {error}"))
        await connection.write(reply)

    async def _answered(self, request: Request, connection: _Connection) -> Mapping[str, Any] | Handover:
        """Wait for the answer with signs of life, by which it is found out, too, that the asker has left."""

        async def more(data: Mapping[str, Any]) -> None:
            await connection.write(part(request, data))

        task = asyncio.ensure_future(self._answers(request, more))
        try:
            while not (await asyncio.wait([task], timeout=self._beat))[0]:
                await connection.write(part(request))
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait([task])


class GoneError(Exception):
    """The client has left, or is too slow."""


class _Connection:
    """Lines from and to one client. Both raise GoneError."""

    def __init__(self, client: socket.socket, patience: float) -> None:
        self._client = client
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._pending = bytearray()
        self._writing = asyncio.Lock()

    async def read(self) -> bytes | None:
        """Return the next line; None when there is none any more, or it was cut off. Raises RefusedError: too long."""
        end = await self._in_time(self._receive())
        if end is None:
            return None
        if not 0 <= end < LONGEST_REQUEST:
            raise RefusedError("too-long", f"a request is at most {LONGEST_REQUEST} bytes long")
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line

    async def _receive(self) -> int | None:
        """Receive until there is a whole line; return where it ends, or -1: that is not to be seen yet."""
        scanned = 0
        while (end := self._pending.find(b"\n", scanned)) < 0 and len(self._pending) <= LONGEST_REQUEST:
            scanned = len(self._pending)
            more = await self._loop.sock_recv(self._client, LONGEST_REQUEST)
            if not more:
                return None
            self._pending += more
        return end

    async def write(self, line: bytes) -> None:
        async with self._writing:  # a sign of life must not come to stand in the middle of a line
            await self._in_time(self._loop.sock_sendall(self._client, line))

    async def hand_over(self, line: bytes, descriptor: int) -> None:
        """Write a line with a descriptor, which is closed here."""
        try:
            async with self._writing:
                sent = socket.send_fds(self._client, [line], [descriptor])
        except OSError as error:  # BlockingIOError, too: somebody who has not even read what came before
            raise GoneError from error
        finally:
            os.close(descriptor)
        await self.write(line[sent:])

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self._patience):
                return await work
        except (OSError, TimeoutError) as error:
            raise GoneError from error

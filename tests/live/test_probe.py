"""Asking a health path, of servers that answer well, badly or not at all."""

from __future__ import annotations

import asyncio

import pytest

from devrun.plan import Endpoint
from devrun.probe import status_of


async def asked(answer: bytes) -> int:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await status_of(Endpoint("api", "127.0.0.1", port), "/healthz")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.0 503 Service Unavailable\r\n\r\n", 503),
        (b"HTTP/1.1 200", 200),
        (b"", 0),
        (b"\x16\x03\x01", 0),
        (b"SSH-2.0-server 200\r\n", 0),
        (b"HTTP/1.1 " + b"2" * 5000 + b"\r\n", 0),
        (b"x" * 200_000, 0),
    ],
)
def test_the_status(answer: bytes, status: int) -> None:
    assert asyncio.run(asked(answer)) == status


def test_nobody_answers() -> None:
    assert asyncio.run(status_of(Endpoint("api", "127.0.0.1", 1), "/")) == 0

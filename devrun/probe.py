"""Asks an app's health path until it answers 2xx. Speaks just enough HTTP/1.1 (RFC 9112) for that."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import ssl
from collections.abc import Callable

from devrun.plan import Endpoint

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
PATIENCE_SECONDS = 5.0
ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 1.0


async def until_healthy(endpoint: Endpoint, path: str, warn: Callable[[str], None]) -> None:
    """Return when ``path`` has answered 2xx; ask at first often, then once a second.

    ``warn`` is told once what it answers when that takes ``PATIENCE_SECONDS``.
    """
    loop = asyncio.get_running_loop()
    pause, impatient_at = FIRST_PAUSE, loop.time() + PATIENCE_SECONDS
    while not 200 <= (status := await status_of(endpoint, path)) < 300:
        if loop.time() >= impatient_at:
            warn(f"not ready yet: {path} {f'answers {status}' if status else 'does not answer'}")
            impatient_at = math.inf
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


async def status_of(endpoint: Endpoint, path: str) -> int:
    """Return the status that a GET answers; 0 when there is no answer in time."""
    tls = None
    if endpoint.scheme == "https":
        tls = ssl.create_default_context()
        tls.check_hostname = False  # a development certificate, on our own socket
        tls.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=tls)
            try:
                host = endpoint.url.partition("://")[2]
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):  # ValueError: a line without end
        return 0
    status = re.match(rb"HTTP/1\.\d (\d{3})\b", line)
    return int(status[1]) if status else 0


async def answers(host: str, port: int) -> bool:
    """Say whether somebody takes a connection there."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def speaks_http(host: str, port: int) -> bool:
    """Say whether an HTTP server answers there. It is asked about itself (``OPTIONS *``): no page is made for that."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                writer.write(f"OPTIONS * HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readexactly(5)) == b"HTTP/"
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError):
        return False

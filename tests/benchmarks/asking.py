"""The client of the benchmarks: one request a connection, as a page that is loaded again makes it."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

PAUSE = 0.001
"""Seconds between an answer of the old code, or an error, and the next request."""
ONE_REQUEST = 10.0
"""Seconds after which a request counts as hanging, and is asked anew."""


@dataclass(slots=True)
class Change:
    """What one save brought. ``seconds`` is None when the new code did not answer in time."""

    seconds: float | None = None
    errors: Counter[str] = field(default_factory=Counter[str])
    asked: int = 0


def ask(port: int, path: str, timeout: float = ONE_REQUEST) -> tuple[int, bytes]:
    """Status and body of one GET over a connection of its own. Raises OSError."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout) as sock:
        sock.sendall(request.encode())
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    if not body:
        raise ConnectionResetError("closed before the answer was complete")
    return int(head.split(b" ", 2)[1]), body


class NotReadyError(Exception):
    """An app does not answer, and will not."""


def wait_ready(port: int, path: str, deadline: float, ended: Callable[[], bool], pause: float = 0.005) -> bytes:
    """The body of the first answer 200. Raises NotReadyError at ``deadline`` (``time.monotonic``), for an app that is
    broken (devrun says so with 503), and when ``ended`` says that its process is gone."""
    while True:
        try:
            status, body = ask(port, path)
        except OSError as error:
            status, why = 0, str(error)
        else:
            why = f"status {status}: {body[:2000].decode(errors='replace')}"
        if status == 200:
            return body
        if status == 503 or ended() or time.monotonic() > deadline:
            raise NotReadyError(f"port {port} does not answer {path}: {why}")
        time.sleep(pause)


class Versions:
    """Numbers the saves of a source file that holds a line ``VERSION = "..."``.

    Byte code is matched with its source by the whole second of the last change and the size. Two saves of the same size
    within a second would let a peer answer with the old code for ever, so one save differs from the next in size, by a
    character: the peers are to be measured at their best. (devrun is built for equal sizes too; its tests try them.)
    """

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> str:
        """A version that was not there before, of another length than the last."""
        self._count += 1
        return f"v{self._count:05d}" + "+" * (self._count % 2)


def change(file: Path, version: str, ports: Mapping[str, int], path: str, patience: float) -> Change:
    """Save a new version, ask all ``ports`` without rest, and tell how long it took until all of them show it.

    A request that nobody takes waits in the kernel's queue, so this costs the machine little while an app restarts.
    """
    text = re.sub(r'^VERSION = ".*"$', f'VERSION = "{version}"', file.read_text(), count=1, flags=re.MULTILINE)
    data = text.encode()
    with ThreadPoolExecutor(len(ports)) as pool:
        begun = time.perf_counter()
        file.write_bytes(data)  # in place and at once, as most editors do
        found = list(pool.map(lambda port: _follow(port, path, version, begun, patience), ports.values()))
    total = Change(errors=sum((one.errors for one in found), Counter()), asked=sum(one.asked for one in found))
    times = [one.seconds for one in found if one.seconds is not None]
    if len(times) == len(found):
        total.seconds = max(times)
    return total


def _follow(port: int, path: str, version: str, begun: float, patience: float) -> Change:
    seen = Change()
    wanted = f'"{version}"'.encode()
    while time.perf_counter() - begun < patience:
        seen.asked += 1
        try:
            status, body = ask(port, path)
        except OSError as error:
            seen.errors[_name(error)] += 1
        else:
            if status == 200 and wanted in body:
                seen.seconds = time.perf_counter() - begun
                break
            if status >= 500:
                seen.errors["5xx"] += 1
        time.sleep(PAUSE)
    return seen


def _name(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return "hanging" if isinstance(error, TimeoutError) else "reset"

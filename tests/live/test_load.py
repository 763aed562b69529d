"""Reloads under a steady load: no refused or reset connection, no 5xx, no hang, and never two lifespans at a time.

The suite runs a short form. The long one (1,000 reloads) runs with ``DEVRUN_LONG=1``, or by itself, with a table:

    python -m tests.live.test_load --reloads 1000 --engine spawn

The load comes from a process of its own (``--load URL``), so that it stays steady whatever the test does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import ProjectBuilder
from tests.driver import Stack, clean_environ, write_files
from tests.live.apps import RESPOND

LONG = bool(os.environ.get("DEVRUN_LONG"))
RELOADS = 1000 if LONG else 25
ROOT = Path(__file__).parents[2]

RATE = 200
"""Requests a second. They leave when it is their time, however many are still waited for."""
HANG_SECONDS = 10.0
AT_ONCE_SECONDS = 2.0
"""When streams must have ended after a save. Far less than ``grace``, which is what they would get otherwise."""
SLOW_SECONDS = 0.1
HESITATION_SECONDS = 0.01
"""How long, at most, some clients are connected before they send their request."""

TOML = """
[apps.api]
app = "main:app"
grace = 6
uvicorn = {{ access_log = false }}
[reload]
engine = "{engine}"
"""

MAIN = f"""
import asyncio, os
import leaf
{RESPOND}
alive = False

def note(what):
    global alive
    alive = what == "begin"
    with open("lifespans", "a") as file:
        file.write(f"{{what}} {{os.getpid()}}\\n")

async def startup():
    note("begin")
    await asyncio.sleep(0.005)

async def shutdown():
    # Now and then longer than it takes the next worker to import the app.
    await asyncio.sleep(0.25 if leaf.VERSION % 8 == 4 else 0.005)
    note("end")

async def events(send):
    headers = [(b"content-type", b"text/event-stream")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    while True:
        await send({{"type": "http.response.body", "body": b"data: tick\\n\\n", "more_body": True}})
        await asyncio.sleep(0.05)

async def websocket(receive, send):
    await receive()
    await send({{"type": "websocket.accept"}})
    while (await receive())["type"] != "websocket.disconnect":
        pass

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send, startup, shutdown)
    if scope["type"] == "websocket":
        return await websocket(receive, send)
    if scope["path"] == "/events":
        return await events(send)
    if scope["path"] == "/slow":
        await asyncio.sleep({SLOW_SECONDS})
    body = b"%d" % leaf.VERSION
    headers = [(b"content-length", b"%d" % len(body))]  # or uvicorn sends it in chunks, which the load cannot read
    await send({{"type": "http.response.start", "status": 200 if alive else 500, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})
"""


# --- the load: a process of its own -----------------------------------------------------------------------------------


class Cut(Exception):
    """The connection ended before the answer did. ``begun``: some of it had come."""

    def __init__(self, why: str, begun: bool) -> None:
        super().__init__(why)
        self.begun = begun


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Report:
    """What a load has met. Times are of the system's monotonic clock, waits in seconds, both as floats."""

    waits: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """By kind of request, from the moment it was due to the end of its answer."""
    failures: list[str] = field(default_factory=list[str])
    retried: int = 0
    """Requests on a kept connection that the server had closed before it saw them, sent again on a new one."""
    closes: list[tuple[float, int | None]] = field(default_factory=list[tuple[float, int | None]])
    """When a WebSocket was closed by the server, and its code."""
    ends: list[float] = field(default_factory=list[float])
    """When an event stream was ended by the server."""


class Load:
    """Sends requests to ``url`` at a steady rate, and keeps a WebSocket and an event stream open, until stopped."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        self._kept: list[Connection] = []
        self._report = Report()
        self._chance = random.Random(0)

    async def run(self, stop: asyncio.Event) -> Report:
        streams = [asyncio.create_task(self._follow(stop)), asyncio.create_task(self._hold(stop))]
        requests: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        number = 0
        while not stop.is_set():
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            request = asyncio.create_task(self._request(number, due))
            requests.add(request)
            request.add_done_callback(requests.discard)
            number += 1
        await asyncio.gather(*requests)
        await asyncio.gather(*streams)
        for _, writer in self._kept:
            writer.close()
        return self._report

    async def _request(self, number: int, due: float) -> None:
        path = "/slow" if number % 10 == 0 else "/"
        keep = number % 3 != 0
        kind = f"{'slow' if path == '/slow' else 'fast'}, {'kept' if keep else 'fresh'}"
        try:
            async with asyncio.timeout(HANG_SECONDS):
                await self._ask(path, keep)
        except TimeoutError:
            self._fail(f"{kind}: no answer within {HANG_SECONDS:g} s")
        except (OSError, Cut) as error:
            self._fail(f"{kind}: {type(error).__name__}: {error}")
        self._report.waits.setdefault(kind, []).append(time.monotonic() - due)

    async def _ask(self, path: str, keep: bool) -> None:
        connection = self._idle() if keep else None
        if connection is not None:
            try:
                return await self._exchange(connection, path, keep)
            except Cut as cut:
                # RFC 9112, section 9.3.1: the server may have closed it before it saw the request.
                if cut.begun:
                    raise
                self._report.retried += 1
        connection = await asyncio.open_connection(self._host, self._port)
        if not keep:
            await asyncio.sleep(self._chance.uniform(0, HESITATION_SECONDS))
        await self._exchange(connection, path, keep)

    def _idle(self) -> Connection | None:
        """A kept connection that is not known to be closed."""
        while self._kept:
            reader, writer = self._kept.pop()
            if not reader.at_eof() and reader.exception() is None:
                return reader, writer
            writer.close()
        return None

    async def _exchange(self, connection: Connection, path: str, keep: bool) -> None:
        reader, writer = connection
        status, length = 0, 0
        try:
            writer.write(self._head(path, keep))
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status, length = int(head.split(b" ", 2)[1]), header(head, b"content-length")
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            writer.close()
            begun = bool(status or getattr(error, "partial", b""))
            raise Cut(f"{type(error).__name__}{' within the answer' if begun else ''}", begun) from error
        if status != 200:
            self._fail(f"{path}: status {status}")
        if keep and b"connection: close" not in head.lower():
            self._kept.append(connection)
        else:
            writer.close()

    def _head(self, path: str, keep: bool) -> bytes:
        return f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()

    async def _follow(self, stop: asyncio.Event) -> None:
        """Read an event stream; another one when it ends, as an EventSource does."""
        while not stop.is_set():
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
                writer.write(self._head("/events", True))
                text = await read_to_end(reader, stop)
                writer.close()
            except OSError as error:
                self._fail(f"event stream: {error!r}")
                continue
            if stop.is_set():
                return
            self._report.ends.append(time.monotonic())
            if not text.startswith(b"HTTP/1.1 200") or not text.endswith(b"\r\n0\r\n\r\n"):
                self._fail(f"event stream: cut off: {text[-100:]!r}")

    async def _hold(self, stop: asyncio.Event) -> None:
        """Hold a WebSocket; another one when it is closed."""
        ended = asyncio.create_task(stop.wait())
        while not stop.is_set():
            try:
                async with connect(f"ws://{self._host}:{self._port}/ws", proxy=None, ping_interval=None) as socket:
                    receiving = asyncio.create_task(socket.recv())
                    await asyncio.wait([receiving, ended], return_when=asyncio.FIRST_COMPLETED)
                    if not receiving.done():
                        receiving.cancel()
                        return
                    await receiving
            except ConnectionClosed as closed:
                code = None if closed.rcvd is None else closed.rcvd.code
                self._report.closes.append((time.monotonic(), code))
            except Exception as error:
                self._fail(f"WebSocket: {error!r}")

    def _fail(self, what: str) -> None:
        self._report.failures.append(what)


def header(head: bytes, name: bytes) -> int:
    values = (line.partition(b":") for line in head.split(b"\r\n"))
    return next((int(value) for key, _, value in values if key.lower() == name), 0)


async def read_to_end(reader: asyncio.StreamReader, stop: asyncio.Event) -> bytes:
    """Return the head and the last bytes of a stream."""
    text = b""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                chunk = await reader.read(65536)
                text += chunk
                text = text[:20] + text[20:][-200:]
                if not chunk or text.endswith(b"\r\n0\r\n\r\n"):
                    break
    return text


async def load_until_end_of_input(url: str) -> Report:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, stop.set)
    return await Load(url).run(stop)


@contextlib.contextmanager
def under_load(url: str) -> Iterator[list[Report]]:
    """A load in the block; its report is in the list after it."""
    reports: list[Report] = []
    command = [sys.executable, "-m", "tests.live.test_load", "--load", url]
    with subprocess.Popen(
        command, cwd=ROOT, env=clean_environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield reports
            said, _ = process.communicate(timeout=2 * HANG_SECONDS)
            assert process.returncode == 0
            reports.append(Report(**json.loads(said)))
        finally:
            process.kill()


# --- the reloads ------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a whole run has shown."""

    engine: str
    reloads: int
    report: Report
    saves: list[float]
    seconds: list[float]
    """From each save to the line that says ``ready``."""
    lifespans: list[str]

    def problems(self) -> list[str]:
        """Everything that must not be; the same thing counted."""
        found = [f"{count} x {what}" for what, count in Counter(self.report.failures).most_common(20)]
        codes = Counter(code for _, code in self.report.closes)
        if set(codes) - {1012}:
            found.append(f"WebSockets closed with {dict(codes)}")
        for what, times in (("WebSocket", [at for at, _ in self.report.closes]), ("event stream", self.report.ends)):
            late = [wait for wait in map(self._since_save, times) if wait > AT_ONCE_SECONDS]
            if late:
                found.append(f"{len(late)} {what}s ended late, one after {max(late):.2f} s")
            if not self.reloads // 2 <= len(times) <= self.reloads:
                found.append(f"{len(times)} {what}s ended at {self.reloads} reloads")
        return found + self._doubled()

    def _since_save(self, at: float) -> float:
        return at - max(save for save in self.saves if save <= at)

    def _doubled(self) -> list[str]:
        """Lifespans that did not end before the next began."""
        pairs = list(zip(self.lifespans[::2], self.lifespans[1::2], strict=False))
        wrong = [pair for pair in pairs if pair[0].replace("begin", "end") != pair[1]]
        whole = len(self.lifespans) == 2 * (self.reloads + 1)
        return [f"lifespans: {wrong[:3]}, {len(self.lifespans)} lines"] if wrong or not whole else []

    def table(self) -> str:
        rows = [f"{self.engine}: {self.reloads} reloads, {RATE} requests a second", ""]
        rows.append(f"{'seconds':24}{'count':>8}{'median':>9}{'90 %':>9}{'99 %':>9}{'longest':>9}")
        for kind, waits in sorted(self.report.waits.items()):
            rows.append(percentiles(kind, waits))
        rows.append(percentiles("save to ready", self.seconds))
        rows.append(percentiles("save to end of WebSocket", [self._since_save(at) for at, _ in self.report.closes]))
        rows.append(percentiles("save to end of stream", [self._since_save(at) for at in self.report.ends]))
        rows += ["", f"closed between requests, sent again: {self.report.retried}"]
        rows.append(f"problems: {'; '.join(self.problems()) or 'none'}")
        return "\n".join(rows)


def percentiles(name: str, values: list[float]) -> str:
    ranked = sorted(values) or [0.0]
    found = [ranked[min(len(ranked) - 1, int(len(ranked) * share))] for share in (0.5, 0.9, 0.99, 1)]
    return f"{name:24}{len(values):8}" + "".join(f"{value:9.3f}" for value in found)


def reload_under_load(folder: Path, engine: str, reloads: int) -> Outcome:
    """Run a stack in ``folder``, reload it again and again, and say what its clients met."""
    chance = random.Random(reloads)
    saves: list[float] = []
    seconds: list[float] = []
    write_files(folder, {"devrun.toml": TOML.format(engine=engine), "main.py": MAIN, "leaf.py": "VERSION = 0\n"})
    with Stack(folder) as stack:
        stack.wait_ready()
        with under_load(stack.url("api")) as reports:
            for version in range(1, reloads + 1):
                time.sleep(chance.uniform(0.02, 0.12))  # so that each reload meets the requests at another moment
                saves.append(time.monotonic())
                (folder / "leaf.py").write_text(f"VERSION = {version}\n")
                stack.wait_line(r"^\[devrun\] (ready|broken|exited) api")
                seconds.append(time.monotonic() - saves[-1])
                assert stack.get("api").text == str(version)
        assert stack.stop() == 0
    return Outcome(engine, reloads, reports[0], saves, seconds, (folder / "lifespans").read_text().splitlines())


@pytest.mark.timeout(60 + RELOADS * 3)
@pytest.mark.parametrize("engine", ["spawn", "fork"])
def test_reloads_under_load(engine: str, project: ProjectBuilder) -> None:
    outcome = reload_under_load(project({}), engine, RELOADS)
    print(outcome.table())
    assert not outcome.problems()


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.test_load", description=__doc__.partition("\n")[0])
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--engine", choices=["auto", "fork", "spawn"], default="auto")
    parser.add_argument("--json", action="store_true", help="everything that was measured instead of the table")
    parser.add_argument("--load", metavar="URL", help="only be the load, until the end of the input")
    options = parser.parse_args(argv)
    if options.load:
        print(json.dumps(asdict(asyncio.run(load_until_end_of_input(options.load)))))
        return 0
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        outcome = reload_under_load(Path(folder), options.engine, options.reloads)
    print(json.dumps({**asdict(outcome), "problems": outcome.problems()}) if options.json else outcome.table())
    return 1 if outcome.problems() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

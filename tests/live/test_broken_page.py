"""The server of the broken page on real sockets: what it answers, and to whom it does no harm. Runs on Python 3.9."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devrun.child import broken

FAILURE: dict[str, Any] = {
    "kind": "import",
    "summary": "KeyError: 'x'",
    "text": "Traceback (most recent call last):\nKeyError: 'x'",
    "file": None,
    "line": None,
}
SOON = 5.0
"""Seconds in which an answer must come; the server's own time limits are longer."""


@pytest.fixture(autouse=True)
def no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails a test during which asyncio logged an unhandled exception."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def listening(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.bind((host, 0))
    sock.listen(128)
    return sock


@contextlib.asynccontextmanager
async def serving(*sockets: socket.socket, token: str = "t1", **options: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(
        broken.serve(list(sockets), options.pop("failure", FAILURE), app="api", token=token, **options)
    )
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def live(test: Callable[[int], Awaitable[None]], **options: Any) -> None:
    """Run ``test(port)`` while the page is served on that port."""

    async def run() -> None:
        with listening() as sock:
            async with serving(sock, **options):
                await test(sock.getsockname()[1])

    asyncio.run(run())


async def exchange(port: int, data: bytes) -> bytes:
    """Send ``data``; everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), SOON)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=SOON)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_every_method_gets_the_failure(method: str) -> None:
    async def test(port: int) -> None:
        async with client(port) as http:
            answer = await http.request(method, "/any/path?x=1")
        assert answer.status_code == 503
        assert answer.headers["x-devrun-broken"] == "t1"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text.startswith("api could not be imported: KeyError: 'x'\n")

    live(test)


def test_head_has_the_headers_and_no_body() -> None:
    async def test(port: int) -> None:
        raw = await exchange(port, b"HEAD / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 503 Service Unavailable\r\nx-devrun-broken: t1\r\n")
        assert b"\r\nContent-Type: text/html; charset=utf-8\r\n" in raw
        assert raw.endswith(b"\r\n\r\n")
        assert raw.count(b"\r\n\r\n") == 1

    live(test)


def test_accept_chooses_the_form() -> None:
    async def test(port: int) -> None:
        async with client(port) as http:
            page = await http.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert page.text.startswith("<!doctype html>")
            for kind in ("application/json", "application/problem+json"):
                answer = await http.get("/", headers={"Accept": kind})
                assert answer.headers["content-type"] == kind
                assert answer.json()["text"] == FAILURE["text"]

    live(test)


def test_a_preflight_of_this_machine_is_granted() -> None:
    async def test(port: int) -> None:
        asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-a"}
        async with client(port) as http:
            own = await http.options("/", headers={"Origin": "http://localhost:5173", **asked})
            assert own.status_code == 204
            assert own.content == b""
            assert own.headers["access-control-allow-origin"] == "http://localhost:5173"
            assert own.headers["access-control-allow-credentials"] == "true"
            assert own.headers["access-control-allow-methods"] == "PUT"
            assert own.headers["access-control-allow-headers"] == "x-a"
            for origin in ("http://example.com", "null"):
                other = await http.options("/", headers={"Origin": origin, **asked})
                assert other.status_code == 503
                assert not [name for name in other.headers if name.startswith("access-control")]

    live(test)


def test_a_frontend_of_this_machine_may_read_the_answer() -> None:
    async def test(port: int) -> None:
        async with client(port) as http:
            own = await http.put("/", headers={"Origin": "http://127.0.0.1:5173"}, json={"a": 1})
            assert own.headers["access-control-allow-origin"] == "http://127.0.0.1:5173"
            assert "x-devrun-broken" in own.headers["access-control-expose-headers"]
            other = await http.put("/", headers={"Origin": "http://192.168.1.2:5173"}, json={"a": 1})
            assert not [name for name in other.headers if name.startswith("access-control")]
            assert "Origin" in own.headers["vary"]
            assert "Origin" in other.headers["vary"]

    live(test)


def test_a_rebound_name_gets_no_details() -> None:
    async def test(port: int) -> None:
        async with client(port) as http:
            answer = await http.get("/", headers={"Host": "rebound.example.com"})
        assert answer.status_code == 503
        assert "KeyError" not in answer.text

    live(test)


def test_a_websocket_gets_503() -> None:
    async def test(port: int) -> None:
        raw = await exchange(
            port,
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        assert raw.startswith(b"HTTP/1.1 503 ")

    live(test)


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_is_read_to_its_end(chunked: bool) -> None:
    # Were it not, the connection would be reset and the answer lost with it.
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000_000

    async def test(port: int) -> None:
        async with client(port) as http:
            answer = await http.post("/", content=chunks() if chunked else b"x" * 20_000_000)
        assert answer.status_code == 503
        assert "KeyError" in answer.text

    live(test)


def test_who_expects_100_continue_need_not_send_the_body() -> None:
    async def test(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), SOON)).startswith(b"HTTP/1.1 503")
        writer.close()
        await writer.wait_closed()

    live(test)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nbroken\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nCookie: " + b"x" * 200_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
    ],
    ids=["tls", "empty", "words", "header", "http2", "huge", "length"],
)
def test_what_is_not_http_is_closed(data: bytes) -> None:
    async def test(port: int) -> None:
        assert await exchange(port, data) == b""
        assert (await exchange(port, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 503")

    live(test)


def test_a_slow_or_silent_client_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broken, "_STAGE_SECONDS", 0.2)

    async def test(port: int) -> None:
        begun = time.monotonic()
        answers = await asyncio.gather(
            exchange(port, b""),
            exchange(port, b"GET / HT"),
            exchange(port, b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"),
        )
        assert [answer[:12] for answer in answers] == [b"", b"", b"HTTP/1.1 503"]
        assert time.monotonic() - begun >= 0.2

    live(test)


def test_a_client_that_does_not_read_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broken, "_STAGE_SECONDS", 0.2)

    async def test(port: int) -> None:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until_tasks_end()
            received = 0
            with contextlib.suppress(ConnectionResetError):
                while chunk := await loop.sock_recv(sock, 1_000_000):
                    received += len(chunk)
        assert received < 30_000_000

    live(test, failure={**FAILURE, "text": "x" * 30_000_000})


async def until_tasks_end() -> None:
    """Wait until the server has no open connection: this task and that of ``serve`` are the only ones."""
    deadline = time.monotonic() + SOON
    while len(asyncio.all_tasks()) <= 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    while len(asyncio.all_tasks()) > 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_many_silent_clients_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broken, "_CONNECTIONS", 40)

    async def test(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        async with client(port) as http:
            assert (await http.get("/")).status_code == 503
        # The oldest had to go.
        assert await asyncio.wait_for(silent[0][0].read(), SOON) == b""
        for _, writer in silent:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    live(test)


def test_too_few_descriptors_keep_nobody_out() -> None:
    script = (
        "import asyncio, json, resource, socket, sys\n"
        "from devrun.child import broken\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))\n"
        "sockets = [socket.socket(fileno=int(sys.argv[1]))]\n"
        "asyncio.run(broken.serve(sockets, json.loads(sys.argv[2]), app='api', token='t1'))\n"
    )

    async def test(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        async with client(port) as http:
            assert (await http.get("/")).status_code == 503
        for _, writer in silent:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    with listening() as sock:
        command = [sys.executable, "-c", script, str(sock.fileno()), json.dumps(FAILURE)]
        with subprocess.Popen(command, pass_fds=[sock.fileno()]) as process:
            try:
                asyncio.run(test(sock.getsockname()[1]))
            finally:
                process.kill()


def test_all_sockets_are_served_and_outlive_the_server() -> None:
    async def run() -> None:
        sockets = [listening(), listening()]
        if socket.has_ipv6:
            with contextlib.suppress(OSError):
                sockets.append(listening("::1"))
        urls = [url(sock) for sock in sockets]
        async with httpx.AsyncClient(trust_env=False, timeout=SOON) as http:
            for token in ("t1", "t2"):
                async with serving(*sockets, token=token):
                    answers = [await http.get(url) for url in urls]
                assert [answer.headers["x-devrun-broken"] for answer in answers] == [token] * len(sockets)
            # Nobody serves, yet nobody is refused.
            early = [asyncio.ensure_future(http.get(url)) for url in urls]
            await asyncio.sleep(0.05)
            assert not any(request.done() for request in early)
            async with serving(*sockets, token="t3"):
                assert {(await request).headers["x-devrun-broken"] for request in early} == {"t3"}
        for sock in sockets:
            sock.close()

    asyncio.run(run())


def url(sock: socket.socket) -> str:
    host, port, *_ = sock.getsockname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def test_a_request_that_has_begun_is_answered_after_the_end() -> None:
    async def run() -> None:
        with listening() as sock:
            begun = contextlib.AsyncExitStack()
            await begun.enter_async_context(serving(sock))
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            silent, silent_writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"GET / HTTP/1.1\r\n")
            async with client(sock.getsockname()[1]) as http:  # once it is answered, the two are being read
                await http.get("/")
            end = asyncio.ensure_future(begun.aclose())
            assert await asyncio.wait_for(silent.read(), SOON) == b""
            assert not end.done()
            writer.write(b"Host: localhost\r\n\r\n")
            assert (await asyncio.wait_for(reader.read(), SOON)).startswith(b"HTTP/1.1 503")
            await end
            for each in (writer, silent_writer):
                each.close()
                await each.wait_closed()

    asyncio.run(run())


def test_no_request_is_lost_when_servers_take_turns() -> None:
    async def run() -> None:
        with listening() as sock:
            port, ended, answers = sock.getsockname()[1], False, [b""]

            async def ask() -> None:
                while not ended:
                    answers.append((await exchange(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))[:12])

            clients = [asyncio.ensure_future(ask()) for _ in range(8)]
            for turn in range(12):
                async with serving(sock):
                    seen = len(answers)
                    while len(answers) < seen + turn:
                        await asyncio.sleep(0)
            ended = True
            async with serving(sock):
                await asyncio.gather(*clients)
        assert set(answers[1:]) == {b"HTTP/1.1 503"}

    asyncio.run(run())


def test_the_end_is_quick_whatever_is_open() -> None:
    async def run() -> None:
        with listening() as sock:
            port = sock.getsockname()[1]
            async with serving(sock):
                begun = [b"GET / HT", b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", b""] * 3
                writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in begun]
                for writer in writers:
                    writer.write(begun.pop())
                async with client(port) as http:
                    await http.get("/")
                asked = time.monotonic()
            assert time.monotonic() - asked < 1.5
            for writer in writers:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    asyncio.run(run())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command to make a certificate")
def test_the_page_over_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trust = ssl.create_default_context(cafile=str(certificate))

    async def test(port: int) -> None:
        async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=SOON) as http:
            for method in ("GET", "POST"):
                answer = await http.request(method, f"https://127.0.0.1:{port}/", content=b"x" * 500_000)
                assert answer.status_code == 503
                assert "KeyError" in answer.text
        assert not (await exchange(port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP")

    live(test, ssl_context=context)


def test_it_needs_the_standard_library_alone() -> None:
    script = (
        "import sys, types\n"
        "package = sys.modules['alone'] = types.ModuleType('alone')\n"
        "package.__path__ = [sys.argv[1]]\n"
        "from alone import broken, failure\n"
        "print(failure.describe(ValueError('x'), bool)['summary'], {'devrun', 'uvicorn'} & set(sys.modules))\n"
    )
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", script, str(Path(broken.__file__).parent)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "ValueError: x set()\n"


class Exhausted(socket.socket):
    """A listener of a process that has no descriptor left, as long as ``full``."""

    full, tries = True, 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.tries += 1
        if self.full:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_descriptors_it_waits_and_does_not_spin() -> None:
    async def scenario() -> int:
        with Exhausted() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen(128)
            async with serving(sock):
                reader, writer = await asyncio.open_connection(*sock.getsockname())
                writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await asyncio.sleep(0.3)
                sock.full = False
                line = await asyncio.wait_for(reader.readline(), SOON)
                writer.close()
            assert line == b"HTTP/1.1 503 Service Unavailable\r\n"
            return sock.tries

    assert 2 <= asyncio.run(scenario()) <= 20

"""An old worker goes within its grace, whatever holds it; and so does a whole stack."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack
from tests.live.apps import RESPOND, TOML

SOURCE = f"""
import asyncio, os, threading, time
VERSION = 1
{RESPOND}

async def shutdown():
    if os.path.exists("stuck"):
        await asyncio.sleep(600)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send, shutdown=shutdown)
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        await send({{"type": "websocket.accept"}})
        while (await receive())["type"] != "websocket.disconnect":
            pass
    elif path == "/events":
        headers = [(b"content-type", b"text/event-stream")]
        await send({{"type": "http.response.start", "status": 200, "headers": headers}})
        while True:
            await send({{"type": "http.response.body", "body": b"data: tick\\n\\n", "more_body": True}})
            await asyncio.sleep(0.05)
    elif path == "/sleep":
        print("sleeping")
        await asyncio.sleep(600)
    elif path == "/stubborn":
        print("sleeping")
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass
    elif path == "/block":
        print("sleeping", flush=True)
        time.sleep(600)
    elif path == "/thread":
        threading.Thread(target=time.sleep, args=(600,)).start()
        await respond(send, "started")
    elif path == "/executor":
        print("sleeping")
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
    elif path == "/slow":
        print("sleeping")
        await asyncio.sleep(0.3)
        await respond(send, "finished")
    else:
        await respond(send, VERSION)
"""

HOLDERS = ["events", "websocket", "sleep", "stubborn", "block", "thread", "executor", "lifespan"]


@contextlib.contextmanager
def held(stack: Stack, how: str) -> Iterator[None]:
    """Give the worker a reason not to end."""
    port = int(stack.url("api").rpartition(":")[2])
    if how == "lifespan":
        (stack.folder / "stuck").touch()
        yield
    elif how == "thread":
        assert stack.get("api", "/thread").text == "started"
        yield
    elif how == "websocket":
        with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as client:
            yield
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=5)
            assert client.close_code == 1012
    else:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(f"GET /{how} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if how == "events":
                assert b"tick" in client.recv(4096) + client.recv(4096)
            else:
                stack.wait_line("sleeping")
            yield


@pytest.mark.parametrize("how", HOLDERS)
def test_nothing_holds_up_a_reload(project: ProjectBuilder, up: StackStarter, how: str) -> None:
    folder = project({"devrun.toml": TOML, "main.py": SOURCE})
    stack = up(folder)
    stack.wait_ready()
    with held(stack, how):
        (folder / "main.py").write_text(SOURCE.replace("VERSION = 1", "VERSION = 2"))
        stack.wait_text("api", "2")


@pytest.mark.parametrize("how", HOLDERS)
def test_nothing_holds_up_the_end(project: ProjectBuilder, up: StackStarter, how: str) -> None:
    stack = up(project({"devrun.toml": TOML, "main.py": SOURCE}))
    stack.wait_ready()
    with held(stack, how):
        assert stack.stop() == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("sleep", r"Cancel 1 running task\(s\), grace \(1s\) exceeded"),
        ("block", r"^\[devrun\] warning: api: did not end within `grace`, and was killed"),
        ("lifespan", r"^\[devrun\] warning: api: did not end within `grace`, and was killed"),
    ],
)
def test_what_is_cut_off_is_told(project: ProjectBuilder, up: StackStarter, how: str, words: str) -> None:
    folder = project({"devrun.toml": TOML + "grace = 1\n", "main.py": SOURCE})
    stack = up(folder)
    stack.wait_ready()
    with held(stack, how):
        (folder / "main.py").write_text(SOURCE.replace("VERSION = 1", "VERSION = 2"))
        stack.wait_line(words)


def test_an_event_stream_ends_cleanly_and_at_once(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML + "grace = 60\n", "main.py": SOURCE})
    stack = up(folder)
    stack.wait_ready()
    port = int(stack.url("api").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        (folder / "main.py").write_text(SOURCE.replace("VERSION = 1", "VERSION = 2"))
        received = b""
        while chunk := client.recv(4096):
            received += chunk
    assert received.endswith(b"0\r\n\r\n"), "the last chunk of a complete response"
    stack.wait_text("api", "2")
    assert not any("Traceback" in line for line in stack.lines)


def test_an_event_stream_that_begins_after_the_stop_ends_at_once(project: ProjectBuilder, up: StackStarter) -> None:
    source = f"""
import asyncio, os
{RESPOND}
VERSION = 1

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/":
        return await respond(send, VERSION)
    print("waiting")
    while not os.path.exists("go"):
        await asyncio.sleep(0.01)
    headers = [(b"content-type", b"text/event-stream")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    while True:
        await send({{"type": "http.response.body", "body": b"data: tick\\n\\n", "more_body": True}})
        await asyncio.sleep(0.05)
"""
    folder = project({"devrun.toml": TOML + "grace = 60\n", "main.py": source})
    stack = up(folder)
    stack.wait_ready()
    port = int(stack.url("api").rpartition(":")[2])
    place = ("127.0.0.1", port)
    with socket.create_connection(place, timeout=10) as idle, socket.create_connection(place, timeout=10) as client:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(4096)
        client.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        stack.wait_line("waiting")
        (folder / "main.py").write_text(source.replace("VERSION = 1", "VERSION = 2"))
        while idle.recv(4096):
            pass  # to its end: the old worker is stopping, and has looked for streams
        (folder / "go").touch()
        received = b""
        while chunk := client.recv(4096):
            received += chunk
    assert received.endswith(b"0\r\n\r\n")
    stack.wait_text("api", "2")


def test_a_client_that_does_not_read_holds_no_lifespan(project: ProjectBuilder, up: StackStarter) -> None:
    """Its stream can be given no last word: what the app has to put away is put away all the same."""
    source = f"""
{RESPOND}
async def shutdown():
    print("put away", flush=True)
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send, shutdown=shutdown)
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}})
    print("flooding", flush=True)
    while True:
        await send({{"type": "http.response.body", "body": b"data: tick\\n\\n" * 1000, "more_body": True}})
"""
    stack = up(project({"devrun.toml": TOML, "main.py": source}))
    stack.wait_ready()
    port = int(stack.url("api").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        stack.wait_line("flooding")
        assert stack.stop() == 0
    assert "[api] put away" in stack.lines


def test_a_request_in_flight_is_finished(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML + "grace = 30\n", "main.py": SOURCE})
    stack = up(folder)
    stack.wait_ready()
    answers: list[str] = []
    request = threading.Thread(target=lambda: answers.append(stack.get("api", "/slow").text))
    request.start()
    stack.wait_line("sleeping")
    (folder / "main.py").write_text(SOURCE.replace("VERSION = 1", "VERSION = 2"))
    stack.wait_text("api", "2")
    request.join(10)
    assert answers == ["finished"]


def test_two_lifespans_never_overlap(project: ProjectBuilder, up: StackStarter) -> None:
    source = f"""
import asyncio, os
{RESPOND}
async def startup():
    print("startup", os.getpid(), flush=True)
async def shutdown():
    await asyncio.sleep(0.1)
    print("shutdown", os.getpid(), flush=True)
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send, startup, shutdown)
    await respond(send, 0)
"""
    folder = project({"devrun.toml": TOML, "main.py": source})
    stack = up(folder)
    stack.wait_ready()
    for number in range(1, 6):
        (folder / "main.py").write_text(source.replace("respond(send, 0)", f"respond(send, {number})"))
        stack.wait_text("api", str(number))
    assert stack.stop() == 0
    words = [line.split()[1:] for line in stack.lines if line.startswith(("[api] startup", "[api] shutdown"))]
    assert [word for word, _ in words] == ["startup", "shutdown"] * 6
    assert all(words[n][1] == words[n + 1][1] for n in range(0, len(words), 2))


def test_a_second_interrupt_ends_at_once(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML + "grace = 600\n", "main.py": SOURCE})
    (folder / "stuck").touch()
    stack = up(folder)
    stack.wait_ready()
    stack.signal(signal.SIGINT)
    stack.wait_line("Waiting for application shutdown")
    started = time.monotonic()
    assert stack.stop() == 0
    assert time.monotonic() - started < 15, "grace is ten minutes"

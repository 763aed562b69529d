"""The promises about URLs, under load: never refused, never reset, never hanging, and the newest save answers."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack
from tests.live.apps import TOML, answering

CLIENTS = 4
SOURCE = answering("f'{os.getpid()} {VERSION}'", "import os\nVERSION = 0")


@contextmanager
def hammering(stack: Stack) -> Iterator[Counter[str]]:
    """Ask the app all the time, each time over a new connection; count what comes of it."""
    port = int(stack.url("api").rpartition(":")[2])
    over = threading.Event()
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def ask() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
        except OSError as error:
            return repr(error)
        finally:
            connection.close()
        return str(answer.status)

    def client() -> None:
        while not over.is_set():
            outcome = ask()
            with lock:
                outcomes[outcome] += 1

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        over.set()
        for thread in threads:
            thread.join(40)


@pytest.mark.timeout(120)
def test_no_request_is_lost_over_reloads(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": SOURCE})
    stack = up(folder)
    stack.wait_ready()
    with hammering(stack) as outcomes:
        for version in range(1, 9):
            (folder / "main.py").write_text(SOURCE.replace("VERSION = 0", f"VERSION = {version}"))
            stack.wait_line(r"\] ready api")
            assert stack.get("api").text.split()[1] == str(version)
    assert set(outcomes) == {"200"}
    assert outcomes["200"] > 50


@pytest.mark.timeout(120)
def test_no_request_is_refused_while_an_app_breaks_and_mends(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": SOURCE})
    stack = up(folder)
    stack.wait_ready()
    with hammering(stack) as outcomes:
        for _ in range(3):
            (folder / "main.py").write_text("1 / 0")
            stack.wait_line(r"\] broken api")
            (folder / "main.py").write_text(SOURCE)
            stack.wait_line(r"\] ready api")
    assert set(outcomes) <= {"200", "503"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a worker accepts what has said nothing yet")
def test_a_request_that_comes_late_on_an_open_connection_is_answered_by_the_next_worker(
    project: ProjectBuilder, up: StackStarter
) -> None:
    """As a browser's spare connection, or the client that a busy machine kept from sending."""
    folder = project({"devrun.toml": TOML, "main.py": SOURCE})
    stack = up(folder)
    stack.wait_ready()
    address = ("127.0.0.1", int(stack.url("api").rpartition(":")[2]))
    with socket.create_connection(address) as over_two, socket.create_connection(address) as over_one:
        (folder / "main.py").write_text("1 / 0")
        stack.wait_line(r"\] broken api")
        assert _late_answer(over_one).startswith(b"HTTP/1.1 503 ")
        (folder / "main.py").write_text(SOURCE.replace("VERSION = 0", "VERSION = 1"))
        stack.wait_line(r"\] ready api")
        answer = _late_answer(over_two)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b" 1\r\n" in answer


def _late_answer(connection: socket.socket) -> bytes:
    connection.settimeout(30)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    with connection.makefile("rb") as answer:
        return answer.read()

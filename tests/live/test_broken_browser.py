"""The broken page in a real browser: it shows the failure, comes back by itself, and runs nothing that is not its own.

The test process holds the listening socket, as the launcher does; the servers that take turns on it are processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.driver import DEADLINE, clean_environ

if TYPE_CHECKING:
    from playwright.sync_api import Page

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"needs {CHROMIUM}"),
]

SERVE_PAGE = """
import asyncio, json, socket, sys
from devrun.child import broken
failure, token = json.loads(sys.argv[2])
asyncio.run(broken.serve([socket.socket(fileno=int(sys.argv[1]))], failure, app="api", token=token))
"""
SERVE_APP = """
import socket, sys, uvicorn
async def app(scope, receive, send):
    if scope["type"] == "http":
        body = b"<title>mended</title><p style='height:4000px'>the good app</p><p id=deep>end</p>"
        if scope["path"] == "/login":
            start = {"status": 302, "headers": [(b"location", b"http://localhost:%d/" % scope["server"][1])]}
        else:
            start = {"status": 200, "headers": [(b"content-type", b"text/html")]}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": body})
server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""


class Turns:
    """One process at a time serves the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def broken(self, token: str, **changes: Any) -> None:
        failure = {
            "kind": "import",
            "summary": "KeyError: 'x'",
            "text": "Traceback",
            "file": None,
            "line": None,
            **changes,
        }
        self._take(SERVE_PAGE, json.dumps([failure, token]))

    def good(self) -> None:
        self._take(SERVE_APP)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _take(self, script: str, *args: str) -> None:
        self.end()
        fd = self.sock.fileno()
        command = [sys.executable, "-c", script, str(fd), *args]
        self._process = subprocess.Popen(command, pass_fds=[fd], env=clean_environ())


@pytest.fixture
def turns() -> Iterator[Turns]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        turns = Turns(sock)
        try:
            yield turns
        finally:
            turns.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Callable[..., Page]]:
    """``tab(**options)`` opens one; the test fails when a page in it raised an error."""
    errors: list[str] = []
    with contextlib.ExitStack() as contexts:

        def tab(**options: Any) -> Page:
            context = browser.new_context(**options)
            contexts.callback(context.close)
            page: Page = context.new_page()
            page.set_default_timeout(DEADLINE * 1000)
            page.on("pageerror", lambda error: errors.append(str(error)))
            return page

        yield tab
    assert errors == []


def test_the_tab_follows_the_app_from_failure_to_failure_and_back(
    turns: Turns, tab: Callable[..., Page], tmp_path: Path
) -> None:
    source = tmp_path / "routes.py"
    source.write_text("def ok():\n    pass\n\nif True print(1)\n")
    turns.broken("t1", summary="SyntaxError: invalid syntax", file=str(source), line=4)
    page = tab()
    response = page.goto(f"{turns.url}/orders?open=1#deep")
    assert response is not None
    assert response.status == 503
    assert page.title() == "api could not be imported: SyntaxError: invalid syntax"
    assert page.locator("h1").inner_text() == "SyntaxError: invalid syntax"
    assert page.locator(".bad").inner_text().strip() == "if True print(1)"
    assert page.locator(".bad").get_attribute("data-n") == "4"
    turns.good()
    page.wait_for_selector("text=the good app")
    assert page.url == f"{turns.url}/orders?open=1#deep"
    turns.broken("t2", summary="NameError: first")
    page.reload()
    assert page.locator("h1").inner_text() == "NameError: first"
    turns.broken("t3", summary="NameError: second")
    page.wait_for_selector("text=NameError: second")
    turns.good()
    page.wait_for_selector("text=the good app")


def test_a_page_that_leads_to_another_origin_comes_back_too(turns: Turns, tab: Callable[..., Page]) -> None:
    turns.broken("t1")
    page = tab()
    page.goto(f"{turns.url}/login")
    turns.good()
    page.wait_for_selector("text=the good app")
    assert page.url.startswith("http://localhost:")


def test_a_form_is_not_sent_again_unasked(turns: Turns, tab: Callable[..., Page]) -> None:
    turns.good()
    page = tab()
    page.goto(turns.url)
    turns.broken("t1")
    form = "document.body.innerHTML = '<form method=post action=/orders></form>'; document.forms[0].submit()"
    page.evaluate(form)
    page.wait_for_selector("h1")
    turns.good()
    page.wait_for_selector("text=Reload to send the form again")
    assert page.locator("h1").is_visible()


def test_nothing_in_the_failure_runs(turns: Turns, tab: Callable[..., Page], tmp_path: Path) -> None:
    hostile = "</script></style></title><script>window.stung = 1</script><img src=x onerror='window.stung = 1'>"
    source = tmp_path / "a.py"
    source.write_text(hostile + "\n")
    turns.broken("t1", summary=hostile, text=f"Traceback\n{hostile}", file=str(source), line=1)
    page = tab()
    page.goto(turns.url)
    assert page.locator("h1").inner_text() == hostile
    assert page.locator("#text").inner_text() == f"Traceback\n{hostile}"
    assert page.locator(".bad").inner_text().strip() == hostile
    assert page.evaluate("window.stung") is None


def test_a_hidden_tab_asks_nothing_until_it_is_seen(turns: Turns, tab: Callable[..., Page]) -> None:
    turns.broken("t1")
    page = tab()
    hide = "value => {Object.defineProperty(document, 'hidden', {value, configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))}"
    asked: list[str] = []
    page.goto(turns.url)
    with page.expect_request(lambda request: request.method == "HEAD"):
        pass
    page.evaluate(hide, True)
    page.wait_for_timeout(100)
    page.on("request", lambda request: asked.append(request.method))
    page.wait_for_timeout(1000)
    assert asked == []
    turns.good()
    page.evaluate(hide, False)
    page.wait_for_selector("text=the good app")


def test_without_scripts_the_page_refreshes(turns: Turns, tab: Callable[..., Page]) -> None:
    turns.broken("t1", summary="KeyError: 'first'")
    page = tab(java_script_enabled=False)
    page.goto(turns.url)
    page.wait_for_selector("text=KeyError: 'first'")
    turns.good()
    page.wait_for_selector("text=the good app")


@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_the_window(turns: Turns, tab: Callable[..., Page], tmp_path: Path, width: int) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = '" + "long " * 100 + "'\n")
    turns.broken("t1", summary="E: " + "x" * 190, text="y" * 2000, file=str(source), line=1)
    page = tab(viewport={"width": width, "height": 800})
    page.goto(turns.url)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_traceback_can_be_copied(turns: Turns, tab: Callable[..., Page]) -> None:
    text = textwrap.dedent("""\
        Traceback (most recent call last):
          a < b & "c"
        KeyError: 'x'""")
    turns.broken("t1", text=text)
    page = tab(permissions=["clipboard-read", "clipboard-write"])
    page.goto(turns.url)
    page.click("#copy")
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == text

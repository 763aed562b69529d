"""The Vite example: streams that outlive reloads, and a frontend that finds its API through the generated env file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.conftest import StackStarter
from tests.driver import DEADLINE, Stack
from tests.live.examples import PAGE_ORIGIN, assert_ends_well, copy_example, dev_server, edit, npm_install, wait_for


@pytest.fixture
def streams(tmp_path: Path, up: StackStarter) -> Stack:
    stack = up(copy_example("vite", tmp_path))
    stack.wait_ready()
    return stack


def api_url(stack: Stack) -> str:
    return stack.variables("frontend/.env.local")["VITE_API_URL"]


def first_tick(url: str) -> str:
    with httpx.stream("GET", f"{url}/ticks", headers=PAGE_ORIGIN, timeout=DEADLINE, trust_env=False) as response:
        assert response.headers["access-control-allow-origin"] == PAGE_ORIGIN["Origin"]
        return next(line for line in response.iter_lines() if line.startswith("data: "))


def echo_of(url: str, text: str) -> str:
    with connect(url.replace("http", "ws", 1) + "/echo", proxy=None) as socket:
        socket.send(text)
        return str(socket.recv(DEADLINE))


def test_open_streams_do_not_hold_up_a_reload(streams: Stack) -> None:
    url = api_url(streams)
    assert first_tick(url).startswith("data: tick 1 at")
    assert echo_of(url, "hello") == "echo: hello"
    with (
        httpx.stream("GET", f"{url}/ticks", timeout=DEADLINE, trust_env=False) as ticks,
        connect(url.replace("http", "ws", 1) + "/echo", proxy=None) as socket,
    ):
        next(ticks.iter_raw())
        edit(streams.folder / "api/messages.py", "echo: ", "you said: ")
        streams.wait_line(r"^\[devrun\] ready api")
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(DEADLINE)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    assert echo_of(url, "hello") == "you said: hello"
    assert_ends_well(streams)


@pytest.fixture
def frontend(streams: Stack) -> Iterator[str]:
    """The URL of the Vite example's frontend, installed and running."""
    npm_install(streams.folder / "frontend")
    with dev_server(streams.folder / "frontend", "--host", "127.0.0.1") as url:
        yield url


@pytest.mark.node
@pytest.mark.timeout(180)
def test_vite_reads_the_generated_env_file(streams: Stack, frontend: str, up: StackStarter) -> None:
    module = f"{frontend}/src/main.ts"
    wait_for(module, f'"VITE_API_URL": "{api_url(streams)}"', restarts=True)
    assert_ends_well(streams)
    wait_for(module, absent='"VITE_API_URL"', restarts=True)
    again = up(streams.folder)
    wait_for(module, f'"VITE_API_URL": "{api_url(again)}"', restarts=True)
    again.wait_ready()
    assert_ends_well(again)


@pytest.mark.node
@pytest.mark.browser
@pytest.mark.timeout(240)
def test_the_page_shows_both_streams_through_thick_and_thin(
    streams: Stack, frontend: str, browser_page: Page, up: StackStarter
) -> None:
    page, messages = browser_page, streams.folder / "api/messages.py"
    page.goto(frontend)
    expect(page.locator("#api")).to_have_text(api_url(streams))
    expect(page.locator("#ticks li").filter(has_text="tick 2 ")).to_be_visible()
    say(page, "good morning")
    expect(page.locator("#echo li").first).to_have_text("echo: good morning")

    edit(messages, "tick {number}", "tock {number}")
    expect(page.locator("#ticks li").first).to_contain_text("tock")
    say(page, "still there?")
    expect(page.locator("#echo li").first).to_have_text("echo: still there?")

    edit(messages, "def answer(", "def answer")
    expect(page.locator("#problem")).to_contain_text("SyntaxError")
    edit(messages, "def answer", "def answer(")
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#ticks-state")).to_have_text("open")

    before = api_url(streams)
    assert_ends_well(streams)
    expect(page.locator("#api")).to_contain_text("devrun up")
    again = up(streams.folder)
    assert api_url(again) != before
    expect(page.locator("#api")).to_have_text(api_url(again))
    expect(page.locator("#ticks li").filter(has_text="tock 2 ")).to_be_visible()
    say(page, "a new port?")
    expect(page.locator("#echo li").first).to_have_text("echo: a new port?")
    assert_ends_well(again)


def say(page: Page, text: str) -> None:
    page.locator("#say input").fill(text)
    page.locator("#say button").click()

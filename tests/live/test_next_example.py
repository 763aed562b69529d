"""The Next.js example: an open page that follows its API through saves, mistakes and a new port."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import StackStarter
from tests.driver import DEADLINE, Stack
from tests.live.examples import PAGE_ORIGIN, assert_ends_well, copy_example, dev_server, edit, npm_install


@pytest.fixture
def weather(tmp_path: Path, up: StackStarter) -> Stack:
    stack = up(copy_example("next", tmp_path))
    stack.wait_ready()
    return stack


def api_url(stack: Stack) -> str:
    return stack.variables("frontend/.env.local")["NEXT_PUBLIC_API_URL"]


@pytest.mark.node
@pytest.mark.browser
@pytest.mark.timeout(300)
def test_the_open_page_follows_its_api(weather: Stack, browser_page: Page, up: StackStarter) -> None:
    page, stations = browser_page, weather.folder / "api/stations.py"
    npm_install(weather.folder / "frontend")
    with dev_server(weather.folder / "frontend", "--hostname", "127.0.0.1") as url:
        page.goto(url, timeout=60_000)  # Next.js compiles the page when it is first asked for
        expect(page.locator("#api")).to_have_text(api_url(weather))
        expect(page.locator("#readings li").first).to_have_text("Lisbon 19.5 °C")

        edit(stations, "19.5", "21.5")
        expect(page.locator("#readings li").first).to_have_text("Lisbon 21.5 °C")
        edit(stations, "def readings(", "def readings")
        expect(page.locator("#problem")).to_contain_text("SyntaxError")
        edit(stations, "def readings", "def readings(")
        expect(page.locator("#problem")).to_have_count(0)

        before = api_url(weather)
        assert_ends_well(weather)
        expect(page.locator("#problem")).to_contain_text("Failed to fetch")
        again = up(weather.folder)
        assert api_url(again) != before
        expect(page.locator("#api")).to_have_text(api_url(again))
        expect(page.locator("#problem")).to_have_count(0)
        edit(stations, "21.5", "22.5")
        expect(page.locator("#readings li").first).to_have_text("Lisbon 22.5 °C")
        assert_ends_well(again)


def test_a_page_of_this_machine_may_ask_the_api(weather: Stack) -> None:
    with httpx.Client(timeout=DEADLINE, trust_env=False) as client:
        answer = client.get(f"{api_url(weather)}/readings", headers=PAGE_ORIGIN)
    assert answer.headers["access-control-allow-origin"] == PAGE_ORIGIN["Origin"]
    assert answer.json()[0] == {"station": "Lisbon", "celsius": 19.5}
    assert_ends_well(weather)

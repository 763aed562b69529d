"""Every example does what its README promises, in a copy of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import StackStarter
from tests.driver import DEADLINE, Stack, clean_environ
from tests.live.examples import CHECKOUT, PAGE_ORIGIN, assert_ends_well, copy_example, edit, fetch, wait_for


@pytest.fixture
def shop(tmp_path: Path, up: StackStarter) -> Stack:
    stack = up(copy_example("shop", tmp_path))
    stack.wait_ready()
    return stack


def buy_assam(shop: Stack) -> str:
    """The page after the purchase."""
    url = f"{shop.url('web')}/buy/assam"
    return httpx.post(url, follow_redirects=True, timeout=DEADLINE, trust_env=False).raise_for_status().text


def test_the_apps_of_the_shop_ask_each_other(shop: Stack) -> None:
    page = fetch(shop.url("web"))
    for text in ("Starlette", "FastAPI", "Litestar", "Sencha", "€ 7.90", "Nothing sold yet", shop.url("catalog")):
        assert text in page

    assert "1 × Assam" in buy_assam(shop)

    bestsellers = shop.get("catalog", "/bestsellers", headers=PAGE_ORIGIN)
    assert bestsellers.headers["access-control-allow-origin"] == PAGE_ORIGIN["Origin"]
    best = bestsellers.json()[0]
    assert (best["product"]["id"], best["sold"]) == ("assam", 1)
    assert_ends_well(shop)


def test_a_save_in_the_shop_restarts_one_app(shop: Stack) -> None:
    web = shop.url("web")
    buy_assam(shop)

    edit(shop.folder / "catalog/products.py", "cents=790", "cents=811")
    # The price is new, and the order is still there: the app that keeps it was left alone.
    wait_for(web, "<b>€ 8.11</b>", "1 × Assam")
    edit(shop.folder / "web/page.html", "On the shelf", "In the cupboard")
    wait_for(web, "In the cupboard")

    assert not [line for line in shop.lines if line.startswith("[devrun] reloading orders")]
    assert_ends_well(shop)


def test_a_broken_app_leaves_the_page_of_the_shop_whole(shop: Stack) -> None:
    web, routes = shop.url("web"), shop.folder / "catalog/routes.py"
    edit(routes, "async def about()", "async def about(")
    shop.wait_line(r"^\[devrun\] broken catalog: catalog/routes\.py:\d+: SyntaxError")
    assert "Nothing sold yet" in wait_for(web, "catalog answers 503")
    assert shop.get("catalog").status_code == 503
    edit(routes, "async def about(", "async def about()")
    wait_for(web, "Sencha", absent="503")
    assert_ends_well(shop)


def test_the_checkout_itself_runs_the_shop(tmp_path: Path, up: StackStarter) -> None:
    shutil.copy(CHECKOUT / "devrun.toml", tmp_path)
    copy_example("shop", tmp_path / "examples")
    stack = up(tmp_path)
    stack.wait_ready()
    assert "Sencha" in fetch(stack.url("web"))
    assert_ends_well(stack)


def test_django_and_fastapi_ask_each_other(tmp_path: Path, up: StackStarter) -> None:
    stack = up(copy_example("django", tmp_path))
    stack.wait_ready()
    site = stack.url("site")
    assert "I came for the whale" in fetch(site)
    assert stack.get("reviews", "/unreviewed").json() == ["Dracula"]

    edit(stack.folder / "reviews/opinions.py", '    "emma":', '    "dracula": ["Sleepless."],\n    "emma":')
    wait_for(site, "Sleepless.")
    edit(stack.folder / "books/shelf.py", '"Bram Stoker"', '"Abraham Stoker"')
    wait_for(site, "Abraham Stoker")
    edit(stack.folder / "books/templates/books/index.html", "<h1>Bookshelf</h1>", "<h1>My bookshelf</h1>")
    wait_for(site, "<h1>My bookshelf</h1>")
    assert_ends_well(stack)


@pytest.mark.timeout(240)
def test_services_of_the_monorepo_run_in_environments_of_their_own(tmp_path: Path, up: StackStarter) -> None:
    folder = copy_example("monorepo", tmp_path)
    make_environments(folder)
    stack = up(folder)
    stack.wait_ready()
    gateway = stack.url("gateway")

    answer = stack.get("gateway").json()
    for service in ("gateway", "forecast"):
        assert answer[service]["environment"] == str(folder / "services" / service / ".venv")
    assert stack.get("gateway", "/weather/rome").json() == {"city": "Rome", "tomorrow": "17.5 °C"}

    edit(folder / "services/forecast/forecast/main.py", "17.5", "18.5")
    wait_for(f"{gateway}/weather/rome", "18.5 °C")
    assert not [line for line in stack.lines if line.startswith("[devrun] reloading gateway")]
    edit(folder / "shared/units/names.json", "°C", "degrees")
    wait_for(gateway, '"service":"gateway"', absent="°C")
    edit(folder / "shared/units/__init__.py", ":.1f", ":.2f")
    wait_for(gateway, "0.00 degrees", absent="0.0 degrees")
    assert_ends_well(stack)


def make_environments(folder: Path) -> None:
    """Run the command of the example's README, with this interpreter as ``python3``."""
    found = re.search(r"^    (for service in .*)$", (folder / "README.md").read_text(), re.MULTILINE)
    assert found
    environ = clean_environ()
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    environ["PIP_NO_COMPILE"] = "1"  # it takes a third of the time, and few of the modules are ever imported
    done = subprocess.run(
        ["bash", "-c", found[1]], cwd=folder, env=environ, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.browser
@pytest.mark.timeout(120)
def test_a_browser_buys_in_the_shop(shop: Stack, browser_page: Page) -> None:
    page = browser_page
    page.goto(shop.url("web"))
    expect(page.locator("#bestsellers li").first).to_contain_text("0 sold")
    page.locator(".product").filter(has_text="Rooibos").get_by_role("button").click()
    expect(page.locator("ol").first).to_contain_text("1 × Rooibos")
    # Fetched by the page itself from the catalog, which asked the orders app.
    expect(page.locator("#bestsellers li").first).to_have_text("Rooibos1 sold")
    assert_ends_well(shop)

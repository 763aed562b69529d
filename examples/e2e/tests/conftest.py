"""The stack is devrun's, the pages are pytest-playwright's. This tells the ones of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIRequestContext, Playwright

CHROMIUM = Path("/usr/bin/chromium")  # Debian's, where it is; else that of `playwright install chromium`


@pytest.fixture(scope="session")
def base_url(devrun_url: Callable[[str], str]) -> str:
    """Where ``page.goto("/")`` goes."""
    return devrun_url("web")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": CHROMIUM} if CHROMIUM.exists() else browser_type_launch_args


@pytest.fixture(scope="session")
def api(playwright: Playwright, devrun_url: Callable[[str], str]) -> Iterator[APIRequestContext]:
    """Requests to the API, past the page."""
    context = playwright.request.new_context(base_url=devrun_url("api"))
    yield context
    context.dispose()


@pytest.fixture(autouse=True)
def no_notes(api: APIRequestContext) -> None:
    """Each test begins without notes; no other process of pytest has the same stack."""
    assert api.delete("/notes").ok

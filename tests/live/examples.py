"""Copies of the examples to run in: parallel tests do not meet, and the checkout stays clean."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.driver import DEADLINE, Stack, clean_environ, env_files, wait_until

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "examples"
PAGE_ORIGIN = {"Origin": "http://127.0.0.1:5173"}
"""What a browser sends with a request from a page of Vite's."""

_MADE_BY_RUNNING = shutil.ignore_patterns(
    *(
        ".venv",
        "node_modules",
        "__pycache__",
        ".env*",
        ".devrun",
        "package-lock.*",
        ".next",
        "next-env.d.ts",
        "test-results",
        ".pytest_cache",
    )
)


def copy_example(name: str, target: Path) -> Path:
    """A fresh copy of an example below ``target``, without what an earlier run of it may have left."""
    return Path(shutil.copytree(EXAMPLES / name, target / name, ignore=_MADE_BY_RUNNING))


def edit(file: Path, old: str, new: str) -> None:
    """Save a file with ``old``, which must be in it, replaced by ``new``."""
    text = file.read_text()
    assert old in text, f"{old!r} is not in {file}"
    file.write_text(text.replace(old, new))


def get(url: str) -> httpx.Response:
    """One request, past every proxy."""
    with httpx.Client(timeout=DEADLINE, trust_env=False) as client:
        return client.get(url)


def fetch(url: str) -> str:
    """The text of an answer that must be 200."""
    response = get(url)
    assert response.status_code == 200, f"{url}: {response.status_code} {response.text[:500]}"
    return response.text


def wait_for(url: str, *expected: str, absent: str = "", restarts: bool = False) -> str:
    """Wait for a 200 with all these texts, and without ``absent``; gives the text.

    ``restarts``: the server is not devrun's, and cuts connections off when it starts itself anew.
    """

    def look() -> str:
        # An app says 502 when the one that it asks goes down for a reload just then, with their connection open.
        try:
            response = get(url)
        except httpx.TransportError:
            if not restarts:
                raise
            return ""
        good = response.status_code == 200 and all(part in response.text for part in expected)
        return response.text if good and not (absent and absent in response.text) else ""

    return wait_until(look, f"{expected} (not {absent!r}) at {url}")


def assert_ends_well(stack: Stack) -> None:
    """Ctrl-C ends the stack with 0, and its env files are gone."""
    assert stack.stop() == 0
    assert env_files(stack.folder) == {}


def npm_install(frontend: Path) -> None:
    """Install what package.json names; skips the test where there is no npm."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    command = ["npm", "install", "--no-fund", "--no-audit"]
    done = subprocess.run(command, cwd=frontend, env=clean_environ(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (frontend / "package-lock.json").exists()


@contextmanager
def dev_server(frontend: Path, *options: str) -> Iterator[str]:
    """``npm run dev`` as README says, on any free port; gives the URL that it prints."""
    printed = frontend.parent / "frontend.log"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            ["npm", "run", "dev", "--", "--port", "0", *options],
            cwd=frontend,
            env={**clean_environ(), "NO_COLOR": "1", "NEXT_TELEMETRY_DISABLED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: "Local:" in printed.read_text() or process.poll() is not None, "a URL", timeout=60)
        text = printed.read_text()
        assert "Local:" in text, text
        yield text.split("Local:")[1].split()[0].rstrip("/")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)

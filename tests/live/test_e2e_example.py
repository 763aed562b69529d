"""The example with tests in a browser, run as its README says: with Node and with pytest, alone and at once."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.conftest import StackStarter
from tests.driver import MARK, clean_environ, describe, env_files, marked, wait_until
from tests.live.conftest import CHROMIUM
from tests.live.examples import copy_example, npm_install
from tests.readme import block

pytestmark = [
    pytest.mark.browser,
    pytest.mark.node,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("e2e"),  # one copy, installed once
]
PATIENCE = 120.0
"""Seconds for a suite in a browser: some run at once, on few cores."""
LEFT_SECONDS = 2.0
"""Within so many seconds after a suite nothing of its stack is alive."""


class Suite:
    """A command in the example's folder, and every process that comes of it."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.mark = uuid.uuid4().hex
        self.command = command
        environ = clean_environ()
        environ |= {MARK: self.mark, "CI": "1", "PATH": f"{Path(sys.executable).parent}:{environ['PATH']}"}
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> tuple[int, str]:
        """The exit code and all that was printed, once it has ended and nothing of it is left."""
        printed, _ = self._process.communicate(timeout=PATIENCE)
        try:
            wait_until(lambda: not self.left(), timeout=LEFT_SECONDS)
        except AssertionError:
            raise AssertionError(f"{self.command} left behind:\n{describe(self.left())}\n{printed}") from None
        return self._process.returncode, printed

    def left(self) -> list[psutil.Process]:
        return marked(MARK, self.mark)

    def kill(self) -> None:
        self._process.kill()
        for process in self.left():
            process.send_signal(signal.SIGKILL)
        self._process.communicate()


SuiteStarter = Callable[..., Suite]


@pytest.fixture(scope="module")
def e2e(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, with what it needs from npm."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    folder = copy_example("e2e", tmp_path_factory.mktemp("e2e"))
    npm_install(folder)
    return folder


@pytest.fixture
def start(e2e: Path) -> Iterator[SuiteStarter]:
    suites: list[Suite] = []

    def start(*command: str) -> Suite:
        suites.append(Suite(e2e, *command))
        return suites[-1]

    yield start
    for suite in suites:
        suite.kill()


def workflow() -> list[str]:
    """The steps of README's workflow that run something."""
    steps = yaml.load(block("CI (GitHub Actions)", "yaml"), yaml.BaseLoader)["jobs"]["e2e"]["steps"]
    return [step["run"] for step in steps if "run" in step]


def test_playwright_starts_the_stack_and_ends_it(e2e: Path, start: SuiteStarter) -> None:
    code, printed = start("npx", "playwright", "test").end()
    assert (code, "2 passed" in printed) == (0, True), printed
    assert env_files(e2e) == {}


def test_a_stack_that_playwright_kills_leaves_nothing_behind(e2e: Path, start: SuiteStarter) -> None:
    """Without ``gracefulShutdown`` Playwright sends SIGKILL to everything that it has started."""
    config = (e2e / "playwright.config.ts").read_text()
    rude, found = re.subn(r"\n *gracefulShutdown: .*", "", config)
    assert found == 1
    (e2e / "rude.config.ts").write_text(rude)
    code, printed = start("npx", "playwright", "test", "--config=rude.config.ts", "--grep=shows up").end()
    assert (code, "1 passed" in printed) == (0, True), printed
    assert list(env_files(e2e)) == [".env"], "it has not been killed"
    code, _ = start("devrun", "status").end()
    assert code == 3
    assert env_files(e2e) == {}


def test_suites_run_at_once_beside_a_stack_that_is_up(e2e: Path, up: StackStarter, start: SuiteStarter) -> None:
    stack = up(e2e)
    stack.wait_ready()
    code, printed = start("npx", "playwright", "test").end()
    assert code == 1
    assert "e2e is already up in" in printed and stack.url("web") in printed

    steps = [step for step in workflow() if "install" not in step]
    assert len(steps) == 3
    at_once = {
        **{start(*shlex.split(step)): "no mistakes" if "check" in step else "2 passed" for step in steps},
        start("pytest", "-k", "the_page_comes"): "1 passed",
        start("devrun", "exec", "--", "npx", "playwright", "test", "--grep=the page comes"): "1 passed",
    }
    for suite, expected in at_once.items():
        code, printed = suite.end()
        assert (code, expected in printed) == (0, True), printed
    assert stack.get("api", "/notes").json() == [{"text": "water the plants"}], "only `exec` has met this stack"
    assert stack.stop() == 0

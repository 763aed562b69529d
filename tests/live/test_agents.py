"""README's page for coding agents, followed to the letter: each of its commands, in its order, with what it says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder
from tests.driver import clean_environ
from tests.live.apps import TOML, answering
from tests.live.examples import edit, fetch, get
from tests.readme import block, commands

FILES = {
    "devrun.toml": TOML,
    "main.py": answering("text()", "from words import text"),
    "words.py": "def text():\n    return 'good morning'\n",
    "tests/test_api.py": """
        import os, urllib.request

        def test_it_answers():
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            assert opener.open(os.environ["API_URL"]).read() == b"good evening"
        """,
    "tools/fill.py": "import os; print(os.environ['API_URL'])\n",
}


class Agent:
    """Takes the commands of the page one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = commands(block("Coding agents", "markdown"))
        self.last = ""

    def next(self, expected: str) -> subprocess.CompletedProcess[str]:
        """Run the next command of the page, which must be this one."""
        self.last = self.page.pop(0)
        assert self.last.startswith(expected)
        return self.run(self.last)

    def again(self) -> subprocess.CompletedProcess[str]:
        return self.run(self.last)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        environ = clean_environ()
        environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
        return subprocess.run(
            shlex.split(command), cwd=self.folder, env=environ, capture_output=True, text=True, timeout=60
        )


@pytest.fixture
def agent(project: ProjectBuilder) -> Iterator[Agent]:
    agent = Agent(project(FILES))
    yield agent
    agent.run("devrun down")


@pytest.mark.timeout(180)
def test_an_agent_can_follow_the_page(agent: Agent) -> None:
    words, config = agent.folder / "words.py", agent.folder / "devrun.toml"

    assert agent.next("devrun up -d").returncode == 0
    assert agent.again().returncode == 4
    apps = json.loads(agent.next("devrun status --json").stdout)["apps"]
    assert [(app["name"], app["state"], app["why"], app["trouble"]) for app in apps] == [("api", "ready", "", None)]
    url = agent.next("devrun url api").stdout.strip()
    assert (url, fetch(url)) == (apps[0]["url"], "good morning")

    edit(words, "text():", "text(:")
    broken = agent.next("devrun wait --or-broken --timeout 30")
    assert broken.returncode == 1
    assert "api is broken: words.py:1: SyntaxError" in broken.stderr and "def text(:" in broken.stderr
    status = json.loads(agent.run("devrun status --json").stdout)["apps"][0]
    assert status["trouble"]["text"].strip() in broken.stderr
    edit(words, "text(:", "text():")
    assert agent.again().returncode == 0
    edit(words, "'good morning'", "1 / 0")
    assert (agent.again().returncode, get(url).status_code) == (0, 500)
    assert "ZeroDivisionError" in agent.next("devrun logs api -n 50").stdout
    edit(words, "1 / 0", "'good evening'")
    assert agent.run("devrun wait --or-broken --timeout 30").returncode == 0
    assert fetch(url) == "good evening"

    edit(config, "app =", "apps =")
    mistakes = agent.next("devrun check")
    assert mistakes.returncode == 2 and re.search(r"^devrun\.toml:2: .*apps\.api", mistakes.stderr, re.MULTILINE)
    assert agent.run("devrun wait").returncode == 0 and fetch(url) == "good evening"
    edit(config, "apps =", "app =")

    tests = agent.next("devrun run -- pytest")
    assert (tests.returncode, "1 passed" in tests.stdout) == (0, True), tests.stdout + tests.stderr
    edit(words, "good evening", "good night")
    assert agent.again().returncode == 1
    assert agent.next("devrun exec -- python tools/fill.py").stdout.strip() == url

    assert agent.next("devrun down").returncode == 0
    assert str(agent.folder) not in agent.next("devrun status --all").stdout
    assert agent.run("devrun wait --or-broken --timeout 30").returncode == 3
    assert agent.page == []


def test_what_cannot_be_imported_is_told_at_the_start(agent: Agent) -> None:
    edit(agent.folder / "words.py", "text():", "text(:")
    begun = agent.next("devrun up -d")
    assert begun.returncode == 1 and "words.py:1: SyntaxError" in begun.stderr
    tests = agent.run("devrun run -- pytest")
    assert tests.returncode == 1 and "words.py" in tests.stderr and "passed" not in tests.stdout
    edit(agent.folder / "words.py", "text(:", "text():")
    assert agent.run("devrun wait --or-broken --timeout 30").returncode == 0


def test_agents_in_two_worktrees_do_not_meet(agent: Agent, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-qm", "x"],
        ["worktree", "add", "-q", f"{tmp_path}/basket"],
    ):
        subprocess.run([*git, *words], cwd=agent.folder, env=clean_environ(), check=True, timeout=20)
    other = Agent(tmp_path / "basket")
    try:
        assert (agent.run("devrun up -d").returncode, other.run("devrun up -d").returncode) == (0, 0)
        edit(other.folder / "words.py", "morning", "evening")
        assert other.run("devrun wait --or-broken --timeout 30").returncode == 0
        assert fetch(other.run("devrun url api").stdout.strip()) == "good evening"
        assert fetch(agent.run("devrun url api").stdout.strip()) == "good morning"
        rows = agent.run("devrun status --all").stdout.splitlines()
        assert sum(str(folder) in row for row in rows for folder in (agent.folder, other.folder)) == 2
        assert any(" basket " in row and row.endswith("/basket") for row in rows)
    finally:
        other.run("devrun down")
    assert agent.run("devrun wait").returncode == 0

"""The commands of the stack, by name, from another shell: restart, stop, start, wait, logs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil

from devrun.control.client import ask
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import clean_environ, wait_until
from tests.live.apps import TOML, answering

TICKER = """
import os, time
print("begun", os.getpid(), flush=True)
time.sleep(600)
"""
CONFIG = f"""
{TOML}
[commands.worker]
run = ["{sys.executable}", "worker.py"]
[commands.once]
run = ["{sys.executable}", "-c", "print('done')"]
"""


def devrun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "devrun", *words]
    return subprocess.run(argv, cwd=folder, env=clean_environ(), capture_output=True, text=True, timeout=60)


def rows(folder: Path) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(devrun(folder, "status", "--json").stdout)["apps"]}


def test_commands_of_the_stack_are_controlled_by_name(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": CONFIG, "main.py": answering("'x'"), "worker.py": TICKER})
    stack = up(folder)
    stack.wait_ready()
    before = rows(folder)
    assert (before["worker"]["state"], before["once"]["state"]) == ("running", "done")
    assert devrun(folder, "wait").returncode == 0

    done = devrun(folder, "restart", "worker")
    assert (done.returncode, done.stderr) == (0, "")
    after = rows(folder)
    assert after["worker"]["pid"] not in (None, before["worker"]["pid"])
    assert after["api"]["pid"] == before["api"]["pid"]

    assert devrun(folder, "stop", "worker").stdout == "[devrun] stopped worker\n"
    assert rows(folder)["worker"]["state"] == "stopped"
    pid = after["worker"]["pid"]
    assert isinstance(pid, int)
    wait_until(lambda: not psutil.pid_exists(pid), "the command is still there")

    assert devrun(folder, "start", "worker").returncode == 0
    assert rows(folder)["worker"]["state"] == "running"
    assert devrun(folder, "logs", "worker").stdout.count("begun") == 3
    assert "did you mean 'worker'" in devrun(folder, "restart", "worke").stderr


def test_a_restart_of_all_is_one_of_the_apps(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": CONFIG, "main.py": answering("'x'"), "worker.py": TICKER})
    stack = up(folder)
    stack.wait_ready()
    before = rows(folder)
    assert devrun(folder, "restart").returncode == 0
    after = rows(folder)
    assert after["api"]["pid"] != before["api"]["pid"]
    assert after["worker"]["pid"] == before["worker"]["pid"]


def test_a_private_stack_has_its_commands_too(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG, "main.py": answering("'x'"), "worker.py": TICKER})
    done = devrun(folder, "run", "--", sys.executable, "-c", "import os; print(os.environ['API_URL'])")
    assert done.returncode == 0 and done.stdout.startswith("http://127.0.0.1:")
    failing = CONFIG.replace("print('done')", "raise SystemExit(7)")
    (folder / "devrun.toml").write_text(failing)
    done = devrun(folder, "run", "--", sys.executable, "-c", "print('never')")
    assert (done.returncode, done.stdout) == (1, "")
    assert "once ended with exit code 7" in done.stderr


def test_a_wait_is_for_what_was_saved_before_it(project: ProjectBuilder, up: StackStarter) -> None:
    """Asked at once, without the start of an interpreter in between, and of a watcher that hears late of saves."""
    folder = project({"devrun.toml": TOML, "main.py": answering("'0'")})
    stack = up(folder, env={"WATCHFILES_FORCE_POLLING": "1"})
    stack.wait_ready()
    for count in range(1, 4):
        assert state_after(folder, "main.py", "def broken(:") == ["broken"]
        assert state_after(folder, "main.py", answering(f"'{count}'")) == ["ready"]
        assert stack.get("api").text == f"{count}"
    more = TOML + '[apps.more]\napp = "main:app"\n'
    assert state_after(folder, "devrun.toml", more) == ["ready", "ready"]


def state_after(folder: Path, name: str, text: str) -> list[str]:
    (folder / name).write_text(text)
    return [row["state"] for row in ask(str(folder / ".devrun"), "wait", {"or_broken": True})["apps"]]

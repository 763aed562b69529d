"""``devrun env``, and what ``check`` and ``up`` say of values and names that some reader of an env file misreads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from devrun.outputs.block import begin, end
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import clean_environ
from tests.live.apps import TOML, answering

GOOD = {"devrun.toml": TOML, "main.py": answering("'x'"), "sub/notes.txt": ""}


def devrun(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devrun", *args]
    return subprocess.run(command, cwd=folder, env=clean_environ(), capture_output=True, text=True, timeout=30)


def test_the_variables_of_the_running_stack(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    url = stack.url("api")
    host, port = "127.0.0.1", url.rpartition(":")[2]
    done = devrun(stack.folder / "sub", "env")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"API_URL={url}\nAPI_HOST={host}\nAPI_PORT={port}\n"
    block = (stack.folder / ".env").read_text()
    assert block == f"{begin().decode()}\n{done.stdout}{end().decode()}\n"
    done = devrun(stack.folder, "env", "--format", "json", "--prefix", "VITE_")
    assert json.loads(done.stdout) == {"VITE_API_URL": url, "VITE_API_HOST": host, "VITE_API_PORT": port}


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        (["sh", "-c"], 'eval "$("$0" -m devrun env --format shell)" && printf %s "$API_URL"'),
        (["fish", "-c"], "$argv[1] -m devrun env --format fish | source; printf %s $API_URL"),
        (["fish", "-c"], "eval ($argv[1] -m devrun env --format fish); printf %s $API_URL"),
    ],
)
def test_a_shell_takes_them(project: ProjectBuilder, up: StackStarter, shell: Sequence[str], script: str) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    stack = up(project(GOOD))
    stack.wait_ready()
    command = [*shell, script, sys.executable]
    done = subprocess.run(
        command, cwd=stack.folder, env=clean_environ(), capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == stack.url("api")


def test_without_a_stack_and_with_wrong_options(project: ProjectBuilder) -> None:
    folder = project(GOOD)
    done = devrun(folder, "env")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no stack is running" in done.stderr
    done = devrun(folder, "env", "--prefix", "A-")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--prefix 'A-' cannot begin a name" in done.stderr
    done = devrun(folder, "env", "--format", "csh")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'csh' is not one of" in done.stderr


def test_the_help_has_an_example(project: ProjectBuilder) -> None:
    done = devrun(project(GOOD), "env", "--help")
    assert done.returncode == 0
    assert 'eval "$(devrun env --format shell)"' in done.stdout


# --- what an env file cannot hold -------------------------------------------------------------------------------------

REFUSED = """
[[dotenv]]
path = "web.env"
vars.FINE = "${api.url}/v1 and more"
vars.SECRET = "cost$$HOME"
"""
SAID = (
    "dotenv.0.vars.SECRET: the value has a dollar sign before a name at character 5, which is replaced by another "
    "variable in dotenv-expand, vite, next and bun; expected a value that all who read the file read alike, or `for` "
    "without those who do not\n"
)


@pytest.mark.parametrize("command", ["check", "up"])
def test_a_value_that_readers_disagree_on_is_refused_before_anything_starts(
    project: ProjectBuilder, command: str
) -> None:
    folder = project({**GOOD, "devrun.toml": TOML + REFUSED})
    line = (folder / "devrun.toml").read_text().splitlines().index('vars.SECRET = "cost$$HOME"') + 1
    done = devrun(folder, command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"devrun.toml:{line}: {SAID}"
    assert not (folder / "web.env").exists() and not (folder / ".devrun").exists()


def test_fewer_readers_allow_it(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({**GOOD, "devrun.toml": TOML + REFUSED + 'for = ["vite", "next"]\n'}))
    stack.wait_ready()
    lines = (stack.folder / "web.env").read_text().splitlines()
    assert lines[-3:-1] == [f"FINE='{stack.variables('web.env')['API_URL']}/v1 and more'", 'SECRET="cost\\$HOME"']


def test_a_name_that_a_reader_obeys_is_told_once(project: ProjectBuilder, up: StackStarter) -> None:
    toml = TOML + '[[dotenv]]\nvars.NODE_OPTIONS = "--trace-warnings"\nfor = ["vite", "bash"]\n'
    folder = project({**GOOD, "devrun.toml": toml})
    line = (folder / "devrun.toml").read_text().splitlines().index('vars.NODE_OPTIONS = "--trace-warnings"') + 1
    told = f"devrun.toml:{line}: dotenv.0.vars.NODE_OPTIONS: is obeyed in vite"
    done = devrun(folder, "check")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "devrun.toml: no mistakes: 1 app\n",
        f"warning: {told}\n",
    )
    stack = up(folder)
    stack.wait_ready()
    assert [text for text in [*stack.lines, *stack.errors] if "NODE_OPTIONS" in text] == [f"[devrun] warning: {told}"]

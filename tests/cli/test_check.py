from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder
from tests.driver import clean_environ

GOOD = """
    [apps.api]
    app = "main:app"
    [apps.web]
    app = "main:app"
"""
BAD = """
    [apps.api]
    prot = 8000
    depends_on = ["auth"]
    [apps.auht]
    app = "main"
"""


def devrun(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devrun", *args]
    return subprocess.run(command, cwd=folder, env=clean_environ(), capture_output=True, text=True, timeout=30)


def test_a_file_without_mistakes(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": GOOD, "sub/one.toml": "[apps.api]\napp = 'main:app'\n"})
    done = devrun(folder / "sub", "check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "devrun.toml: no mistakes: 2 apps\n", "")
    done = devrun(folder, "check", "--config", "sub/one.toml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "one.toml: no mistakes: 1 app\n", "")
    assert sorted(os.listdir(folder)) == ["devrun.toml", "sub"]


def test_all_mistakes_on_standard_error(project: ProjectBuilder) -> None:
    done = devrun(project({"devrun.toml": BAD}), "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.removeprefix("error: ").splitlines() == [
        "devrun.toml:1: apps.api.app: missing; expected an import string module:attribute, such as 'shop.main:app'",
        "devrun.toml:2: apps.api.prot: unknown key; expected a key of an app (did you mean 'port'?)",
        "devrun.toml:3: apps.api.depends_on.0: there is no app or command 'auth'; "
        "expected the name of an app or command "
        "(did you mean 'auht'?)",
        "devrun.toml:5: apps.auht.app: 'main'; expected an import string module:attribute, such as 'shop.main:app'",
    ]


def test_what_the_file_names_must_be_there(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": "[defaults]\ncwd = 'nowhere'\n[apps.api]\napp = 'main:app'\npython = './none'\n"})
    done = devrun(folder, "check")
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.removeprefix("error: ").splitlines()
    assert first.startswith("devrun.toml:2: ") and "nowhere" in first
    assert second.startswith("devrun.toml:5: apps.api.python: ") and "./none" in second


def test_no_file_and_no_regular_file(tmp_path: Path) -> None:
    done = devrun(tmp_path, "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no devrun.toml" in done.stderr
    (tmp_path / "devrun.toml").mkdir()
    done = devrun(tmp_path, "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is a folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["check", "up"])
def test_the_working_directory_is_gone(tmp_path: Path, command: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$0" "$@"', sys.executable, "-m", "devrun", command],
        cwd=gone,
        env=clean_environ(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-2:] == [
        "error: the working directory is gone: No such file or directory",
        "hint: go to a folder that exists",
    ]
    assert "Traceback" not in done.stderr

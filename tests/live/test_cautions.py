"""What a person is told about the env files, by real repositories and a real ``devrun up``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devrun.cautions import cautions, in_git
from devrun.plan import EnvFilePlan
from devrun.project import Project
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import clean_environ, wait_until
from tests.live.apps import TOML, answering

ENVIRON = clean_environ()
FILES = {"devrun.toml": TOML, "main.py": answering("'x'")}


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init")
    (tmp_path / ".env").touch()
    return tmp_path


def asked(folder: Path, **environ: str) -> list[str]:
    return list(in_git(".env", folder / ".env", {**ENVIRON, **environ}))


def test_git_is_asked_whether_it_would_commit_the_file(repository: Path) -> None:
    assert asked(repository) == [".env is not ignored by git: add it to .gitignore"]
    git(repository, "add", ".env")
    (tracked,) = asked(repository)
    assert tracked.startswith(".env is tracked by git") and tracked.endswith("git rm --cached .env")
    (repository / ".gitignore").write_text(".env\n")
    assert asked(repository) == [tracked]
    git(repository, "rm", "--cached", ".env")
    assert asked(repository) == []


def test_a_file_that_is_not_there_yet_is_asked_about_too(repository: Path) -> None:
    (repository / ".env").unlink()
    assert len(asked(repository)) == 1


def test_git_that_started_devrun_does_not_name_the_repository(repository: Path) -> None:
    assert len(asked(repository, GIT_DIR="/nowhere", GIT_WORK_TREE="/nowhere", GIT_INDEX_FILE="/nowhere/index")) == 1


def test_without_repository_or_git_nothing_is_said(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "plain").mkdir()
    outside = {**ENVIRON, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    assert list(in_git(".env", tmp_path / "plain" / ".env", outside)) == []
    assert list(in_git(".env", tmp_path / "gone" / ".env", ENVIRON)) == []
    (tmp_path / "bin").mkdir()
    assert asked(repository, PATH=str(tmp_path / "bin")) == []


def test_git_that_does_not_answer_is_not_waited_for(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devrun.cautions.PATIENCE", 0.2)
    (repository / "bin").mkdir()
    (repository / "bin" / "git").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (repository / "bin" / "git").chmod(0o755)
    assert asked(repository, PATH=str(repository / "bin")) == []


def test_all_that_is_to_know_in_the_order_of_the_files(repository: Path) -> None:
    (repository / "web").mkdir()
    (repository / ".env").write_bytes(b"A=1\nAPI_PORT=8000\n")
    (repository / "web" / ".env.development").write_bytes(b"VITE_API_PORT=8000")
    (repository / ".gitignore").write_text(".env\n")
    project = Project(repository, repository / "devrun.toml")
    wanted = [
        (EnvFilePlan(repository / ".env", "", None, {}, False), {"API_PORT": "1"}),
        (EnvFilePlan(repository / "web" / ".env.local", "VITE_", None, {}, False), {"VITE_API_PORT": "1"}),
    ]
    assert list(cautions(wanted, project, ENVIRON, {"web": {"VITE_API_PORT": "2"}})) == [
        ".env:2: API_PORT is set here, too, below devrun's lines: most programs take this one",
        "web/.env.development:1: VITE_API_PORT is set here, too, and wins over web/.env.local",
        "web: VITE_API_PORT is in its environment, too, with another value, and wins over web/.env.local",
        "web/.env.local is not ignored by git: add it to .gitignore",
    ]


def test_up_tells_each_once(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({**FILES, ".env": b"API_URL=mine", ".env.local": b"\nAPI_PORT=1\n"})
    git(folder, "init")
    running = up(folder)
    running.wait_line("not ignored by git")
    told = [line for line in running.lines if "warning" in line]
    assert told == [
        "[devrun] warning: .env:6: API_URL is set here, too, below devrun's lines: most programs take this one",
        "[devrun] warning: .env.local:2: API_PORT is set here, too, and wins over .env",
        "[devrun] warning: .env is not ignored by git: add it to .gitignore",
    ]


def test_up_does_not_wait_for_git(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({**FILES, "bin/git": "#!/bin/sh\ntouch asked\nexec /bin/sleep 60\n"})
    (folder / "bin" / "git").chmod(0o755)
    running = up(folder, env={"PATH": f"{folder}/bin:{os.environ['PATH']}"})
    wait_until((folder / "asked").exists)
    running.wait_line("stack ready")
    assert running.stop() == 0


def test_check_tells_the_same(project: ProjectBuilder) -> None:
    folder = project({**FILES, ".env": b"API_URL=mine"})
    git(folder, "init")
    done = subprocess.run(
        [sys.executable, "-m", "devrun", "check"], cwd=folder, env=ENVIRON, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "devrun.toml: no mistakes: 1 app\n")
    assert done.stderr.splitlines() == [
        "warning: .env:1: API_URL is set here, too, below devrun's lines: most programs take this one",
        "warning: .env is not ignored by git: add it to .gitignore",
    ]


def test_a_command_that_has_another_value_in_its_environment_is_told(project: ProjectBuilder, up: StackStarter) -> None:
    toml = f"""
    {TOML}
    [commands.web]
    run = "sleep 60"
    env = {{ API_URL = "http://elsewhere" }}
    [commands.worker]
    run = "sleep 60"
    """
    folder = project({**FILES, "devrun.toml": toml})
    told = "web: API_URL is in its environment, too, with another value, and wins over .env"
    done = subprocess.run(
        [sys.executable, "-m", "devrun", "check"], cwd=folder, env=ENVIRON, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.splitlines()) == (0, [f"warning: {told}"])
    stack = up(folder)
    stack.wait_line(re.escape(f"[devrun] warning: {told}"))
    stack.wait_ready()
    assert [line for line in stack.lines if "in its environment" in line] == [f"[devrun] warning: {told}"]

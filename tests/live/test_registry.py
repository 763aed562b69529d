"""The list of a user's stacks: who is in it, and that nobody else's word counts."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devrun.registry import registered, stacks
from devrun.worktree import branch_of
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import clean_environ, write_files
from tests.live.apps import TOML, answering

FILES = {"devrun.toml": TOML, "main.py": answering("'x'")}


def everywhere(runtime: Path, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devrun", "status", "--all", *args],
        cwd=cwd or runtime,
        env={**clean_environ(), "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=30,
    )


def below(folder: Path, runtime: Path) -> list[dict[str, Any]]:
    """The stacks in a folder: others of this user may be up meanwhile."""
    done = everywhere(runtime, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return [stack for stack in json.loads(done.stdout)["stacks"] if stack["folder"].startswith(str(folder))]


def git(folder: Path, *args: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *args],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def test_every_stack_by_folder_and_branch(tmp_path: Path, up: StackStarter) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    main = write_files(tmp_path / "main", FILES)
    git(main, "init", "-b", "trunk")
    git(main, "add", ".")
    git(main, "commit", "-m", "x")
    git(main, "worktree", "add", "-b", "feature/x", str(tmp_path / "other"))
    first, second = (up(tmp_path / name, env={"XDG_RUNTIME_DIR": str(runtime)}) for name in ("main", "other"))
    for stack in (first, second):
        stack.wait_ready()
    found = {stack["folder"]: stack for stack in below(tmp_path, runtime)}
    assert {folder: (stack["branch"], stack["pid"]) for folder, stack in found.items()} == {
        str(main): ("trunk", first.process.pid),
        str(tmp_path / "other"): ("feature/x", second.process.pid),
    }
    assert found[str(main)]["apps"][0]["url"] == first.url("api") and found[str(main)]["stack"] == "main"
    table = everywhere(runtime).stdout.splitlines()
    assert table[0].split() == ["stack", "branch", "apps", "pid", "up", "folder"]
    (line,) = [line for line in table if line.endswith(f"  {main}")]
    assert line.split()[:5] == ["main", "trunk", "1", "ready", str(first.process.pid)]
    (folder,) = runtime.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in folder.iterdir()} == {0o600}
    assert first.stop() == second.stop() == 0
    assert list(folder.iterdir()) == [] == below(tmp_path, runtime)


def test_what_a_killed_launcher_left_is_dropped(tmp_path: Path, project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(FILES)
    stack = up(folder, env={"XDG_RUNTIME_DIR": str(tmp_path)}, check_env_files=False)
    stack.wait_ready()
    assert len(below(folder, tmp_path)) == 1
    stack.kill()
    (entry,) = (tmp_path / "devrun").iterdir()
    assert below(folder, tmp_path) == []
    assert not entry.exists()


def test_a_launcher_that_does_not_answer_is_still_listed(
    tmp_path: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    stack = up(project(FILES), env={"XDG_RUNTIME_DIR": str(tmp_path)})
    stack.wait_ready()
    import signal

    stack.signal(signal.SIGSTOP)
    try:
        (told,) = below(stack.folder, tmp_path)
        assert told["apps"] is None
    finally:
        stack.signal(signal.SIGCONT)


def test_nonsense_in_the_list_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "devrun"
    folder.mkdir(mode=0o700)
    for name, content in {"a": b"\0", "b": b"/nowhere", "c": b"\xff" * 5000, "d": b""}.items():
        (folder / name).write_bytes(content)
    (folder / "e").mkdir()
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert all(not str(found).startswith(str(tmp_path)) for found, _ in stacks(environ))
    assert [path.name for path in folder.iterdir()] == ["e"]


@pytest.mark.parametrize("odd", ["mode", "link", "file"])
def test_a_folder_that_others_could_write_to_is_not_used(tmp_path: Path, odd: str) -> None:
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    folder = tmp_path / "devrun"
    if odd == "mode":
        folder.mkdir()
        folder.chmod(0o777)
    elif odd == "link":
        folder.symlink_to(real)
    else:
        folder.write_text("")
    state = tmp_path / "state"
    with registered(state, {"XDG_RUNTIME_DIR": str(tmp_path)}):
        assert odd == "file" or list(folder.iterdir()) == []
        if os.path.isdir(f"/tmp/devrun-{os.getuid()}"):
            assert any(path.read_bytes() == os.fsencode(state) for path in Path(f"/tmp/devrun-{os.getuid()}").iterdir())


def test_all_goes_with_json_alone(tmp_path: Path) -> None:
    done = everywhere(tmp_path, "-v")
    assert (done.returncode, done.stdout) == (2, "") and "--all goes with --json alone" in done.stderr


def test_branches(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for head, branch in [
        ("ref: refs/heads/feature/x\n", "feature/x"),
        ("0123456789abcdef\n", "01234567"),
        ("ref: refs/remotes/x\n", None),
        ("", None),
    ]:
        (tmp_path / ".git" / "HEAD").write_text(head)
        assert branch_of(tmp_path / "deep" / "er") == branch
    (tmp_path / "deep" / ".git").write_text("gitdir: ../elsewhere\n")
    assert branch_of(tmp_path / "deep" / "er") is None
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "HEAD").write_text("ref: refs/heads/other\n")
    assert branch_of(tmp_path / "deep" / "er") == "other"

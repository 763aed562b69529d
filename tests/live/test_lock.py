from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from devrun.envfiles import EnvFiles
from devrun.errors import AlreadyRunningError, FileError
from devrun.lock import open_state, repair, running
from devrun.lookup import try_lock
from devrun.plan import Endpoint, EnvFilePlan
from devrun.project import Project

ENDPOINT = Endpoint("api", "127.0.0.1", 41507)
VARIABLES = {"API_URL": ENDPOINT.url}

# Holds the lock until standard input ends; "child" also leaves a child of its own behind.
HOLDER = """
import subprocess, sys
from pathlib import Path
from devrun.envfiles import EnvFiles
from devrun.errors import AlreadyRunningError
from devrun.lock import open_state
from devrun.plan import Endpoint, EnvFilePlan
from devrun.project import Project
folder = Path(sys.argv[1])
project = Project(folder, folder / "devrun.toml")
print("about to try", flush=True)
sys.stdin.readline()
try:
    with open_state(project) as state:
        if "silent" not in sys.argv:
            state.save(stack="a1", name="shop", endpoints=[Endpoint("api", "127.0.0.1", 41507)])
            env = EnvFiles(state)
            env.install([(EnvFilePlan(folder / ".env", "", None, {}, False), {"API_URL": "http://127.0.0.1:41507"})])
        if "child" in sys.argv:
            child = subprocess.Popen(["sleep", "60"], close_fds=False)
            print(child.pid, flush=True)
        print("holds", flush=True)
        sys.stdin.readline()
        if "silent" not in sys.argv:
            env.remove()
            state.clear()
except AlreadyRunningError as error:
    print("refused", error.exit_code, error.message, flush=True)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Project(folder, folder / "devrun.toml")


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(project: Project, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(project.folder), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert line(process.stdout) == "about to try"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().rstrip("\n")


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def holding(start: Start, project: Project, *words: str) -> subprocess.Popen[str]:
    process = start(project, *words)
    go_on(process)
    assert line(process.stdout) == "holds"
    return process


def install(project: Project, env: Path, keep: bool = False) -> None:
    """Install and go away without clearing up, as a killed launcher does."""
    with open_state(project) as state:
        state.save(stack="a1", name="shop", endpoints=[ENDPOINT])
        EnvFiles(state).install([(EnvFilePlan(env, "", None, {}, keep), VARIABLES)])


def test_the_folder_of_the_state(shop: Project) -> None:
    with open_state(shop) as state:
        assert stat.S_IMODE(shop.state_dir.stat().st_mode) == 0o700
        assert (shop.state_dir / ".gitignore").read_text() == "*\n"
        state.save(stack="a1", name="shop", endpoints=[ENDPOINT])
        assert stat.S_IMODE(shop.state_file.stat().st_mode) == 0o600
        record = running(shop)
        assert record is not None
        assert (record.pid, record.name, record.endpoints) == (os.getpid(), "shop", (ENDPOINT,))
        assert abs(record.started - time.time()) < 60
        state.clear()
        assert not shop.state_file.exists()
    assert running(shop) is None
    shop.state_dir.chmod(0o755)
    (shop.state_dir / ".gitignore").write_text("mine\n")
    with open_state(shop):
        assert stat.S_IMODE(shop.state_dir.stat().st_mode) == 0o700
        assert (shop.state_dir / ".gitignore").read_text() == "mine\n"


def test_git_sees_nothing_of_it(shop: Project) -> None:
    subprocess.run(["git", "init", "-q", str(shop.folder)], check=True)
    install(shop, shop.folder / ".env")
    status = ["git", "-C", str(shop.folder), "status", "--porcelain"]
    assert subprocess.run(status, capture_output=True, check=True).stdout == b"?? .env\n"


def test_the_second_is_refused_with_pid_and_urls(shop: Project, start: Start) -> None:
    process = holding(start, shop)
    before = time.monotonic()
    with pytest.raises(AlreadyRunningError) as caught, open_state(shop, patience=60):
        pass
    assert time.monotonic() - before < 30
    assert f"pid {process.pid}" in caught.value.message
    assert "api http://127.0.0.1:41507" in caught.value.message
    assert caught.value.exit_code == 4
    env = (shop.folder / ".env").read_bytes()
    assert repair(shop) == () and (shop.folder / ".env").read_bytes() == env
    record = running(shop)
    assert record is not None and record.pid == process.pid
    go_on(process)
    assert process.wait(30) == 0
    with open_state(shop):
        assert not (shop.folder / ".env").exists()


def test_five_hundred_urls_are_not_all_told(shop: Project) -> None:
    with open_state(shop) as state:
        state.save(stack="a1", name="shop", endpoints=[Endpoint(f"a{n}", "127.0.0.1", 5000 + n) for n in range(500)])
        with pytest.raises(AlreadyRunningError, match=r"a9 http://127\.0\.0\.1:5009, and 490 more\n"), open_state(shop):
            pass


def test_a_launcher_that_only_starts(shop: Project, start: Start) -> None:
    holding(start, shop, "silent")
    with pytest.raises(AlreadyRunningError, match="starting or stopping"), open_state(shop, patience=0.1):
        pass


def test_a_command_that_repairs_does_not_keep_a_launcher_out(shop: Project, start: Start) -> None:
    process = holding(start, shop, "silent")
    go_on(process)
    with open_state(shop, patience=30) as state:
        assert state.env_files == ()


def test_a_state_of_an_older_launcher_is_not_believed(shop: Project, start: Start) -> None:
    install(shop, shop.folder / ".env")
    stale = shop.state_file.read_text()
    process = holding(start, shop, "silent")
    shop.state_file.write_text(stale.replace(f"pid = {os.getpid()}", "pid = 4194304000"))
    go_on(process)
    with open_state(shop, patience=30):
        assert not shop.state_file.exists()


def test_of_many_at_once_one_gets_it(shop: Project, start: Start) -> None:
    processes = [start(shop) for _ in range(6)]
    for process in processes:
        go_on(process)
    words = [line(process.stdout) for process in processes]
    assert words.count("holds") == 1
    winner = processes[words.index("holds")]
    assert sum(f"pid {winner.pid}" in word for word in words if word.startswith("refused 4 shop is already up")) == 5
    go_on(winner)
    assert winner.wait(30) == 0
    assert not (shop.folder / ".env").exists()


def test_a_killed_launcher_frees_the_lock_though_its_children_live(shop: Project, start: Start) -> None:
    process = start(shop, "child")
    go_on(process)
    child = int(line(process.stdout))
    try:
        assert line(process.stdout) == "holds"
        assert (shop.folder / ".env").exists()
        process.kill()
        process.wait()
        assert running(shop) is None
        assert repair(shop) == ()
        assert not (shop.folder / ".env").exists()
        assert not shop.state_file.exists()
    finally:
        os.kill(child, 9)


def test_a_pid_that_came_again_does_not_matter(shop: Project) -> None:
    install(shop, shop.folder / ".env")
    assert f"pid = {os.getpid()}" in shop.state_file.read_text()
    assert repair(shop) == ()
    assert not (shop.folder / ".env").exists()


def test_a_copy_repairs_itself_and_leaves_the_original_alone(shop: Project, start: Start, tmp_path: Path) -> None:
    (shop.folder / ".env").write_bytes(b"A=1")
    process = holding(start, shop)
    env = (shop.folder / ".env").read_bytes()
    copied = tmp_path / "copy"
    shutil.copytree(shop.folder, copied)
    copy = Project(copied, copied / "devrun.toml")
    assert running(copy) is None
    assert repair(copy) == ()
    assert (copied / ".env").read_bytes() == b"A=1"
    assert (shop.folder / ".env").read_bytes() == env != b"A=1"
    with open_state(copy):
        assert running(shop) is not None
    go_on(process)
    assert process.wait(30) == 0
    assert (shop.folder / ".env").read_bytes() == b"A=1"


def test_a_moved_project_is_repaired(shop: Project, tmp_path: Path) -> None:
    install(shop, shop.folder / ".env")
    moved = tmp_path / "moved"
    shop.folder.rename(moved)
    assert repair(Project(moved, moved / "devrun.toml")) == ()
    assert sorted(os.listdir(moved)) == [".devrun"]


def test_the_folder_of_the_state_is_deleted_while_one_waits(shop: Project, start: Start) -> None:
    holding(start, shop, "silent")
    shutil.rmtree(shop.state_dir)
    assert repair(shop) == ()
    assert running(shop) is None
    with open_state(shop):
        pass


@pytest.mark.parametrize("content", [b"", b"\xff", b"version = 9\n", b"pid = 1"])
def test_a_damaged_state_is_dropped(shop: Project, content: bytes) -> None:
    shop.state_dir.mkdir()
    shop.state_file.write_bytes(content)
    assert running(shop) is None
    assert repair(shop) == ()
    assert not shop.state_file.exists()


def test_what_cannot_be_repaired_is_said_and_tried_again(shop: Project) -> None:
    env = shop.folder / ".env"
    env.write_bytes(b"A=1")
    install(shop, env)
    env.chmod(0o444)
    (complaint,) = repair(shop)
    assert str(env) in complaint and "read-only" in complaint
    with open_state(shop) as state:
        assert [file.path for file in state.env_files] == [env]
        state.save(stack="a2", name="shop", endpoints=[])
        state.clear()
    env.chmod(0o644)
    assert repair(shop) == ()
    assert env.read_bytes() == b"A=1" and not shop.state_file.exists()


def make_file(path: Path) -> None:
    path.touch()


def make_dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [make_file, make_dangling])
def test_a_folder_that_cannot_be_made(shop: Project, make: Callable[[Path], None]) -> None:
    make(shop.state_dir)
    with pytest.raises(FileError, match=r"cannot make the folder .*/\.devrun"), open_state(shop):
        pass
    assert repair(shop) == ()
    assert running(shop) is None


def test_a_lock_that_is_a_folder(shop: Project) -> None:
    shop.lock_file.mkdir(parents=True)
    with pytest.raises(FileError, match="cannot lock"), open_state(shop):
        pass
    shop.state_file.touch()
    assert repair(shop) == ()


def test_a_state_that_is_a_folder(shop: Project) -> None:
    shop.state_file.mkdir(parents=True)
    assert repair(shop) == ()
    with open_state(shop) as state, pytest.raises(FileError, match="it is a folder"):
        state.save(stack="a1", name="shop", endpoints=[])


def test_a_project_that_has_never_run_is_not_touched(shop: Project) -> None:
    assert repair(shop) == ()
    assert running(shop) is None
    assert os.listdir(shop.folder) == []


@pytest.mark.parametrize("name", ["with space", "quo'te\"s", "new\nline", "x" * 200, "é日", "raw\udcff"])
def test_any_folder_name_works(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    project = Project(folder, folder / "devrun.toml")
    install(project, folder / ".env")
    with pytest.raises(AlreadyRunningError) as caught, open_state(project) as state:
        state.save(stack="a1", name=name, endpoints=[ENDPOINT])
        with open_state(project):
            pass
    caught.value.message.encode()
    assert "\n" not in caught.value.message
    assert repair(project) == ()
    assert os.listdir(folder) == [".devrun"]


def test_those_who_only_look_do_not_see_each_other(shop: Project, start: Start) -> None:
    """Else the state of a killed launcher would seem to be that of a running one to whoever looks at the same time."""
    holder = holding(start, shop)
    holder.kill()
    holder.wait()
    looking = try_lock(str(shop.lock_file), shared=True)
    assert looking is not None and shop.state_file.exists()
    try:
        assert running(shop) is None
    finally:
        os.close(looking)

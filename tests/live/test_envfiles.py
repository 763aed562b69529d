from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devrun.envfiles import EnvFiles, Followed
from devrun.errors import DevrunError, FileError
from devrun.lock import State, open_state, repair
from devrun.outputs import envfile
from devrun.plan import EnvFilePlan
from devrun.project import Project

VARIABLES = {"API_URL": "http://127.0.0.1:41507"}
BLOCK = envfile.render(VARIABLES)


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Project(folder, folder / "devrun.toml")


@pytest.fixture
def state(shop: Project) -> Iterator[State]:
    with open_state(shop) as opened:
        opened.save(stack="a1", name="shop", endpoints=[])
        yield opened


def plan(path: Path, keep: bool = False) -> EnvFilePlan:
    return EnvFilePlan(path, "", None, {}, keep)


def test_several_files_are_written_and_restored(state: State, shop: Project) -> None:
    (shop.folder / "web").mkdir()
    (shop.folder / "web" / ".env.local").write_bytes(b"SECRET=1")
    paths = [shop.folder / ".env", shop.folder / "web" / ".env.local", shop.folder.parent / "outside.env"]
    env = EnvFiles(state)
    assert env.install([(plan(path), VARIABLES) for path in paths]) == [".env", "web/.env.local", "../outside.env"]
    assert [path.read_bytes() for path in paths] == [BLOCK, BLOCK + b"SECRET=1", BLOCK]
    env.remove()
    assert [path.exists() for path in paths] == [False, True, False]
    assert paths[1].read_bytes() == b"SECRET=1"
    env.remove()
    state.clear()
    assert not shop.state_file.exists()


def test_only_what_changed_is_told(state: State, shop: Project) -> None:
    (shop.folder / ".env").write_bytes(BLOCK)
    assert EnvFiles(state).install([(plan(shop.folder / ".env"), VARIABLES)]) == []


def test_a_kept_file_keeps_its_block(shop: Project) -> None:
    path = shop.folder / ".env"
    for port in ("1", "2"):
        with open_state(shop) as state:
            state.save(stack="a1", name="shop", endpoints=[])
            env = EnvFiles(state)
            env.install([(plan(path, keep=True), {"API_PORT": port})])
            env.remove()
            state.clear()
        assert path.read_bytes() == envfile.render({"API_PORT": port})
        assert not shop.state_file.exists()
    with open_state(shop) as state:
        state.save(stack="a1", name="shop", endpoints=[])
        EnvFiles(state).install([(plan(path, keep=True), VARIABLES)])
    assert repair(shop) == ()
    assert path.read_bytes() == BLOCK


@pytest.mark.parametrize("keep", [False, True])
def test_when_the_second_fails_the_first_is_restored(state: State, shop: Project, keep: bool) -> None:
    first, second = shop.folder / ".env", shop.folder / "second"
    first.write_bytes(b"A=1")
    (shop.folder / "third").write_bytes(b"B=2")
    second.mkdir()
    files = [first, shop.folder / "new", second, shop.folder / "third"]
    with pytest.raises(FileError, match="it is a folder"):
        EnvFiles(state).install([(plan(path, keep), VARIABLES) for path in files])
    assert first.read_bytes() == b"A=1"
    assert (shop.folder / "third").read_bytes() == b"B=2"
    assert sorted(os.listdir(shop.folder)) == [".devrun", ".env", "second", "third"]
    state.clear()
    assert not shop.state_file.exists()


def test_a_value_that_cannot_be_written_leaves_everything_as_it_was(state: State, shop: Project) -> None:
    env = EnvFiles(state)
    with pytest.raises(DevrunError, match="SECOND"):
        env.install([(plan(shop.folder / "a"), VARIABLES), (plan(shop.folder / "b"), {"SECOND": "$x"})])
    assert os.listdir(shop.folder) == [".devrun"]


def test_two_entries_for_one_file_are_merged(state: State, shop: Project) -> None:
    path = shop.folder / ".env"
    path.symlink_to("real")
    (shop.folder / "real").write_bytes(b"A=1\n")
    env = EnvFiles(state)
    env.install([(plan(path), {"API_PORT": "1"}), (plan(shop.folder / "real"), {"VITE_API_PORT": "1"})])
    assert path.read_bytes() == envfile.render({"API_PORT": "1", "VITE_API_PORT": "1"}) + b"A=1\n"
    env.remove()
    assert path.is_symlink() and path.read_bytes() == b"A=1\n"


def test_a_file_that_cannot_be_restored_does_not_stop_the_others(state: State, shop: Project) -> None:
    first, second = shop.folder / "first", shop.folder / "second"
    env = EnvFiles(state)
    env.install([(plan(first), VARIABLES), (plan(second), VARIABLES)])
    first.chmod(0o444)
    with pytest.raises(FileError, match="first: it is read-only"):
        env.remove()
    assert first.exists() and not second.exists()
    state.clear()
    assert shop.state_file.exists()
    first.chmod(0o644)
    env.remove()
    assert not first.exists()


def test_a_file_that_could_not_be_removed_last_time_is_still_devruns(shop: Project) -> None:
    path = shop.folder / ".env"
    with open_state(shop) as state:
        state.save(stack="a1", name="shop", endpoints=[])
        EnvFiles(state).install([(plan(path), VARIABLES)])
    path.chmod(0o444)
    with open_state(shop) as state:
        state.save(stack="a2", name="shop", endpoints=[])
        path.chmod(0o644)
        env = EnvFiles(state)
        env.install([(plan(path), VARIABLES)])
        env.remove()
        assert not path.exists()


def test_the_stack_must_be_written_down_first(shop: Project) -> None:
    with open_state(shop) as state, pytest.raises(RuntimeError):
        EnvFiles(state).install([(plan(shop.folder / ".env"), VARIABLES)])
    assert os.listdir(shop.folder) == [".devrun"]


def stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def test_only_the_files_whose_content_changes_are_touched(state: State, shop: Project) -> None:
    first, second = shop.folder / "first", shop.folder / "second"
    env = EnvFiles(state)
    env.install([(plan(first), {"API_PORT": "1"}), (plan(second), {"WEB_PORT": "2"})])
    before = {path: stamp(path) for path in (first, second, shop.state_file)}
    assert env.follow([(plan(first), {"API_PORT": "1"}), (plan(second), {"WEB_PORT": "2"})]) == Followed((), ())
    assert {path: stamp(path) for path in before} == before
    assert env.follow([(plan(first), {"API_PORT": "1"}), (plan(second), {"WEB_PORT": "3"})]) == Followed(
        ("second",), ()
    )
    assert stamp(first) == before[first] and second.read_bytes() == envfile.render({"WEB_PORT": "3"})


def test_files_come_and_go_while_the_stack_is_up(state: State, shop: Project) -> None:
    old, new, made = (shop.folder / name for name in ("old", "new", "made"))
    old.write_bytes(b"A=1")
    new.write_bytes(b"B=2")
    env = EnvFiles(state)
    env.install([(plan(old), VARIABLES), (plan(made), VARIABLES)])
    assert env.follow([(plan(new), VARIABLES)]) == Followed(("new",), ())
    assert (old.read_bytes(), new.read_bytes(), made.exists()) == (b"A=1", BLOCK + b"B=2", False)
    assert {file.path for file in state.env_files} == {new}
    assert str(new) in shop.state_file.read_text() and str(old) not in shop.state_file.read_text()
    assert env.follow([]) == Followed((), ())
    assert new.read_bytes() == b"B=2"
    assert "env_files = []" in shop.state_file.read_text()


def test_a_file_that_keeps_its_block_keeps_it_when_it_leaves(state: State, shop: Project) -> None:
    path = shop.folder / ".env"
    env = EnvFiles(state)
    env.install([(plan(path, keep=True), VARIABLES)])
    env.follow([])
    assert path.read_bytes() == BLOCK
    env.follow([(plan(path), VARIABLES)])
    env.remove()
    assert b"API_URL" not in path.read_bytes()


def test_what_fails_while_the_stack_is_up_is_told_and_tried_again(state: State, shop: Project) -> None:
    bad, good = shop.folder / "bad", shop.folder / "good"
    env = EnvFiles(state)
    env.install([(plan(bad), VARIABLES)])
    bad.chmod(0o444)
    followed = env.follow([(plan(bad), {"API_PORT": "2"}), (plan(good), {"API_PORT": "2"})])
    assert followed.written == ("good",) and "bad: it is read-only" in followed.complaints[0]
    assert (bad.read_bytes(), good.read_bytes()) == (BLOCK, envfile.render({"API_PORT": "2"}))
    followed = env.follow([(plan(good), {"API_PORT": "$x"})])
    assert [name in text for name, text in zip(("bad", "API_PORT"), followed.complaints, strict=True)] == [True, True]
    assert (bad.read_bytes(), good.read_bytes()) == (BLOCK, envfile.render({"API_PORT": "2"}))
    bad.chmod(0o644)
    assert env.follow([(plan(good), {"API_PORT": "2"})]) == Followed((), ())
    assert not bad.exists()
    env.remove()
    assert not good.exists()


def test_what_the_user_makes_in_the_place_of_devruns_file_is_the_users(state: State, shop: Project) -> None:
    path = shop.folder / ".env"
    env = EnvFiles(state)
    env.install([(plan(path), {"API_PORT": "1"})])
    path.write_bytes(b"")
    assert env.follow([(plan(path), {"API_PORT": "2"})]).written == (".env",)
    env.remove()
    assert path.read_bytes() == b""
    env.install([(plan(path), {"API_PORT": "1"})])
    path.unlink()
    env.follow([(plan(path), {"API_PORT": "2"})])
    env.remove()
    assert not path.exists()


def test_a_link_that_is_put_elsewhere_while_the_stack_is_up(state: State, shop: Project) -> None:
    link, one, two = (shop.folder / name for name in (".env", "one", "two"))
    one.write_bytes(b"A=1")
    two.write_bytes(b"B=2")
    link.symlink_to("one")
    env = EnvFiles(state)
    env.install([(plan(link), VARIABLES)])
    link.unlink()
    link.symlink_to("two")
    assert env.follow([(plan(link), VARIABLES)]).written == (".env",)
    assert (one.read_bytes(), two.read_bytes()) == (b"A=1", BLOCK + b"B=2")
    link.unlink()
    env.remove()
    assert (one.read_bytes(), two.read_bytes()) == (b"A=1", b"B=2")


# A launcher that goes up and down without pause is killed at a random moment, the user edits, the next command repairs.
# One process without threads plays all parts, so that a round costs a fork and not an interpreter.
ROUNDS = r"""
import os, random, signal, sys, time
from pathlib import Path
from devrun.envfiles import EnvFiles
from devrun.lock import open_state, repair, running
from devrun.plan import Endpoint, EnvFilePlan
from devrun.project import Project

BOM = b"\xef\xbb\xbf"
STARTS = [None, b"", b"A=1", b"A=1\r\nB=2\r\n", BOM + b"A=1\n", BOM, b"Q='open\n", b"\xff\0", b"A=1\n" * 900]

def life(project, files):
    while True:
        with open_state(project) as state:
            state.save(stack="a1", name="shop", endpoints=[Endpoint("api", "127.0.0.1", 41507)])
            env = EnvFiles(state)
            env.install([(EnvFilePlan(path, "", None, {}, False), {"API_PORT": "41507"}) for path in files])
            env.remove()
            state.clear()

def round_of(folder, seed, longest):
    chance = random.Random(seed)
    project = Project(folder, folder / "devrun.toml")
    folder.mkdir()
    files = [folder / ".env", folder / "second.env"]
    before = {path: chance.choice(STARTS) for path in files}
    for path, content in before.items():
        if content is not None:
            path.write_bytes(content)
            path.chmod(0o640)
    pid = os.fork()
    if pid == 0:
        try:
            life(project, files)
        finally:
            os._exit(1)
    time.sleep(chance.uniform(0, longest))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the launcher failed"
    found = "block" if any(p.exists() and b">>> devrun" in p.read_bytes() for p in files) else "clean"
    if chance.random() < 0.5:
        with files[0].open("ab") as file:
            file.write(b"EDIT=1\n")
        before[files[0]] = (before[files[0]] or b"") + b"EDIT=1\n"
    stale = project.state_file.exists()
    if chance.random() < 0.5:
        assert repair(project) == ()
    if stale or chance.random() < 0.5:
        with open_state(project, patience=0):
            pass
    after = {path: path.read_bytes() if path.exists() else None for path in files}
    assert after == before, (seed, before, after)
    assert all(path.stat().st_mode & 0o777 == 0o640 for path in files[1:] if path.exists()), seed
    assert set(os.listdir(folder)) - {p.name for p in files} <= {".devrun"}, (seed, os.listdir(folder))
    assert not project.state_file.exists() and running(project) is None
    return found

began = time.monotonic()
probe = Path(sys.argv[1]) / "probe"
probe.mkdir()
with open_state(Project(probe, probe / "devrun.toml")) as state:
    began = time.monotonic()
    for _ in range(3):
        state.save(stack="a1", name="shop", endpoints=[])
        files = EnvFiles(state)
        files.install([(EnvFilePlan(probe / n, "", None, {}, False), {"A": "1"}) for n in ("a", "b")])
        files.remove()
        state.clear()
one_life = (time.monotonic() - began) / 3
began = time.monotonic()
outcomes = []
for seed in range(int(sys.argv[2])):
    # A slow disk makes each life longer: then fewer of them have to do.
    if time.monotonic() - began > 20 and min(outcomes.count("block"), outcomes.count("clean")) >= 5:
        break
    outcomes.append(round_of(Path(sys.argv[1]) / str(seed), seed, 3 * one_life))
print(*outcomes)
"""


@pytest.mark.timeout(180)
def test_a_kill_at_any_moment_can_be_repaired(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS, str(tmp_path), "150"], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes = done.stdout.split()
    # Else the kills all fell into the same moment and proved little.
    assert outcomes.count("block") >= 5 and outcomes.count("clean") >= 5

from __future__ import annotations

import os
import shutil
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
    named = envfile.render(VARIABLES, shop.owner_in(paths[2]))
    assert [path.read_bytes() for path in paths] == [BLOCK, BLOCK + b"SECRET=1", named]
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
    assert not path.exists()  # nothing but the block was in it: devrun had made it


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


class Neighbour:
    """A stack of a project, up or down, with one env file."""

    def __init__(self, folder: Path, file: Path, port: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "devrun.toml").touch()
        self.project = Project(folder, folder / "devrun.toml")
        self.file = file
        self.block = envfile.render({"API_PORT": port}, self.project.owner_in(file))
        self._port = port

    def up(self) -> None:
        with open_state(self.project) as state:
            state.save(stack="a1", name="shop", endpoints=[])
            EnvFiles(state).install([(plan(self.file), {"API_PORT": self._port})])

    def down(self) -> None:
        """By the repair of what was killed: it does what the end does."""
        assert repair(self.project) == ()


@pytest.mark.parametrize("first_down", [0, 1])
@pytest.mark.parametrize("before", [None, b"A=1"])
def test_two_projects_that_share_a_file_have_a_block_each(
    tmp_path: Path, before: bytes | None, first_down: int
) -> None:
    file = tmp_path / "one" / ".env"
    one, two = Neighbour(tmp_path / "one", file, "1"), Neighbour(tmp_path / "two", file, "2")
    assert one.block == envfile.render({"API_PORT": "1"}) and b"# >>> devrun two-" in two.block
    if before is not None:
        file.write_bytes(before)
    one.up()
    two.up()
    assert file.read_bytes() == two.block + one.block + (before or b"")
    stacks = [one, two]
    stacks.pop(first_down).down()
    assert file.read_bytes() == stacks[0].block + (before or b"")
    stacks[0].up()  # it was killed, and comes up again
    assert file.read_bytes() == stacks[0].block + (before or b"")
    stacks[0].down()
    assert (file.read_bytes() if file.exists() else None) == before


def test_three_worktrees_share_a_file_of_none_of_them(tmp_path: Path) -> None:
    file = tmp_path / "shared.env"
    file.write_bytes(b"A=1")
    stacks = [Neighbour(tmp_path / name, file, str(port)) for port, name in enumerate(("a b", "c", "d"))]
    for stack in stacks:
        stack.up()
    assert all(stack.block in file.read_bytes() for stack in stacks)
    for stack in stacks:
        stack.down()
    assert file.read_bytes() == b"A=1"


def test_a_project_inside_another_has_the_usual_block(tmp_path: Path) -> None:
    inner = Neighbour(tmp_path / "shop", tmp_path / "shop" / ".env", "1")
    outer = Neighbour(tmp_path, tmp_path / "shop" / ".env", "2")
    outer.up()
    inner.up()
    assert inner.file.read_bytes() == envfile.render({"API_PORT": "1"}) + outer.block
    outer.down()
    assert inner.file.read_bytes() == envfile.render({"API_PORT": "1"})
    inner.down()
    assert not inner.file.exists()


def test_a_copied_tree_is_repaired_and_the_original_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mono").mkdir()
    file = tmp_path / "mono" / ".env"
    file.write_bytes(b"A=1")
    shop = Neighbour(tmp_path / "mono" / "shop", file, "1")
    shop.up()
    up = file.read_bytes()
    shutil.copytree(tmp_path / "mono", tmp_path / "copy")
    shutil.copytree(tmp_path / "mono" / "shop", tmp_path / "mono" / "beside")
    for folder in (tmp_path / "copy" / "shop", tmp_path / "mono" / "beside"):
        assert repair(Project(folder, folder / "devrun.toml")) == ()
    assert (tmp_path / "copy" / ".env").read_bytes() == b"A=1"
    assert file.read_bytes() == up == shop.block + b"A=1"
    shop.down()
    assert file.read_bytes() == b"A=1"


def test_a_moved_project_takes_its_block_out_of_a_file_outside(tmp_path: Path) -> None:
    file = tmp_path / "shared.env"
    Neighbour(tmp_path / "shop", file, "1").up()
    (tmp_path / "shop").rename(tmp_path / "moved")
    assert repair(Project(tmp_path / "moved", tmp_path / "moved" / "devrun.toml")) == ()
    assert not file.exists()


def test_a_block_that_was_copied_from_elsewhere_is_devruns(tmp_path: Path) -> None:
    """A tool that copies .env into a new worktree copies the other stack's addresses: they may not stay."""
    file = tmp_path / "shop" / ".env"
    shop = Neighbour(tmp_path / "shop", file, "1")
    file.write_bytes(b"A=1\n" + BLOCK + b"B=2")
    shop.up()
    assert file.read_bytes() == b"A=1\n" + shop.block + b"B=2"
    shop.down()
    assert file.read_bytes() == b"A=1\nB=2"


TAKING_TURNS = r"""
import sys
from pathlib import Path
from devrun.outputs import writer
path, owner = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
for turn in range(60):
    writer.install_block(path, {"PORT": str(turn)}, owner)
    assert b"# >>> devrun " + owner.encode() in path.read_bytes()
    writer.remove_block(path, False, owner)
    assert b"# >>> devrun " + owner.encode() not in path.read_bytes()
"""


def test_stacks_that_go_up_and_down_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "shared.env"
    path.write_bytes(b"A=1")
    processes = [
        subprocess.Popen([sys.executable, "-c", TAKING_TURNS, str(path), name], stdin=subprocess.PIPE)
        for name in ("a-1", "b-2", "c-3")
    ]
    for process in processes:
        process.communicate(b"\n", timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert path.read_bytes() == b"A=1" and os.listdir(tmp_path) == ["shared.env"]


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
            plans = [EnvFilePlan(path, "", None, {}, False) for path in files]
            env.install([(plan, {"API_PORT": "41507"}) for plan in plans])
            env.follow([(plans[1], {"API_PORT": "41508"})])
            state.move([Endpoint("api", "127.0.0.1", 41509)])
            env.follow([(plan, {"API_PORT": "41509"}) for plan in plans])
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

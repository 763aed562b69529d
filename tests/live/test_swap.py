"""Others save the file at the very moment when devrun writes it: an editor, a shell, another devrun."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from devrun.outputs import envfile, swap, writer
from tests.driver import wait_until

VARIABLES = {"API_PORT": "1"}
BLOCK = envfile.render(VARIABLES)
Save = Callable[[Path, bytes], None]

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="exchanges of names and leases are Linux's")


def save_by_rename(path: Path, content: bytes) -> None:
    other = path.with_name("editor")
    other.write_bytes(content)
    other.rename(path)


def save_anew(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


class Meddler:
    """Saves in the moment between devrun's last look and its rename, before each of the first ``len(saves)``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, *saves: Callable[[], object]) -> None:
        self._saves = list(saves)
        self._rename = swap._rename  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(swap, "_rename", self._meddle)

    def _meddle(self, old: Path, new: Path, how: int) -> bool:
        if self._saves:
            self._saves.pop(0)()
        return self._rename(old, new, how)


@linux
@pytest.mark.parametrize("save", [save_by_rename, save_anew])
@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_save_just_before_the_rename_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Save, times: int
) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=0\n")
    Meddler(monkeypatch, path, *(lambda n=n: save(path, b"A=%d\n" % n) for n in range(1, times + 1)))
    assert writer.install_block(path, VARIABLES).wrote
    assert path.read_bytes() == BLOCK + b"A=%d\n" % times
    assert os.listdir(tmp_path) == [".env"]


@linux
@pytest.mark.parametrize("save", [save_by_rename, save_anew])
def test_a_save_just_before_the_removal_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Save) -> None:
    path = tmp_path / ".env"
    path.write_bytes(BLOCK)
    Meddler(monkeypatch, path, lambda: save(path, BLOCK + b"A=1"))
    assert writer.remove_block(path, created=True)
    assert path.read_bytes() == b"A=1" and os.listdir(tmp_path) == [".env"]
    path.write_bytes(BLOCK)
    # The second save comes when the first is about to be put back: it is the newer one.
    Meddler(monkeypatch, path, lambda: save(path, b"A=2"), lambda: save(path, b"A=3"))
    assert not writer.remove_block(path, created=True)
    assert path.read_bytes() == b"A=3" and os.listdir(tmp_path) == [".env"]


@linux
def test_a_file_that_is_deleted_or_made_at_that_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=1")
    Meddler(monkeypatch, path, path.unlink)
    assert writer.install_block(path, VARIABLES).found == "nothing"
    assert path.read_bytes() == BLOCK
    path.unlink()
    Meddler(monkeypatch, path, lambda: path.write_bytes(b"A=2"))
    assert writer.install_block(path, VARIABLES).found == "file"
    assert path.read_bytes() == BLOCK + b"A=2"
    Meddler(monkeypatch, path, path.unlink)
    assert writer.remove_block(path, created=True) is False
    assert os.listdir(tmp_path) == []


@linux
@pytest.mark.parametrize("flags", [os.O_TRUNC, os.O_APPEND])
@pytest.mark.parametrize("goes", [False, True])
def test_who_writes_into_the_old_file_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, goes: bool
) -> None:
    """A shell's ``>>`` and most editors open the file itself: it may not be taken from under them."""
    path = tmp_path / ".env"
    path.write_bytes(BLOCK if goes else b"A=1\n")
    inode = path.stat().st_ino
    opened = threading.Event()

    def write() -> None:
        file = os.open(path, os.O_WRONLY | flags)
        opened.set()
        threading.Event().wait(0.05)  # it takes its time: without a lease the file would be gone by now
        os.write(file, b"B=2\n")
        os.close(file)

    thread = threading.Thread(target=write)

    def meddle() -> None:
        thread.start()
        wait_until(lambda: opened.is_set() or is_breaking(inode), "the writer does not come")

    Meddler(monkeypatch, path, meddle)
    if goes:
        writer.remove_block(path, created=True)
    else:
        writer.install_block(path, VARIABLES)
    thread.join()
    old = b"" if flags == os.O_TRUNC or goes else b"A=1\n"
    assert path.read_bytes() == (b"" if goes else BLOCK) + old + b"B=2\n"


def is_breaking(inode: int) -> bool:
    lines = Path("/proc/locks").read_text().splitlines()
    return any("BREAKING" in line and f":{inode} " in line for line in lines)


@linux
def test_a_program_that_never_lets_go_of_the_file_does_not_stop_devrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "PATIENCE", 0.01)
    path = tmp_path / ".env"
    path.write_bytes(b"A=1")
    with path.open("ab"):
        writer.install_block(path, VARIABLES)
    assert path.read_bytes() == BLOCK + b"A=1"


def test_where_the_system_offers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system without exchanges and leases."""
    monkeypatch.setattr(swap, "_rename", lambda *_: False)
    monkeypatch.setattr(swap, "_try_lease", lambda *_: False)
    path = tmp_path / ".env"
    assert writer.install_block(path, VARIABLES).found == "nothing"
    assert not writer.install_block(path, VARIABLES).wrote
    writer.install_block(path, {"API_PORT": "2"})
    assert path.read_bytes() == envfile.render({"API_PORT": "2"})
    assert writer.remove_block(path, created=True) and os.listdir(tmp_path) == []
    (tmp_path / "new").write_bytes(b"new")
    path.write_bytes(b"A=1")
    assert not swap.create(tmp_path / "new", path) and path.read_bytes() == b"A=1"


def test_a_folder_that_another_devrun_writes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "ALONE", 0.01)
    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert writer.write(tmp_path / ".env", b"A=1")  # it is not waited for without end
    monkeypatch.setattr(swap, "ALONE", 60.0)
    written = threading.Event()

    def write() -> None:
        writer.write(tmp_path / ".env", b"A=2")
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not written.wait(0.05) and (tmp_path / ".env").read_bytes() == b"A=1"
    os.close(lock)
    thread.join()
    assert (tmp_path / ".env").read_bytes() == b"A=2"


KILLED = r"""
import os, signal, sys
from pathlib import Path
from devrun.outputs import swap, writer
path, doing, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
rename = swap._rename
def die(*words):
    if moment == "after":
        rename(*words)
    os.kill(os.getpid(), signal.SIGKILL)
swap._rename = die
if doing == "install":
    writer.install_block(path, {"API_PORT": "1"})
else:
    writer.remove_block(path, created=True)
"""


@linux
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("doing", "before", "after"),
    [
        ("install", b"A=1", BLOCK + b"A=1"),
        ("install", None, BLOCK),
        ("remove", BLOCK + b"A=1", b"A=1"),
        ("remove", BLOCK, None),
    ],
)
def test_a_kill_on_either_side_of_the_rename_leaves_the_old_or_the_new_file(
    tmp_path: Path, doing: str, before: bytes | None, after: bytes | None, moment: str
) -> None:
    path = tmp_path / ".env"
    if before is not None:
        path.write_bytes(before)
        path.chmod(0o640)
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), doing, moment], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    expected = after if moment == "after" else before
    assert (path.read_bytes() if path.exists() else None) == expected
    if before is not None and expected is not None:
        assert path.stat().st_mode & 0o777 == 0o640
    writer.sweep(path)
    assert os.listdir(tmp_path) == ([] if expected is None else [".env"])


EDITOR = r"""
import os, random, sys, time
path, chance = sys.argv[1], random.Random(7)
def rename(content):
    with open(path + "~", "wb") as file:
        file.write(content)
    os.replace(path + "~", path)
def truncate(content):
    with open(path, "wb") as file:
        file.write(content[:5])
        file.flush()
        file.write(content[5:])
def anew(content):
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "xb") as file:
        file.write(content)
for line in sys.stdin:
    time.sleep(chance.uniform(0, 0.002))
    while True:
        try:
            chance.choice([rename, truncate, anew])(line.encode() * 3)
            break
        except (FileExistsError, FileNotFoundError):
            pass  # devrun was faster: as a person would, save again
    print("saved", flush=True)
"""


@linux
def test_of_many_saves_beside_many_writes_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"")
    with subprocess.Popen(
        [sys.executable, "-c", EDITOR, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as editor:
        assert editor.stdin is not None and editor.stdout is not None
        for turn in range(150):
            saved = threading.Thread(target=editor.stdout.readline)
            saved.start()
            editor.stdin.write(f"TURN={turn}\n")
            editor.stdin.flush()
            while saved.is_alive():
                writer.install_block(path, VARIABLES)
                writer.remove_block(path, created=False)
            assert path.read_bytes() == b"TURN=%d\n" % turn * 3
        editor.stdin.close()
    assert os.listdir(tmp_path) == [".env"]


PROJECT = r"""
import sys
from pathlib import Path
from devrun.outputs import writer
path, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
for turn in range(rounds):
    writer.update(path, lambda content: (content or b"") + b"%s=%d\n" % (name.encode(), turn))
"""


def test_several_devruns_that_write_one_file_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    processes = [
        subprocess.Popen([sys.executable, "-c", PROJECT, str(path), name, "40"], stdin=subprocess.PIPE)
        for name in ("A", "B", "C")
    ]
    for process in processes:
        process.communicate(b"\n", timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0]
    lines = path.read_text().splitlines()
    for name in "ABC":
        assert [line for line in lines if line.startswith(name)] == [f"{name}={turn}" for turn in range(40)]

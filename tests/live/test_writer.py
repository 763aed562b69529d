from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devrun.errors import FileError
from devrun.outputs import envfile, writer
from tests.driver import small_file_system


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 kB."""
    with small_file_system(tmp_path / "disk", "32k") as disk:
        yield disk


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    path = small_disk / ".env"
    path.write_bytes(b"A=1\n" * 1500)
    (small_disk / "junk").write_bytes(bytes(32768 - 8192))
    with pytest.raises(FileError, match="the disk is full"):
        writer.install_block(path, {"API_PORT": "41507"})
    assert path.read_bytes() == b"A=1\n" * 1500
    assert sorted(os.listdir(small_disk)) == [".env", "junk"]


def test_a_file_that_devrun_made_goes_even_on_a_full_disk(small_disk: Path) -> None:
    path = small_disk / ".env"
    assert writer.install_block(path, {"API_PORT": "41507"}).found == "nothing"
    (small_disk / "junk").write_bytes(bytes(32768 - 4096))
    assert writer.remove_block(path, created=True)
    assert not path.exists()


def test_a_read_only_file_system(small_disk: Path) -> None:
    (small_disk / ".env").write_bytes(b"A=1")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(FileError, match="the file system is read-only"):
        writer.write(small_disk / ".env", b"A=2")
    with pytest.raises(FileError, match="the file system is read-only"):
        writer.write(small_disk / "new", b"A=2")


def run_script(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


TOO_LARGE = """
import resource, sys
from pathlib import Path
from devrun.errors import FileError
from devrun.outputs import writer
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    writer.write(Path(sys.argv[1]) / ".env", b"x" * 200)
except FileError as error:
    print(error.message)
"""


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=1")
    assert "file too large" in run_script(TOO_LARGE, tmp_path)
    assert (tmp_path / ".env").read_bytes() == b"A=1"
    assert os.listdir(tmp_path) == [".env"]


AS_NOBODY = """
import encodings.idna, os, sys
from pathlib import Path
from devrun.errors import FileError
from devrun.outputs import writer
folder = Path(sys.argv[1])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for name in ("closed/.env", "closed/new", "hidden/.env", "theirs", "unreadable"):
    try:
        writer.write(folder / name, b"x")
    except FileError as error:
        print(error.message)
    else:
        print("written", name)
"""


def test_without_permission() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sub in ("closed", "hidden"):
            (folder / sub).mkdir()
            (folder / sub / ".env").write_bytes(b"A=1")
            (folder / sub / ".env").chmod(0o666)
        (folder / "theirs").write_bytes(b"A=1")
        (folder / "theirs").chmod(0o666 if os.getuid() == 0 else 0o444)
        (folder / "unreadable").write_bytes(b"A=1")
        (folder / "unreadable").chmod(0o200)
        (folder / "closed").chmod(0o555)
        (folder / "hidden").chmod(0o000)
        folder.chmod(0o777)
        try:
            closed, new, hidden, theirs, unreadable = run_script(AS_NOBODY, folder).splitlines()
        finally:
            (folder / "closed").chmod(0o755)
            (folder / "hidden").chmod(0o755)
        assert closed == f"cannot write {folder}/closed/.env: no permission to write in the folder {folder}/closed"
        assert "no permission to write in the folder" in new
        assert "permission" in hidden
        assert "belongs to another user" in theirs or "read-only" in theirs
        assert "permission denied" in unreadable
        assert sorted(os.listdir(folder)) == ["closed", "hidden", "theirs", "unreadable"]
        assert os.listdir(folder / "closed") == os.listdir(folder / "hidden") == [".env"]


READER = """
import sys
from pathlib import Path
path = Path(sys.argv[1]) / ".env"
print("reading", flush=True)
seen = set()
while b"stop" not in seen:
    seen.add(path.read_bytes())
print(sorted(len(content) for content in seen), flush=True)
"""


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    user = b"A=1\n" * 20000
    path.write_bytes(user)
    block = envfile.render({"API_PORT": "1"})
    with subprocess.Popen([sys.executable, "-c", READER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for _ in range(50):
            writer.install_block(path, {"API_PORT": "1"})
            writer.remove_block(path, created=False)
        writer.write(path, b"stop")
        sizes = reader.stdout.readline().strip()
    assert sizes in (
        f"[4, {len(user)}, {len(user) + len(block)}]",
        f"[4, {len(user)}]",
        f"[4, {len(user) + len(block)}]",
    )

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devrun.errors import FileError
from devrun.outputs import block, envfile, swap, writer

VARIABLES = {"API_URL": "http://127.0.0.1:41507"}
BLOCK = envfile.render(VARIABLES)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_gets_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert writer.write(tmp_path / "a", b"x")
        assert writer.write(tmp_path / "b", b"x", mode=0o600)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "b")) == (0o640, 0o600)
    assert names(tmp_path) == ["a", "b"]


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert writer.write(path, b"x")
    before = path.stat()
    assert not writer.write(path, b"x")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert writer.write(path, b"y")
    assert path.read_bytes() == b"y"


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o755, 0o200])
def test_the_mode_is_kept(tmp_path: Path, bits: int) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=1")
    path.chmod(bits)
    if not os.access(path, os.R_OK):
        pytest.skip("this user cannot read such a file")
    writer.install_block(path, VARIABLES)
    assert mode(path) == bits
    writer.remove_block(path, created=False)
    assert (mode(path), path.read_bytes()) == (bits, b"A=1")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=1")
    os.chown(path, 12345, 23456)
    path.chmod(0o4640)
    writer.write(path, b"A=2")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o4640)


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "env"
    target.write_bytes(b"A=1")
    link = tmp_path / ".env"
    link.symlink_to("real/env")
    assert writer.install_block(link, VARIABLES).found == "file"
    assert link.is_symlink() and target.read_bytes() == BLOCK + b"A=1"
    assert writer.remove_block(link, created=False)
    assert link.is_symlink() and target.read_bytes() == b"A=1"
    assert names(tmp_path / "real") == ["env"]


contents = st.sampled_from(
    [None, b"", b"A=1", b"A=1\n", b"A=1\r\nB=2\r\n", b"\xef\xbb\xbfA=1", b"\xef\xbb\xbf", b"A='x", b"\n\n", b"\0\xff"]
) | st.binary(max_size=40)


@given(contents, st.booleans())
@settings(deadline=None, max_examples=50)
def test_the_file_is_byte_for_byte_what_it_was(content: bytes | None, twice: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        if content is not None:
            path.write_bytes(content)
        installed = writer.install_block(path, VARIABLES)
        assert installed == writer.Installed("nothing" if content is None else "file", wrote=True)
        assert BLOCK in path.read_bytes()
        if twice:
            again = writer.Installed("block" if content else "only block", wrote=False)
            assert writer.install_block(path, VARIABLES) == again
        assert writer.remove_block(path, content is None)
        assert (path.read_bytes() if path.exists() else None) == content
        assert not writer.remove_block(path, content is None)
        assert names(Path(folder)) == ([] if content is None else [".env"])


def test_a_file_that_devrun_made_stays_once_something_else_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert writer.install_block(path, VARIABLES).found == "nothing"
    path.write_bytes(b"ABOVE=1\n" + path.read_bytes() + b"BELOW=2")
    assert writer.remove_block(path, created=True)
    assert path.read_bytes() == b"ABOVE=1\nBELOW=2"


def test_a_file_without_the_block_is_not_devruns(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"")
    assert not writer.remove_block(path, created=True)
    assert path.exists()
    target = tmp_path / "moved"
    target.write_bytes(BLOCK)
    path.unlink()
    path.symlink_to(target)
    assert writer.remove_block(path, created=True)
    assert path.is_symlink() and target.read_bytes() == b""


@pytest.mark.parametrize("what", ["nothing", "folder", "dangling", "loop", "no-folder", "file-for-folder"])
def test_there_is_nothing_to_remove(tmp_path: Path, what: str) -> None:
    path = tmp_path / "sub" / ".env"
    if what == "file-for-folder":
        path.parent.write_bytes(b"")
    elif what != "no-folder":
        path.parent.mkdir()
    if what == "folder":
        path.mkdir()
    if what in ("dangling", "loop"):
        path.symlink_to("gone" if what == "dangling" else ".env")
    assert not writer.remove_block(path, created=True)


def test_an_editor_that_saves_meanwhile_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=1\n")
    saves = [b"A=2\n", None, b"A=3\n"]

    def change(content: bytes | None) -> bytes:
        if saves:
            save = saves.pop(0)
            if save is None:
                path.unlink()
            else:
                path.write_bytes(save)
        return block.put(content or b"", BLOCK)

    assert writer.update(path, change)
    assert path.read_bytes() == BLOCK + b"A=3\n"


def test_a_file_that_is_filled_just_before_it_would_be_deleted_stays(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(BLOCK)
    saves = [BLOCK + b"A=1"]

    def change(content: bytes | None) -> bytes | None:
        if saves:
            path.write_bytes(saves.pop())
        return block.take(content or b"") or None

    assert writer.update(path, change)
    assert path.read_bytes() == b"A=1"


def test_a_file_that_never_rests_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    turns = iter(range(1000))

    def change(content: bytes | None) -> bytes:
        path.write_bytes(b"%d" % next(turns))
        return b"ours"

    with pytest.raises(FileError, match="another program keeps changing it"):
        writer.update(path, change)
    assert path.read_bytes().isdigit() and names(tmp_path) == [".env"]


def test_a_temporary_file_that_is_swept_away_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=1")
    (tmp_path / ".devrun-notes").touch()
    leftover = tmp_path / f"{writer._temp_prefix(path)}0123"  # pyright: ignore[reportPrivateUsage]
    leftover.write_bytes(b"half")
    writer.sweep(path)
    assert names(tmp_path) == [".devrun-notes", ".env"]
    writer.sweep(tmp_path / "gone" / ".env")
    seen = swap.look(path)
    assert seen is not None and not swap.replace(leftover, path, seen)
    path.rename(tmp_path / "kept")
    assert not swap.create(leftover, path)
    (tmp_path / "kept").rename(path)
    assert path.read_bytes() == b"A=1"


def make_folder(path: Path) -> None:
    path.mkdir()


def make_read_only(path: Path) -> None:
    path.write_bytes(b"A=1")
    path.chmod(0o444)


def make_dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (make_folder, "it is a folder"),
        (make_read_only, "it is read-only"),
        (make_dangling, "it is a link to 'nowhere', which is not there"),
        (make_loop, "it is a link"),
        (make_pipe, "it is not a regular file"),
    ],
)
def test_what_cannot_be_written_is_said_and_left_as_it_is(tmp_path: Path, make: object, expected: str) -> None:
    path = tmp_path / ".env"
    assert callable(make)
    make(path)
    before = path.lstat()
    with pytest.raises(FileError) as caught:
        writer.install_block(path, VARIABLES)
    assert str(path) in caught.value.message and expected in caught.value.message
    assert caught.value.hint
    assert path.lstat() == before and names(tmp_path) == [".env"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone/.env", "there is no folder"),
        ("file/.env", "is not a folder"),
        ("n" * 300, "file name too long"),
    ],
)
def test_a_place_that_does_not_exist(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=expected):
        writer.write(tmp_path / name, b"x")
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "name", ["with space", "quo'te\"s", "new\nline", "x" * 200, "é日", "a" * 255, "raw\udcff", "*[?"]
)
def test_any_name_works(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    path = folder / name
    path.write_bytes(b"A=1")
    writer.install_block(path, VARIABLES)
    writer.remove_block(path, created=False)
    assert path.read_bytes() == b"A=1" and names(folder) == [name]
    path.chmod(0o444)
    with pytest.raises(FileError) as caught:
        writer.write(path, b"x")
    assert "\n" not in caught.value.message
    caught.value.message.encode()

"""The kernel's own words about files: what is told of them, when, and that nothing happens while nothing does."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import devrun.inotify
from devrun.inotify import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE,
    GAP,
    ISDIR,
    MODIFY,
    MOST,
    MOVED_FROM,
    MOVED_TO,
    OPEN_GAP,
    Change,
    Gathering,
    file_system,
    open_inotify,
)
from devrun.notify import Opener, first_cause, is_exhausted, open_best
from tests.live.test_watch import kernel_watches, plan, until, watching, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

DEADLINE = 10.0
Told = set[tuple[Change, str]]


class Listener:
    """An opener at work: ``told`` holds the sets it gave, in order."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.failure: BaseException | None = None

    async def listen(self, opener: Opener, folders: Sequence[str], stop: asyncio.Event) -> None:
        try:
            async for changes in opener(folders, stop, False):
                self.told.append(changes)
        except Exception as error:
            self.failure = first_cause(error)

    def changes(self, path: Path | str) -> list[Change]:
        return [change for told in self.told for change, name in sorted(told) if name == str(path)]

    async def hears(self, change: Change, path: Path | str) -> None:
        await until(lambda: change in self.changes(path))


@asynccontextmanager
async def hearing(*folders: Path | str, opener: Opener = open_inotify) -> AsyncIterator[Listener]:
    listener, stop = Listener(), asyncio.Event()
    task = asyncio.create_task(listener.listen(opener, [str(folder) for folder in folders], stop))
    await asyncio.sleep(0)  # an opener has its watches before it first waits
    try:
        yield listener
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE):
            await task


def scenario(test: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    def run(tmp_path: Path) -> None:
        async def main() -> None:
            await test(tmp_path)

        asyncio.run(main())

    run.__name__ = getattr(test, "__name__", "scenario")
    return run


def gathered(*events: tuple[int, float]) -> Gathering:
    """What is known of the file ``f`` after events at these moments."""
    gathering = Gathering()
    for mask, moment in events:
        gathering.add(mask, "f", moment)
    return gathering


@pytest.mark.parametrize(
    ("masks", "change"),
    [
        ([MODIFY, MODIFY, CLOSE_WRITE], Change.MODIFIED),
        ([ATTRIB], Change.MODIFIED),
        ([CLOSE_WRITE], Change.MODIFIED),
        ([CREATE, MODIFY, CLOSE_WRITE], Change.ADDED),
        ([CREATE | ISDIR], Change.ADDED),
        ([MOVED_TO], Change.ADDED),
        ([MOVED_FROM, CREATE, MODIFY, CLOSE_WRITE], Change.ADDED),
        ([CREATE, MODIFY, DELETE], Change.DELETED),
        ([MODIFY, MOVED_FROM], Change.DELETED),
    ],
)
def test_what_is_done_is_told_at_once(masks: list[int], change: Change) -> None:
    gathering = gathered(*((mask, 5.0) for mask in masks))
    assert gathering.due() == 5.0 + GAP
    assert gathering.take(5.0 + GAP) == {(change, "f")}
    assert gathering.due() is None


@pytest.mark.parametrize("masks", [[MODIFY], [CREATE], [CREATE, ATTRIB], [CLOSE_WRITE, MODIFY], [MODIFY, ATTRIB]])
def test_what_is_being_written_waits_to_be_closed_for_a_while(masks: list[int]) -> None:
    gathering = gathered(*((mask, 5.0) for mask in masks))
    assert gathering.due() == 5.0 + OPEN_GAP
    assert gathering.due(deaf=True) == 5.0 + MOST
    assert gathering.take(5.0 + OPEN_GAP / 2) == set()
    assert {path for _, path in gathering.take(5.0 + OPEN_GAP)} == {"f"}


def test_what_never_pauses_is_told_in_the_end() -> None:
    writes = [(MODIFY, 5.0 + number / 1000) for number in range(45)]
    assert gathered(*writes).due() == 5.0 + MOST
    saves = [(mask, moment) for _, moment in writes for mask in (MODIFY, CLOSE_WRITE)]
    assert gathered(*saves[:-1]).due() == 5.0 + MOST
    gathering = Gathering()
    for number in range(49):
        gathering.add(CLOSE_WRITE, str(number), 5.0 + number / 1000)
    assert gathering.due() == 5.0 + MOST
    assert len(gathering.take(5.0 + MOST)) == 49


def test_a_file_that_is_written_on_and_on_does_not_hold_up_another() -> None:
    gathering = gathered(*((CLOSE_WRITE, 5.0 + number / 1000) for number in range(9)))
    gathering.add(CLOSE_WRITE, "g", 5.0)
    assert gathering.due() == 5.0 + GAP


def test_a_file_that_is_being_written_does_not_hold_up_another() -> None:
    gathering = gathered((MODIFY, 5.0))
    gathering.add(CLOSE_WRITE, "g", 5.001)
    assert gathering.due() == 5.001 + GAP
    assert gathering.take(5.001 + GAP) == {(Change.MODIFIED, "g")}
    assert gathering.due() == 5.0 + OPEN_GAP


@scenario
async def test_each_way_to_change_a_folder(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.py"), tmp_path / "b.py"
    async with hearing(tmp_path) as heard:
        a.write_text("new")
        await heard.hears(Change.MODIFIED, a)
        a.rename(b)
        await heard.hears(Change.DELETED, a)
        await heard.hears(Change.ADDED, b)
        b.chmod(0o600)
        await heard.hears(Change.MODIFIED, b)
        b.unlink()
        await heard.hears(Change.DELETED, b)
        (tmp_path / "folder").mkdir()
        await heard.hears(Change.ADDED, tmp_path / "folder")
        os.symlink("folder", tmp_path / "link")
        await heard.hears(Change.ADDED, tmp_path / "link")
        write(tmp_path / "folder/unheard")
        a.write_bytes(b"")
        await heard.hears(Change.ADDED, a)
        assert not heard.changes(tmp_path / "folder/unheard")


@scenario
async def test_a_save_is_told_once_and_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py")
    async with hearing(tmp_path) as heard:
        for number in range(20):
            count, text = len(heard.told), f"{number}" * 100_000
            await asyncio.to_thread(path.write_text, text)
            await until(lambda count=count: len(heard.told) > count)  # type: ignore[misc]
            assert path.read_text() == text
        assert len(heard.told) <= 25  # twice only where this machine paused in the middle of a save


@scenario
async def test_a_file_that_stays_open_is_told_when_it_pauses(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with hearing(tmp_path) as heard:
        with path.open("w") as file:
            file.write("x")
            file.flush()
            await heard.hears(Change.ADDED, path)
            file.write("y")
            file.flush()
            await heard.hears(Change.MODIFIED, path)
            count = len(heard.told)
        await until(lambda: len(heard.told) > count)


def wakes() -> int:
    """How often a thread of this process has been woken up."""
    statuses = [path.read_text() for path in Path("/proc/self/task").glob("*/status")]
    return sum(int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0]) for text in statuses)


WRITE_ON = """
import sys, time
for number in range(100_000):
    with open(sys.argv[1], "a") as file:
        for line in range(int(sys.argv[2])):
            file.write("x")
            file.flush()
            time.sleep(0.0005)
"""


@pytest.mark.parametrize("lines", ["1", "1000"])
def test_a_stream_of_writes_is_no_stream_of_work(tmp_path: Path, lines: str) -> None:
    async def main() -> None:
        async with hearing(tmp_path) as heard:
            child = subprocess.Popen([sys.executable, "-c", WRITE_ON, str(tmp_path / "log"), lines])
            try:
                await until(lambda: bool(heard.told))
                told, woken, began = len(heard.told), wakes(), time.monotonic()
                await asyncio.sleep(1)
                passed = time.monotonic() - began
                assert child.poll() is None
                assert 5 <= len(heard.told) - told <= 80 * passed
                assert wakes() - woken <= 300 * passed  # 1500 writes
                save = write(tmp_path / "a.py")
                await heard.hears(Change.ADDED, save)
            finally:
                child.kill()
                child.wait()

    asyncio.run(main())


@scenario
async def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    async with hearing(os.fsdecode(folder)) as heard:
        with open(folder + b"/\xfe \n", "wb"):
            pass
        await heard.hears(Change.ADDED, os.fsdecode(folder + b"/\xfe \n"))


@scenario
async def test_a_folder_with_two_names_is_told_by_both(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "link")
    async with hearing(tmp_path / "real", tmp_path / "link") as heard:
        assert kernel_watches() == 1
        write(tmp_path / "real/a.py")
        await heard.hears(Change.ADDED, tmp_path / "real/a.py")
        await heard.hears(Change.ADDED, tmp_path / "link/a.py")


@scenario
async def test_a_watched_folder_that_goes(tmp_path: Path) -> None:
    for name in ("deleted", "moved"):
        (tmp_path / name).mkdir()
    async with hearing(tmp_path / "deleted", tmp_path / "moved") as heard:
        (tmp_path / "deleted").rmdir()
        await heard.hears(Change.DELETED, tmp_path / "deleted")
        (tmp_path / "moved").rename(tmp_path / "away")
        await heard.hears(Change.DELETED, tmp_path / "moved")
        (tmp_path / "deleted").mkdir()
        count = len(heard.told)
        write(tmp_path / "away/a.py")
        await until(lambda: len(heard.told) > count)
        assert heard.failure is None


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True)


@pytest.mark.skipif(not shutil.which("mount"), reason="no mount")
@scenario
async def test_a_disk_that_is_taken_away(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        async with hearing(tmp_path / "disk") as heard:
            subprocess.run(["umount", str(tmp_path / "disk")], check=True)
            await heard.hears(Change.DELETED, tmp_path / "disk")


@scenario
async def test_a_folder_that_cannot_be_watched(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py")
    before = os.listdir("/proc/self/fd")
    for name, number in (("none", errno.ENOENT), ("a.py", errno.ENOTDIR), ("a" * 300, errno.ENAMETOOLONG)):
        async with hearing(tmp_path, path.with_name(name)) as heard:
            await until(lambda heard=heard: heard.failure is not None)  # type: ignore[misc]
            assert isinstance(heard.failure, OSError)
            assert (heard.failure.errno, heard.failure.filename) == (number, str(path.with_name(name)))
            assert not is_exhausted(heard.failure)
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.ENFILE])
def test_what_says_that_there_are_none_left(number: int) -> None:
    assert is_exhausted(OSError(number, "anything", "folder"))
    assert is_exhausted(ExceptionGroup("in a task", [OSError(number, "anything")]))
    assert is_exhausted(OSError(f"said by watchfiles (os error {int(number)}) about a folder"))
    assert not is_exhausted(PermissionError(errno.EACCES, "OS file watch limit reached"))


def overflow(folder: Path) -> None:
    """Do more than the kernel keeps in mind, while nobody listens; it joins equal events that follow one another."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    names = [write(folder / "flood0"), write(folder / "flood1")]
    for _ in range(most // 2 + 10):
        for name in names:
            os.utime(name)


@scenario
async def test_lost_events_are_owned_up_to(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        overflow(tmp_path)
        await until(lambda: set() in heard.told)
        write(tmp_path / "a.py")
        await heard.hears(Change.ADDED, tmp_path / "a.py")


@scenario
async def test_what_was_lost_is_found_by_looking(tmp_path: Path) -> None:
    write(tmp_path / "old/x.sql")
    async with watching(tmp_path, plan("a", tmp_path, "*.sql")) as stand:
        await stand.quiet()
        overflow(tmp_path)
        (tmp_path / "old").rename(tmp_path / "new")  # nobody hears of it
        write(tmp_path / "new/y.sql")
        assert await stand.next() == ("a", ("new/x.sql", "new/y.sql", "old/x.sql"))
        write(tmp_path / "new/y.sql", "again")
        assert await stand.next() == ("a", ("new/y.sql",))


@scenario
async def test_while_nothing_happens_nothing_is_done(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        await until(lambda: kernel_watches() == 1)
        before = wakes()
        await asyncio.sleep(1)
        assert wakes() - before < 10
        assert heard.told == []


@scenario
async def test_the_end_leaves_nothing(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with hearing(tmp_path):
        write(tmp_path / "a.py")
    stop = asyncio.Event()
    async with aclosing(open_inotify([str(tmp_path)], stop, False)) as changes:  # type: ignore[type-var]
        task = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])
    await until(lambda: len(os.listdir("/proc/self/fd")) == before)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_five_thousand_folders_are_watched_in_a_moment(tmp_path: Path) -> None:
    folders = [tmp_path / f"{number % 50}/{number}" for number in range(5_000)]
    for folder in folders:
        folder.mkdir(parents=True)

    async def main() -> None:
        began = time.thread_time()
        async with hearing(*folders) as heard:
            assert kernel_watches() == 5_000
            assert time.thread_time() - began < 0.5
            write(folders[-1] / "a.py")
            await heard.hears(Change.ADDED, folders[-1] / "a.py")

    asyncio.run(main())


def test_without_inotify_watchfiles_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devrun.inotify, "_C", SimpleNamespace())

    async def main() -> None:
        async with hearing(tmp_path) as heard:
            await until(lambda: heard.failure is not None)
            assert isinstance(heard.failure, OSError)
            assert heard.failure.errno == errno.ENOSYS
        async with hearing(tmp_path, opener=open_best) as heard:
            write(tmp_path / "a.py")
            await heard.hears(Change.ADDED, tmp_path / "a.py")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("release", "asked", "folder", "watches"),
    [
        ("6.1.0", "", "/proc", 1),
        ("6.1.0", "1", "/dev/shm", 0),
        ("6.1.0", "Disabled", "/dev/shm", 1),
        ("5.15.90.1-Microsoft-standard-WSL2", "", "/proc", 0),  # as unheard of as a disk of Windows
        ("5.15.90.1-Microsoft-standard-WSL2", "", "/dev/shm", 1),
        ("5.15.90.1-Microsoft-standard-WSL2", "false", "/proc", 1),
        ("5.15.90.1-Microsoft-standard-WSL2", "1", "/dev/shm", 0),
    ],
)
def test_where_files_are_polled(
    monkeypatch: pytest.MonkeyPatch, release: str, asked: str, folder: str, watches: int
) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release, sysname="Linux"))
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", asked)

    async def main() -> None:
        async with hearing(folder, opener=open_best) as heard:
            assert kernel_watches() == watches
            assert heard.failure is None

    asyncio.run(main())


def test_kinds_of_file_systems(tmp_path: Path) -> None:
    assert file_system("/proc") == 0x9FA0
    assert file_system("/dev/shm") == 0x01021994
    with pytest.raises(FileNotFoundError):
        file_system(str(tmp_path / "none"))

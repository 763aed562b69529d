"""The watcher on real files: what is told, to whom, once, and how many of the kernel's watches it takes."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

import devrun.folders
from devrun.events import Event, FilesChanged, LoadedFile, Run
from devrun.folders import stamp
from devrun.inotify import Change
from devrun.notify import Opener, open_best, open_watchfiles
from devrun.pace import SOME_QUIET
from devrun.plan import AppPlan
from devrun.watch import Scope, Watcher

DEADLINE = 10.0
QUIET = 0.25
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's inotify watches from /proc")


def plan(name: str, cwd: Path, *watch: str, ignore: tuple[str, ...] = (), reload: bool = True) -> AppPlan:
    return AppPlan(
        name=name,
        target="m:app",
        factory=False,
        cwd=cwd,
        python=Path(sys.executable),
        port=0,
        host="127.0.0.1",
        env={},
        env_file={},
        watch=watch,
        ignore=ignore,
        depends_on=(),
        health=None,
        reload=reload,
        grace=1.0,
        open=None,
    )


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def kernel_watches() -> int:
    count = 0
    for info in Path("/proc/self/fdinfo").iterdir():
        try:
            count += sum(line.startswith("inotify") for line in info.read_text().splitlines())
        except OSError:
            continue
    return count


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


class Stand:
    """A watcher at work, and what it told."""

    def __init__(self, folder: Path, plans: Sequence[AppPlan], own: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.told: asyncio.Queue[FilesChanged] = asyncio.Queue()
        self.warnings: list[str] = []
        self.generations = {one.name: itertools.count(1) for one in plans}
        self.watcher = Watcher(
            Scope(plans, own), folder, emit=self._emit, clock=time.monotonic, warn=self.warnings.append
        )

    def _emit(self, event: Event) -> None:
        assert isinstance(event, FilesChanged)
        self.told.put_nowait(event)

    def load(self, app: str, *paths: str | Path) -> Run:
        """A new run of the app starts, loads these files and settles."""
        run = Run(app, next(self.generations[app]))
        files = [str(self.folder / path) for path in paths]
        self.watcher.begin(run)
        self.watcher.loaded(run, [LoadedFile(path, stamp(path)) for path in files])
        self.watcher.settle(run)
        return run

    async def next(self) -> tuple[str, tuple[str, ...]]:
        async with asyncio.timeout(DEADLINE):
            event = await self.told.get()
        return event.app, event.paths

    async def quiet(self) -> None:
        """Nothing (more) is told; long enough for what was to be heard already to be told."""
        await asyncio.sleep(QUIET)
        assert self.told.empty(), self.told.get_nowait()


@asynccontextmanager
async def watching(folder: Path, *plans: AppPlan, own: Sequence[Path] = ()) -> AsyncIterator[Stand]:
    stand = Stand(folder, plans, own)
    task = asyncio.create_task(stand.watcher.run())
    try:
        if sys.platform == "linux":
            await until(lambda: kernel_watches() > 0 or task.done())
        yield stand
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert stand.warnings == []


@pytest.fixture(params=[open_best, open_watchfiles] if sys.platform == "linux" else [open_watchfiles])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """What watchers listen with: inotify where it is, and what serves everywhere."""
    found: Opener = request.param
    monkeypatch.setattr(Watcher, "opener", staticmethod(found))
    return found


def scenario(test: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    """Run an async test in a loop of its own, once with each opener."""

    def run(tmp_path: Path) -> None:
        async def main() -> None:
            await test(tmp_path)

        asyncio.run(main())

    run.__name__ = getattr(test, "__name__", "scenario")
    run.__doc__ = test.__doc__
    return pytest.mark.usefixtures("opener")(run)


@scenario
async def test_a_save_is_told_once_to_those_who_loaded_the_file(tmp_path: Path) -> None:
    mine, ours = write(tmp_path / "a/mine.py"), write(tmp_path / "ours.py")
    write(tmp_path / "tests/test_a.py")
    async with watching(tmp_path, plan("a", tmp_path), plan("b", tmp_path), plan("c", tmp_path)) as stand:
        stand.load("a", mine, ours)
        stand.load("b", ours)
        before = time.monotonic()
        write(mine, "new")
        event = await stand.told.get()
        assert (event.app, event.paths) == ("a", ("a/mine.py",))
        assert before <= event.at <= time.monotonic()
        write(ours, "new")
        assert {await stand.next(), await stand.next()} == {("a", ("ours.py",)), ("b", ("ours.py",))}
        write(tmp_path / "tests/test_a.py", "new")
        os.utime(ours, ns=(ours.stat().st_atime_ns + 1, ours.stat().st_mtime_ns))
        ours.chmod(0o600)
        await stand.quiet()


@scenario
async def test_every_save_counts_however_fast(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py", "000")
    async with watching(tmp_path, plan("a", tmp_path)) as stand:
        stand.load("a", path)
        for count in range(1, 21):
            write(path, f"{count:03}")
            await stand.next()
            stand.load("a", path)
        await stand.quiet()


@scenario
async def test_whoever_asks_finds_all_told_that_was_saved_before(tmp_path: Path) -> None:
    path, page = write(tmp_path / "a.py", "000"), write(tmp_path / "pages/a.html")
    async with watching(tmp_path, plan("a", tmp_path, "pages")) as stand:
        stand.load("a", path)
        await stand.watcher.caught_up()
        assert stand.told.empty()
        for count in range(1, 6):
            write(path, f"{count:03}")
            await stand.watcher.caught_up()
            assert stand.told.get_nowait().paths == ("a.py",)
            stand.load("a", path)
        write(page, "new")
        await stand.watcher.caught_up()
        assert stand.told.get_nowait().paths == ("pages/a.html",)
        await stand.quiet()


@scenario
async def test_a_save_before_the_report_arrives_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py")
    async with watching(tmp_path, plan("a", tmp_path)) as stand:
        seen = LoadedFile(str(path), stamp(str(path)))
        write(path, "newer")
        stand.watcher.begin(Run("a", 2))
        stand.watcher.loaded(Run("a", 1), [seen])  # an older run: late word
        await stand.quiet()
        stand.watcher.loaded(Run("a", 2), [seen])
        assert await stand.next() == ("a", ("a.py",))
        stand.watcher.loaded(Run("a", 2), [seen])
        await stand.quiet()


@scenario
async def test_files_of_the_run_before_count_until_the_new_one_settles(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py")
    async with watching(tmp_path, plan("a", tmp_path)) as stand:
        stand.load("a", path)
        stand.watcher.begin(Run("a", 2))
        write(path, "newer")
        assert await stand.next() == ("a", ("a.py",))
        stand.watcher.settle(Run("a", 2))
        write(path, "newest")
        await stand.quiet()


async def _replace(path: Path) -> None:
    write(path.with_name("a.py.tmp.77"), "replaced").replace(path)


async def _delete_and_create(path: Path) -> None:
    path.unlink()
    await asyncio.sleep(0.04)
    write(path, "created")


async def _as_vim_does(path: Path) -> None:
    write(path.with_name("4913")).unlink()
    path.rename(path.with_name("a.py~"))
    await asyncio.sleep(0.03)
    write(path, "written")
    path.with_name("a.py~").unlink()


async def _as_jetbrains_does(path: Path) -> None:
    write(path.with_name("a.py___jb_tmp___"), "safe")
    path.rename(path.with_name("a.py___jb_old___"))
    await asyncio.sleep(0.03)
    path.with_name("a.py___jb_tmp___").rename(path)
    path.with_name("a.py___jb_old___").unlink()


async def _truncate_and_write(path: Path) -> None:
    with path.open("w") as file:
        await asyncio.sleep(0.04)
        file.write("slow")


@pytest.mark.parametrize("save", [_replace, _delete_and_create, _as_vim_does, _as_jetbrains_does, _truncate_and_write])
@pytest.mark.parametrize("entry", [(), (".",)])
@pytest.mark.usefixtures("opener")
def test_an_editors_way_to_save_is_one_change(
    tmp_path: Path, save: Callable[[Path], Awaitable[None]], entry: tuple[str, ...]
) -> None:
    path = write(tmp_path / "a.py")

    async def main() -> None:
        async with watching(tmp_path, plan("a", tmp_path, *entry)) as stand:
            if not entry:
                stand.load("a", path)
            await save(path)
            assert await stand.next() == ("a", ("a.py",))
            assert path.read_text() not in ("", "x")
            await stand.quiet()

    asyncio.run(main())


@scenario
async def test_a_deleted_file_is_told_and_so_is_its_return(tmp_path: Path) -> None:
    path = write(tmp_path / "pkg/a.py")
    async with watching(tmp_path, plan("a", tmp_path)) as stand:
        stand.load("a", path)
        path.unlink()
        assert await stand.next() == ("a", ("pkg/a.py",))
        stand.load("a", path)  # looked for, and absent
        await stand.quiet()
        write(path)
        assert await stand.next() == ("a", ("pkg/a.py",))


@scenario
async def test_a_file_that_was_looked_for_is_told_when_it_appears(tmp_path: Path) -> None:
    async with watching(tmp_path, plan("a", tmp_path)) as stand:
        stand.load("a", "late.py", "late/__init__.py", "never.py")
        write(tmp_path / "late/__init__.py")
        assert await stand.next() == ("a", ("late/__init__.py",))
        write(tmp_path / "late.py")
        assert await stand.next() == ("a", ("late.py",))


def _write_slowly(paths: Sequence[Path]) -> None:
    for number, path in enumerate(paths):
        write(path, "new")
        if number % 50 == 49:
            time.sleep(0.015)  # longer than the watcher waits for a single save


@scenario
async def test_a_burst_is_one_event_an_app(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"pkg{number % 7}/m{number}.py") for number in range(300)]
    async with watching(tmp_path, plan("a", tmp_path), plan("b", tmp_path)) as stand:
        stand.load("a", *paths)
        stand.load("b", *paths[:5])
        await stand.quiet()
        # In the loop's own thread: the watcher hears in parts, and gets to think when all is written, however slowly.
        _write_slowly(paths)
        told = dict([await stand.next(), await stand.next()])
        assert len(told["a"]) == 300
        assert len(told["b"]) == 5
        assert list(told["a"]) == sorted(told["a"])
        await stand.quiet()


@scenario
async def test_a_slow_formatter_is_few_events(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"m{number}.py") for number in range(40)]

    def rewrite() -> None:
        for path in paths:
            write(path, "new")
            time.sleep(0.005)

    async with watching(tmp_path, plan("a", tmp_path)) as stand:
        stand.load("a", *paths)
        await stand.quiet()
        await asyncio.to_thread(rewrite)
        told, count = set[str](), 0
        while len(told) < 40:
            told |= set((await stand.next())[1])
            count += 1
        assert count <= 8
        await stand.quiet()


@on_linux
def test_saves_that_follow_one_another_are_told_without_delay(tmp_path: Path) -> None:
    """Not taken for a slow formatter: the app is up again. The first quarter counts, as machines are busy."""
    path = write(tmp_path / "a.py")

    async def main() -> list[float]:
        times: list[float] = []
        async with watching(tmp_path, plan("a", tmp_path)) as stand:
            stand.load("a", path)
            await stand.quiet()
            for count in range(20):
                began = time.monotonic()
                await asyncio.to_thread(path.write_text, f"{count:03}")
                await stand.next()
                times.append(time.monotonic() - began)
                stand.load("a", path)
        return times

    assert sorted(asyncio.run(main()))[5] < SOME_QUIET


@scenario
async def test_watch_and_ignore(tmp_path: Path) -> None:
    project, shared = tmp_path / "p", tmp_path / "shared"
    write(project / "api/q/a.sql")
    write(shared / "deep/b.txt")
    api = plan("api", project / "api", "../../shared", "*.sql", ignore=("*.log",))
    async with watching(project, api, plan("web", project), own=[shared / ".env", shared / "state"]) as stand:
        write(project / "api/q/a.sql", "new")
        assert await stand.next() == ("api", ("api/q/a.sql",))
        write(shared / "deep/b.txt", "new")
        assert await stand.next() == ("api", (str(shared / "deep/b.txt"),))
        for junk in ("deep/x.log", "deep/b.txt~", "deep/.b.txt.swp", "__pycache__/a.txt", ".env", "state/x", ".git/x"):
            write(shared / junk)
        await stand.quiet()
        write(shared / "new/er/c.txt")
        assert await stand.next() == ("api", (str(shared / "new/er/c.txt"),))
        shutil.rmtree(shared / "new")
        assert await stand.next() == ("api", (str(shared / "new/er/c.txt"),))
        await stand.quiet()


@scenario
async def test_a_watched_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    async with watching(tmp_path / "p", plan("a", tmp_path / "p", "../shared", "dist")) as stand:
        write(tmp_path / "shared/x/b.txt")
        assert await stand.next() == ("a", (str(tmp_path / "shared/x/b.txt"),))
        write(tmp_path / "p/own/b.txt")
        await stand.quiet()


@scenario
async def test_a_build_folder_that_is_watched_by_name_is_made_anew(tmp_path: Path) -> None:
    write(tmp_path / "dist/a.js", "1")
    async with watching(tmp_path, plan("a", tmp_path, "dist")) as stand:
        shutil.rmtree(tmp_path / "dist")
        assert await stand.next() == ("a", ("dist/a.js",))
        write(tmp_path / "dist/a.js", "2")
        assert await stand.next() == ("a", ("dist/a.js",))
        write(tmp_path / "dist/a.js", "33")
        assert await stand.next() == ("a", ("dist/a.js",))


@on_linux
@scenario
async def test_what_is_nobodys_own_takes_no_watch(tmp_path: Path) -> None:
    for number in range(5_000):
        os.makedirs(tmp_path / f"web/node_modules/p{number % 50}/d{number}")
    for foreign in (".venv/lib/site-packages/x/m.py", ".git/objects/aa/x", "env/pyvenv.cfg", "env/lib/m.py"):
        write(tmp_path / foreign)
    path = write(tmp_path / "shop/api/m.py")
    async with watching(tmp_path, plan("a", tmp_path)) as stand:
        assert kernel_watches() == 4  # the project, web, shop, shop/api
        stand.load("a", path)
        write(path, "new")
        assert await stand.next() == ("a", ("shop/api/m.py",))
        for number in range(100):
            os.makedirs(tmp_path / f"shop/node_modules/p{number}")
        (tmp_path / "shop/new").mkdir()
        await until(lambda: kernel_watches() == 5)


@on_linux
@scenario
async def test_a_package_that_is_called_build_is_watched_once_it_is_loaded(tmp_path: Path) -> None:
    inside, outside = write(tmp_path / "p/build/m.py"), write(tmp_path / "lib/m.py")
    async with watching(tmp_path / "p", plan("a", tmp_path / "p")) as stand:
        assert kernel_watches() == 1
        stand.load("a", inside, outside)
        await until(lambda: kernel_watches() == 3)
        write(inside, "new")
        assert await stand.next() == ("a", ("build/m.py",))
        write(outside, "new")
        assert await stand.next() == ("a", (str(outside),))


@on_linux
@scenario
async def test_links_are_watched_once_and_loops_end(tmp_path: Path) -> None:
    project = tmp_path / "p"
    write(tmp_path / "real/pkg/m.py")
    project.mkdir()
    for name, target in (("loop", "."), ("above", ".."), ("real", "../real"), ("again", "../real/pkg")):
        os.symlink(target, project / name)
    async with watching(project, plan("a", project, "again/*.txt")) as stand:
        assert kernel_watches() == 3
        stand.load("a", project / "real/pkg/m.py")
        write(tmp_path / "real/pkg/m.py", "new")
        assert await stand.next() == ("a", ("real/pkg/m.py",))
        write(tmp_path / "real/pkg/a.txt", "new")
        assert await stand.next() == ("a", ("again/a.txt",))


@scenario
async def test_folders_that_come_and_go(tmp_path: Path) -> None:
    path = write(tmp_path / "pkg/sub/m.py")
    async with watching(tmp_path, plan("a", tmp_path)) as stand:
        stand.load("a", path)
        for number in range(3):
            (tmp_path / "pkg").rename(tmp_path / "away")
            assert await stand.next() == ("a", ("pkg/sub/m.py",))
            (tmp_path / "away").rename(tmp_path / "pkg")
            assert await stand.next() == ("a", ("pkg/sub/m.py",))
            write(path, f"new{number}")
            assert await stand.next() == ("a", ("pkg/sub/m.py",))
        shutil.rmtree(tmp_path / "pkg")
        assert await stand.next() == ("a", ("pkg/sub/m.py",))
        write(path, "back")
        assert await stand.next() == ("a", ("pkg/sub/m.py",))
        await stand.quiet()


@scenario
async def test_an_app_that_does_not_reload_hears_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py")
    async with watching(tmp_path, plan("a", tmp_path), plan("b", tmp_path, ".", reload=False)) as stand:
        stand.load("a", path)
        stand.load("b", path)
        write(path, "new")
        assert await stand.next() == ("a", ("a.py",))
        await stand.quiet()


@scenario
async def test_nothing_is_watched_when_no_app_reloads(tmp_path: Path) -> None:
    stand = Stand(tmp_path, [plan("a", tmp_path, ".", reload=False)])
    task = asyncio.create_task(stand.watcher.run())
    write(tmp_path / "a.txt")
    await stand.quiet()
    assert sys.platform != "linux" or kernel_watches() == 0
    task.cancel()
    await asyncio.wait([task])


def test_polling_tells_two_saves_within_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "1")
    path = write(tmp_path / "a.py", "1")

    async def main() -> None:
        stand = Stand(tmp_path, [plan("a", tmp_path)])
        task = asyncio.create_task(stand.watcher.run())
        stand.load("a", path)
        for text in ("2", "3"):
            write(path, text)
            assert await stand.next() == ("a", ("a.py",))
            stand.load("a", path)
        assert sys.platform != "linux" or kernel_watches() == 0
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())


NARROW = """
import asyncio, pathlib, sys, time
sys.path.insert(0, sys.argv[2])
from tests.live.test_watch import Stand, Watcher, plan, write
import devrun.notify

Watcher.opener = staticmethod(getattr(devrun.notify, sys.argv[3]))

async def main():
    folder = pathlib.Path(sys.argv[1])
    stand = Stand(folder, [plan("a", folder, "*.sql")])
    task = asyncio.create_task(stand.watcher.run())
    stand.load("a", "d3/m.py")
    while not stand.warnings:
        await asyncio.sleep(0.01)
    write(folder / "d3/m.py", "new")
    print(await stand.next())
    write(folder / "d4/new.sql", "new")
    print(await stand.next())
    print(stand.warnings)
    task.cancel()
    await asyncio.wait([task])

asyncio.run(main())
"""


@on_linux
@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
@pytest.mark.parametrize("opener", ["open_best", "open_watchfiles"])
def test_no_watches_left(tmp_path: Path, limit: str, opener: str) -> None:
    """The limits are those of a user namespace of its own: the machine's are everybody's."""
    for number in range(9):
        write(tmp_path / f"d{number}/m.py")
    allowed = 5 if limit == "max_inotify_watches" else 0
    shell = f'echo {allowed} > /proc/sys/user/{limit} || exit 77; exec "$@"'
    child = [sys.executable, "-c", NARROW, str(tmp_path), str(Path(__file__).parents[2]), opener]
    try:
        done = subprocess.run(["unshare", "-Ur", "sh", "-c", shell, "sh", *child], capture_output=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("no unshare")
    if done.returncode == 77 or b"unshare" in done.stderr:
        pytest.skip("no user namespaces here")
    assert done.returncode == 0, done.stderr.decode()
    first, second, warnings = done.stdout.decode().splitlines()
    assert first == "('a', ('d3/m.py',))"
    assert second == "('a', ('d4/new.sql',))"
    assert warnings.count("fs.inotify.max_user_watches") == 1


class Failing(Watcher):
    """Fails at first, in the ways that the real thing might."""

    failures: list[Exception | None]

    @staticmethod
    async def opener(
        folders: Sequence[str], stop: asyncio.Event, polling: bool
    ) -> AsyncIterator[set[tuple[Change, str]]]:
        if Failing.failures:
            failure = Failing.failures.pop()
            if failure is not None:
                raise failure
            return
        async for changes in open_best(folders, stop, polling):
            yield changes


@pytest.mark.parametrize(
    ("failure", "warned"),
    [
        (ExceptionGroup("in a task", [RuntimeError("boom")]), "boom"),
        (None, "without being asked"),
        (FileNotFoundError("a folder has just gone"), None),
        (NotADirectoryError(errno.ENOTDIR, "a folder has just become a file"), None),
        (OSError(errno.ENOSPC, "No space left on device", "folder"), "fs.inotify.max_user_watches"),
        (OSError("OS file watch limit reached."), "fs.inotify.max_user_watches"),
    ],
)
def test_a_watcher_that_fails_is_made_anew(tmp_path: Path, failure: Exception | None, warned: str | None) -> None:
    path = write(tmp_path / "a.py")
    told: asyncio.Queue[Event] = asyncio.Queue()
    warnings: list[str] = []
    Failing.failures = [failure]

    async def main() -> None:
        watcher = Failing(
            Scope([plan("a", tmp_path)]), tmp_path, emit=told.put_nowait, clock=time.monotonic, warn=warnings.append
        )
        task = asyncio.create_task(watcher.run())
        watcher.loaded(Run("a", 1), [LoadedFile(str(path), stamp(str(path)))])
        await until(lambda: not Failing.failures)
        write(path, "new")
        async with asyncio.timeout(DEADLINE):
            assert isinstance(await told.get(), FilesChanged)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert len(warnings) == (warned is not None)
    assert warned is None or warned in warnings[0]


class Deaf(Watcher):
    """Hears of nothing, as on a mount whose changes are made on another machine."""

    @staticmethod
    async def opener(
        folders: Sequence[str], stop: asyncio.Event, polling: bool
    ) -> AsyncIterator[set[tuple[Change, str]]]:
        await stop.wait()
        yield set()


def test_a_save_that_nobody_heard_of_is_told_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py")
    told: asyncio.Queue[Event] = asyncio.Queue()

    async def main() -> None:
        watcher = Deaf(
            Scope([plan("a", tmp_path)]), tmp_path, emit=told.put_nowait, clock=time.monotonic, warn=pytest.fail
        )
        task = asyncio.create_task(watcher.run())
        watcher.loaded(Run("a", 1), [LoadedFile(str(path), stamp(str(path)))])
        await asyncio.sleep(QUIET)
        write(path, "new")
        async with asyncio.timeout(DEADLINE):
            assert isinstance(await told.get(), FilesChanged)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())


def test_too_many_folders_are_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devrun.folders, "MOST_FOLDERS", 3)
    for number in range(9):
        write(tmp_path / f"d{number}/m.py")

    async def main() -> None:
        stand = Stand(tmp_path, [replace(plan("a", tmp_path))])
        task = asyncio.create_task(stand.watcher.run())
        await until(lambda: bool(stand.warnings))
        stand.load("a", *(f"d{number}/m.py" for number in range(9)))
        for number in range(9):
            write(tmp_path / f"d{number}/m.py", "new")
        assert len((await stand.next())[1]) == 9
        task.cancel()
        await asyncio.wait([task])
        assert len(stand.warnings) == 1

    asyncio.run(main())

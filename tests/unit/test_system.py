"""What a process has of the system; also where the system tells little (no /proc, no waitid, no prctl)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from devrun.child import system
from tests.unit.alone import alone

POOR = """
import os, sys
if sys.argv[1:] == ["poor"]:
    listdir = os.listdir
    def poor(path="."):
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return listdir(path)
    os.listdir = poor
    del os.waitid
from devrun.child.system import *
from devrun.child import system
import threading, time
"""


@pytest.fixture(params=["rich", "poor"])
def run(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Runs a script alone, on a system that tells much and on one that tells little."""
    how: str = request.param
    return lambda script: alone(POOR + script, how)


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    listdir = os.listdir

    def poor(path: str) -> list[str]:
        if path.startswith("/proc"):
            raise FileNotFoundError(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", poor)


# --- threads ----------------------------------------------------------------------------------------------------------

TICKER = """
stop = threading.Event()
ticker = threading.Thread(target=stop.wait, name="ticker", daemon=True)
ticker.start()
"""


def test_threads_are_counted(run: Callable[[str], Any]) -> None:
    assert run(f"found = [thread_count()]{TICKER}found.append(thread_count())") == [1, 2]


def test_what_outlasts_a_fork(run: Callable[[str], Any]) -> None:
    assert run("found = outlasts_fork(threads=1)") is None
    assert run(f"{TICKER}found = outlasts_fork(threads=1)") == "starts a thread (ticker)"
    assert run(f"{TICKER}found = outlasts_fork(threads=2)") is None


def test_threads_of_several_names(run: Callable[[str], Any]) -> None:
    assert run(TICKER + TICKER.replace("ticker", "again") + "found = outlasts_fork(threads=1)") == (
        "starts a thread (again, ticker)"
    )


def test_a_thread_that_ends_itself_at_a_fork(run: Callable[[str], Any]) -> None:
    end = """
def end():
    stop.set()
    ticker.join()
    while thread_count() > 1:
        time.sleep(0.001)
os.register_at_fork(before=end)
found = [outlasts_fork(threads=1), thread_count()]
"""
    assert run(TICKER + end) == [None, 1]


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="the system does not tell of threads")
def test_a_thread_that_python_does_not_know() -> None:
    """As a library in C starts them."""
    script = """
import _thread
_thread.start_new_thread(time.sleep, (10,))
while thread_count() < 2:
    time.sleep(0.001)
threading.enumerate = lambda: [threading.main_thread()]
found = outlasts_fork(threads=1)
"""
    assert alone(POOR + script) == "starts a thread"


def test_the_trial_leaves_no_child(run: Callable[[str], Any]) -> None:
    script = """
outlasts_fork(threads=1)
try:
    found = os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    found = "no child"
"""
    assert run(TICKER + script) == "no child"


# --- descriptors ------------------------------------------------------------------------------------------------------


def test_open_descriptors(tmp_path: Path) -> None:
    before = system.open_descriptors()
    with open(tmp_path / "file", "w") as file:
        now = system.open_descriptors()
        assert now.keys() - before.keys() == {file.fileno()}
        if sys.platform.startswith("linux"):
            assert now[file.fileno()] == str(tmp_path / "file")
    assert system.open_descriptors() == before


@pytest.mark.usefixtures("no_proc")
def test_open_descriptors_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(path: str) -> str:
        raise OSError(path)

    monkeypatch.setattr(os, "readlink", none)  # as in macOS's /dev/fd
    before = system.open_descriptors()
    with open(tmp_path / "file", "w") as file:
        assert system.open_descriptors() == {**before, file.fileno(): "a file"}


def test_a_system_that_tells_nothing_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(path: str) -> list[str]:
        raise OSError(path)

    monkeypatch.setattr(os, "listdir", none)
    assert system.open_descriptors() == {}


# --- children and orphans ---------------------------------------------------------------------------------------------

BURY = """
def bury_one():
    while True:
        dead = bury()
        if dead is not None:
            return dead
        time.sleep(0.001)
"""


@pytest.mark.parametrize(("end", "code"), [("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", -9), ("os._exit(0)", 0)])
def test_the_dead_are_buried_with_their_exit_code(run: Callable[[str], Any], end: str, code: int) -> None:
    script = f"""
nobody = bury()
pid = os.fork()
if not pid:
    {end}
number, code = bury_one()
found = [nobody, number == pid, code, bury()]
"""
    assert run(BURY + script) == [None, True, code, None]


def test_the_living_are_not_buried(run: Callable[[str], Any]) -> None:
    script = """
pid = os.fork()
if not pid:
    time.sleep(60)
    os._exit(0)
first = bury()
os.kill(pid, 9)
found = [first, bury_one()[1]]
"""
    assert run(BURY + script) == [None, -9]


def test_what_is_left_of_a_group_goes_with_its_leader(run: Callable[[str], Any]) -> None:
    script = """
reading, writing = os.pipe()
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    os.write(writing, b"x")
    time.sleep(60)
    os._exit(0)
os.close(writing)
os.read(reading, 1)
bury_one()
found = os.read(reading, 1) == b""  # nobody holds the other end any more
"""
    assert run(BURY + script) is True


def test_the_end_of_a_group_and_of_a_process_that_leads_none_yet() -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    leader = subprocess.Popen(sleeper, start_new_session=True)
    single = subprocess.Popen(sleeper)
    system.end_group(leader.pid)
    system.end_group(single.pid)
    assert [process.wait(10) for process in (leader, single)] == [-9, -9]
    system.end_group(leader.pid)  # long gone


ORPHAN = """
adopt_orphans()
reading, writing = os.pipe()
if not os.fork():
    middle = os.getpid()
    if not os.fork():
        while os.getppid() == middle:
            time.sleep(0.001)
        os.write(writing, b"%d" % os.getppid())
        os._exit(0)
    os._exit(0)
os.wait()
found = int(os.read(reading, 20)) == os.getpid()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has such processes")
def test_orphans_are_adopted() -> None:
    assert alone(POOR + ORPHAN) is True


WITHOUT: Mapping[str, str] = {
    "another system": "sys.platform = 'darwin'",
    "no ctypes": "sys.modules['ctypes'] = None",
    "no prctl": "import ctypes; ctypes.CDLL = lambda name: object()",
    "no library": "import ctypes\ndef CDLL(name): raise OSError\nctypes.CDLL = CDLL",
}


@pytest.mark.parametrize("why", WITHOUT)
def test_where_orphans_cannot_be_adopted(why: str) -> None:
    assert alone(f"{POOR}\n{WITHOUT[why]}\n{ORPHAN}") is False

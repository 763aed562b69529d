"""The log files of a stack: what is in them, that they stay small, and that nobody waits for them."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

from devrun.events import Run, StackDown
from devrun.history import History
from devrun.logfiles import BACKLOG_BYTES, LogFiles
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import wait_until
from tests.live.apps import TOML, answering

RUN = Run("api", 1)


class Writing:
    """Log files in a folder, fed by a history."""

    def __init__(self, folder: Path, file_bytes: int = 10**9) -> None:
        self.warned: list[str] = []
        self.history = History(lambda: 1764102000.0)
        self.files = LogFiles(folder / "logs", self.warned.append, file_bytes)
        self.log = folder / "logs" / "api.log"

    def put(self, *lines: str) -> None:
        self.files.put(self.history.add(RUN, lines))


def test_lines_are_whole_and_plain_and_for_nobody_else(tmp_path: Path) -> None:
    writing = Writing(tmp_path)
    writing.put("one", "\x1b[32mtwo\x1b[0m \x1b[2J", "x" * 20_000, "odd \udcff")
    writing.files.put(writing.history.tell(StackDown()))
    writing.files.close()
    head, *lines = writing.log.read_text().splitlines()
    assert head.startswith("--- 2025-11-25T") and head.endswith(f" pid {os.getpid()} ---")
    assert lines == ["one", "two ", "x" * 20_000, "odd ?"]
    assert (tmp_path / "devrun.log").read_text().splitlines()[1:] == ["stack down"]
    assert stat.S_IMODE(writing.log.stat().st_mode) == 0o600
    assert stat.S_IMODE(writing.log.parent.stat().st_mode) == 0o700


def test_a_file_that_has_grown_is_put_aside_and_two_are_kept(tmp_path: Path) -> None:
    writing = Writing(tmp_path, file_bytes=1000)
    for number in range(100):
        writing.put(f"{number:0100}")
    writing.files.close()
    assert sorted(path.name for path in writing.log.parent.iterdir()) == ["api.log", "api.log.1", "api.log.2"]
    kept = [
        line for path in (".log.2", ".log.1", ".log") for line in (writing.log.with_suffix(path)).read_text().split()
    ]
    assert kept == [f"{number:0100}" for number in range(100 - len(kept), 100)]
    assert all(path.stat().st_size <= 1100 for path in writing.log.parent.iterdir())


def test_a_second_stack_appends(tmp_path: Path) -> None:
    for text in ("first", "second"):
        writing = Writing(tmp_path)
        writing.put(text)
        writing.files.close()
    assert [line for line in writing.log.read_text().splitlines() if "---" not in line] == ["first", "second"]


def test_a_disk_that_hangs_holds_nobody_up_and_what_is_lost_is_said(tmp_path: Path) -> None:
    """The log file is a pipe that nobody reads for a while."""
    writing = Writing(tmp_path)
    writing.log.parent.mkdir()
    os.mkfifo(writing.log)
    line = "x" * 1000
    begun = time.monotonic()
    for _ in range(3 * BACKLOG_BYTES // 100_000):
        writing.put(*[line] * 100)
    assert time.monotonic() - begun < 2
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(writing.log.read_bytes()))
    reader.start()
    wait_until(lambda: not writing.files._waiting, "the backlog is written")
    writing.put("after it")
    writing.files.close()
    reader.join()
    lines = read[0].decode().splitlines()
    (told,) = [number for number, text in enumerate(lines) if "lines skipped: the disk is slow" in text]
    lost = int(lines[told].split()[1].replace(",", ""))
    assert lost > 0 and lines.count(line) + lost == 3 * BACKLOG_BYTES // 100_000 * 100
    assert lines[told + 1] == "after it"


def test_what_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    writing = Writing(tmp_path / "nowhere")
    writing.put("one")
    writing.put("two")
    writing.files.close()
    assert writing.warned == [f"cannot write the log files in {tmp_path}/nowhere/logs: no such file or directory"]


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    writing = Writing(tmp_path)
    writing.log.parent.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    writing.log.symlink_to(precious)
    writing.put("one")
    writing.files.close()
    assert precious.read_text() == "mine" and len(writing.warned) == 1


FLOOD = """
import sys, threading

def flood():
    block = b"".join(b"line %07d of very many, as long as a line of a log is wont to be\\n" % n for n in range(10_000))
    for _ in range(20):
        sys.stdout.buffer.write(block)
        sys.stdout.flush()
    print("the flood is over", flush=True)

threading.Thread(target=flood, daemon=True).start()
"""


def test_a_flood_blocks_no_app_and_ends_in_bounded_files(project: ProjectBuilder, up: StackStarter) -> None:
    """200,000 lines as fast as a worker prints them, while another app answers."""
    toml = TOML + "[apps.loud]\napp = 'loud:app'\n"
    files = {"devrun.toml": toml, "main.py": answering("'x'"), "loud.py": answering("'y'", FLOOD)}
    stack = up(project(files))
    stack.wait_line(r"^\[devrun\] ready api")
    log = stack.folder / ".devrun" / "logs" / "loud.log"
    slowest = 0.0
    deadline = time.monotonic() + 30
    while not (log.exists() and "the flood is over" in log.read_text()[-2000:]):
        begun = time.monotonic()
        assert stack.get("api").text == "x"
        slowest = max(slowest, time.monotonic() - begun)
        assert time.monotonic() < deadline
    assert slowest < 2
    assert stack.stop() == 0
    sizes = [path.stat().st_size for path in log.parent.iterdir() if path.name.startswith("loud.log")]
    assert len(sizes) == 3 and all(size < 6_000_000 for size in sizes)
    assert log.read_text().splitlines()[-1].startswith("INFO:     Finished server process")

"""The lines that are kept of each worker."""

from __future__ import annotations

from devrun.events import Run
from devrun.history import LINE_BYTES, History
from devrun.logs import Logs

OLD, NEW = Run("api", 1), Run("api", 2)


def test_a_tail_is_of_one_run_only_and_plain_text() -> None:
    heard: list[tuple[str, list[str]]] = []
    logs = Logs(lambda app, lines: heard.append((app, lines)), History(lambda: 0.0))
    logs.feed(OLD, ["SystemExit: of yesterday"])
    logs.feed(NEW, ["one", "\x1b[32mINFO\x1b[0m: two"])
    logs.feed(OLD, ["bye"])
    assert logs.tail(NEW, 20) == ("one", "INFO: two")
    assert logs.tail(NEW, 1) == ("INFO: two",)
    assert logs.tail(Run("api", 3), 20) == ()
    assert heard[1] == ("api", ["one", "\x1b[32mINFO\x1b[0m: two"])


def test_the_oldest_lines_are_forgotten_first_and_empty_ones_count_too() -> None:
    logs = Logs(lambda _app, _lines: None, History(lambda: 0.0, ring_bytes=2 * LINE_BYTES + 10))
    logs.feed(OLD, ["12345", "67890"])
    logs.feed(NEW, ["abcde"])
    assert logs.tail(OLD, 20) == ("67890",)
    assert logs.tail(NEW, 20) == ("abcde",)
    logs.feed(NEW, [""] * 1000)
    assert logs.tail(OLD, 2000) == ()
    assert logs.tail(NEW, 2000) == ("", "")

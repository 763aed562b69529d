"""The lines that wait for the next frame."""

from __future__ import annotations

from devrun.cli.backlog import FRAME_LINES, Backlog, Waiting


def numbered(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_lines_come_out_in_the_order_of_their_coming() -> None:
    backlog = Backlog()
    assert not backlog
    backlog.add("api", ["1", "2"])
    backlog.add("web", ["3"])
    backlog.add("api", ["4"])
    assert backlog
    assert backlog.take() == [Waiting("api", 0, ["1", "2"]), Waiting("web", 0, ["3"]), Waiting("api", 0, ["4"])]
    assert not backlog
    assert backlog.take() == []


def test_of_a_flood_the_newest_lines_are_kept_and_the_others_counted() -> None:
    backlog = Backlog()
    backlog.add("api", numbered(3))
    backlog.add("api", numbered(FRAME_LINES - 1))
    backlog.add("api", numbered(FRAME_LINES * 3))
    [waiting] = backlog.take()
    assert waiting.skipped == FRAME_LINES * 3 + 2
    assert list(waiting.lines) == numbered(FRAME_LINES * 3)[-FRAME_LINES:]
    backlog.add("api", ["after"])
    assert backlog.take() == [Waiting("api", 0, ["after"])]


def test_a_flood_of_one_app_pushes_out_no_line_of_another() -> None:
    backlog = Backlog()
    backlog.add("quiet", ["important"])
    backlog.add("loud", numbered(FRAME_LINES * 10))
    quiet, loud = backlog.take()
    assert quiet == Waiting("quiet", 0, ["important"])
    assert len(loud.lines) + loud.skipped == FRAME_LINES * 10
    assert len(loud.lines) == FRAME_LINES // 2


def test_a_frame_is_bounded_however_many_apps_talk() -> None:
    backlog = Backlog()
    for app in range(500):
        backlog.add(f"app{app}", numbered(100))
    assert sum(len(waiting.lines) for waiting in backlog.take()) == FRAME_LINES

"""How long a pause ends a burst of changes: times in, pauses out."""

from __future__ import annotations

from devrun.pace import BURST_PATHS, BURST_QUIET, FOLLOW, SAVE_PATHS, SOME_QUIET, Pace

SAVED = frozenset({"/p/a.py"})
OTHER = frozenset({"/p/b.py"})


def test_a_save_is_told_at_once_and_more_files_when_they_pause() -> None:
    pace = Pace()
    assert pace.quiet(10.0, 1, SAVED) == 0.0
    assert pace.quiet(10.0, SAVE_PATHS, SAVED) == 0.0
    assert pace.quiet(10.0, SAVE_PATHS + 1, SAVED) == SOME_QUIET
    assert pace.quiet(10.0, BURST_PATHS, SAVED) == BURST_QUIET


def test_a_file_after_another_is_a_formatter_at_work() -> None:
    pace = Pace()
    pace.told(10.0, SAVED, ())
    assert pace.quiet(10.0 + FOLLOW / 2, 1, OTHER) == SOME_QUIET
    assert pace.quiet(10.0 + FOLLOW / 2, 1, SAVED) == 0.0, "the newest save of a file wins at once"
    assert pace.quiet(10.0 + FOLLOW / 2, 1, frozenset()) == 0.0, "what concerns nobody prolongs nothing"
    assert pace.quiet(10.0 + FOLLOW, 1, OTHER) == 0.0


def test_the_same_file_again_is_one_too_while_the_app_is_not_up() -> None:
    pace = Pace()
    pace.told(10.0, SAVED, ["api"])
    assert pace.quiet(10.0 + FOLLOW / 2, 1, SAVED) == SOME_QUIET
    pace.settled("api")
    assert pace.quiet(10.0 + FOLLOW / 2, 1, SAVED) == 0.0

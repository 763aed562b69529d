"""Which states of which files count, over the runs of one app."""

from __future__ import annotations

from devrun.events import LoadedFile
from devrun.loaded import Ledger

ONE, TWO, THREE = (1, 1, 1), (2, 2, 2), (3, 3, 3)


def files(**stamps: tuple[int, int, int] | None) -> list[LoadedFile]:
    return [LoadedFile(path, stamp) for path, stamp in stamps.items()]


def test_a_loaded_file_counts_in_the_state_that_was_read() -> None:
    ledger = Ledger()
    assert ledger.load(1, files(a=ONE, b=None))
    assert list(ledger) == ["a", "b"]
    assert ledger.known("a") == ONE
    assert ledger.tracks("b")
    assert ledger.known("b") is None
    assert not ledger.tracks("c")
    assert ledger.known("c") is None


def test_the_newest_report_counts() -> None:
    ledger = Ledger()
    ledger.load(1, files(a=None))
    ledger.load(1, files(a=TWO))
    assert ledger.known("a") == TWO


def test_a_file_that_was_saved_between_two_reads_of_one_run_is_to_be_read_again() -> None:
    ledger = Ledger()
    ledger.load(1, files(a=ONE))
    ledger.load(1, files(a=TWO, b=ONE))
    assert ledger.known("a") == ONE
    ledger.load(2, files(a=TWO))
    ledger.load(2, files(a=TWO))
    assert ledger.known("a") == TWO


def test_an_app_that_writes_such_a_file_itself_is_read_again_once() -> None:
    ledger = Ledger()
    for run in range(1, 4):
        ledger.load(run, files(a=ONE))
        ledger.load(run, files(a=TWO))
        assert ledger.known("a") == (ONE if run == 1 else TWO)
    ledger.load(4, files(a=TWO))
    ledger.load(5, files(a=TWO))
    ledger.load(5, files(a=THREE))
    assert ledger.known("a") == TWO


def test_files_of_the_run_before_count_until_the_new_one_settles() -> None:
    ledger = Ledger()
    ledger.load(1, files(a=ONE, b=ONE))
    ledger.begin(2)
    ledger.load(2, files(b=TWO))
    assert ledger.known("a") == ONE
    assert ledger.known("b") == TWO
    ledger.settle(1)  # late word
    assert ledger.tracks("a")
    ledger.settle(2)
    assert not ledger.tracks("a")
    assert ledger.tracks("b")


def test_a_run_that_never_settles_hands_on_what_older_ones_loaded() -> None:
    ledger = Ledger()
    ledger.load(1, files(a=ONE))
    ledger.load(2, files(b=ONE))
    ledger.begin(3)
    assert set(ledger) == {"a", "b"}


def test_an_older_run_is_not_heard() -> None:
    ledger = Ledger()
    ledger.begin(2)
    ledger.begin(1)
    assert not ledger.load(1, files(a=ONE))
    assert not ledger.tracks("a")


def test_a_told_save_is_known_in_its_new_state_and_a_late_report_does_not_undo_that() -> None:
    ledger = Ledger()
    ledger.load(1, files(a=ONE))
    ledger.begin(2)
    ledger.tell("a", TWO)
    ledger.load(2, files(a=ONE))  # read before the save, reported after it was told
    assert ledger.known("a") == TWO
    ledger.settle(2)
    assert ledger.known("a") == TWO


def test_what_was_told_before_a_run_began_says_nothing_about_what_that_run_has_read() -> None:
    ledger = Ledger()
    ledger.load(1, files(a=ONE))
    ledger.tell("a", THREE)
    ledger.begin(2)
    assert ledger.known("a") == THREE
    ledger.load(2, files(a=TWO))
    assert ledger.known("a") == TWO


def test_settling_forgets_what_was_told_of_files_that_no_longer_count() -> None:
    ledger = Ledger()
    ledger.load(1, files(a=ONE))
    ledger.begin(2)
    ledger.tell("a", TWO)
    ledger.settle(2)
    assert ledger.known("a") is None

"""Which checkpoints are kept. A checkpoint is a text here: the file it is parked at, and which one it is."""

from __future__ import annotations

from devrun.checkpoints import Checkpoints


def parked(checkpoints: Checkpoints[str]) -> list[str]:
    return [one for _, one in checkpoints.parked]


def test_nothing_is_wanted_before_the_first_edit() -> None:
    checkpoints = Checkpoints[str](4)
    assert checkpoints.wanted == ()
    assert checkpoints.parked == ()


def test_the_newest_edits_are_wanted_first() -> None:
    checkpoints = Checkpoints[str](2)
    for file in ("a", "b", "a", "c"):
        assert checkpoints.edit([file]) == []
    assert checkpoints.wanted == ("c", "a")


def test_files_of_one_save_are_wanted_together() -> None:
    checkpoints = Checkpoints[str](3)
    checkpoints.edit(["a"])
    checkpoints.edit(["b", "c", "b"])
    assert checkpoints.wanted == ("b", "c", "a")


def test_what_is_parked_stands_in_the_order_of_the_import() -> None:
    checkpoints = Checkpoints[str](3)
    checkpoints.edit(["b", "a"])
    assert checkpoints.park("a", "a1") == []
    assert checkpoints.park("b", "b1") == []
    assert checkpoints.parked == (("a", "a1"), ("b", "b1"))


def test_a_newer_one_in_front_of_the_same_file_takes_the_place() -> None:
    checkpoints = Checkpoints[str](3)
    checkpoints.edit(["a", "b"])
    checkpoints.park("a", "a1")
    checkpoints.park("b", "b1")
    assert checkpoints.park("a", "a2") == ["a1"]
    assert parked(checkpoints) == ["b1", "a2"], "now behind the other: this import came to it later"


def test_an_edit_sheds_what_is_too_many() -> None:
    checkpoints = Checkpoints[str](2)
    checkpoints.edit(["a", "b"])
    checkpoints.park("a", "a1")
    checkpoints.park("b", "b1")
    assert checkpoints.edit(["b"]) == []
    assert checkpoints.edit(["c"]) == ["a1"]
    assert parked(checkpoints) == ["b1"]


def test_what_is_parked_too_late_is_shed_at_once() -> None:
    checkpoints = Checkpoints[str](1)
    checkpoints.edit(["a"])
    checkpoints.edit(["b"])
    assert checkpoints.park("a", "a1") == ["a1"]
    assert parked(checkpoints) == []


def test_none_at_all() -> None:
    checkpoints = Checkpoints[str](0)
    assert checkpoints.edit(["a"]) == []
    assert checkpoints.wanted == ()
    assert checkpoints.park("a", "a1") == ["a1"]


def test_dropped_and_cleared() -> None:
    checkpoints = Checkpoints[str](3)
    checkpoints.edit(["a", "b", "c"])
    for file in ("a", "b", "c"):
        checkpoints.park(file, f"{file}1")
    checkpoints.drop(parked(checkpoints)[1])
    checkpoints.drop("unknown")
    assert parked(checkpoints) == ["a1", "c1"]
    assert checkpoints.clear() == ["a1", "c1"]
    assert checkpoints.clear() == []
    assert checkpoints.wanted == ("a", "b", "c"), "what was edited is still known"


def test_a_snapshot_of_what_is_parked_does_not_change() -> None:
    checkpoints = Checkpoints[str](3)
    checkpoints.edit(["a"])
    checkpoints.park("a", "a1")
    before = checkpoints.parked
    checkpoints.clear()
    assert before == (("a", "a1"),)


def test_one_in_front_of_a_file_and_one_within_stand_beside_each_other() -> None:
    checkpoints = Checkpoints[str](3)
    checkpoints.edit(["a", "b"])
    checkpoints.park("a", "a1")
    checkpoints.park("b", "b1")
    assert checkpoints.park("a", "a2", within=True) == []
    assert checkpoints.parked == (("a", "a1"), ("b", "b1"), ("a", "a2"))
    assert checkpoints.park("a", "a3", within=True) == ["a2"]
    assert parked(checkpoints) == ["a1", "b1", "a3"]
    assert checkpoints.edit(["c", "d", "e"]) == ["a1", "b1", "a3"]


def test_those_within_count_and_the_least_recently_edited_goes_first() -> None:
    checkpoints = Checkpoints[str](2)
    checkpoints.edit(["a"])
    checkpoints.edit(["b"])
    checkpoints.park("a", "a1")
    checkpoints.park("b", "b1")
    assert checkpoints.park("b", "b2", within=True) == ["a1"]
    assert checkpoints.park("a", "a2", within=True) == ["a2"]
    assert parked(checkpoints) == ["b1", "b2"]
    one = Checkpoints[str](1)
    one.edit(["a"])
    one.park("a", "a1")
    assert one.park("a", "a2", within=True) == ["a1"]

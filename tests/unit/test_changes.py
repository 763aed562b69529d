"""Whom a path concerns, and who is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devrun.changes import Changes
from devrun.events import LoadedFile, Run
from devrun.folders import Tree, stamp, walk
from devrun.loaded import Ledger
from devrun.matching import Entry, Interest, Root

EMPTY = Tree({}, {}, [], set())


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def interested(app: str, folder: Path, *watch: str, ignore: tuple[str, ...] = ()) -> Interest:
    entries = [tuple(Entry(str(folder), ("**", text)) for text in texts) for texts in (watch, ignore)]
    return Interest(app, (Root(str(folder)),), *entries)


def report(changes: Changes, app: str, generation: int, *paths: str) -> set[str]:
    return changes.load(Run(app, generation), [LoadedFile(path, stamp(path)) for path in paths])


def test_a_save_concerns_who_loaded_the_file_in_another_state(tmp_path: Path) -> None:
    changes = Changes([interested("a", tmp_path), interested("b", tmp_path)], tmp_path, [])
    shared, mine = write(tmp_path / "m/shared.py", "1"), write(tmp_path / "mine.py", "1")
    report(changes, "a", 1, shared, mine)
    report(changes, "b", 1, shared)
    assert changes.tell([shared, mine]) == {}
    write(tmp_path / "m/shared.py", "22")
    write(tmp_path / "mine.py", "22")
    assert changes.tell([mine, shared]) == {"a": ("m/shared.py", "mine.py"), "b": ("m/shared.py",)}
    assert changes.tell([mine, shared]) == {}
    write(tmp_path / "mine.py", "333")
    assert changes.concerned(mine) == ["a"]


def test_only_those_who_loaded_a_file_are_asked_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    tracks = Ledger.tracks

    def asked_for(ledger: Ledger, path: str) -> bool:
        asked.append(path)
        return tracks(ledger, path)

    monkeypatch.setattr(Ledger, "tracks", asked_for)
    apps = [f"a{number}" for number in range(200)]
    changes = Changes([interested(app, tmp_path) for app in apps], tmp_path, [])
    for app in apps:
        report(changes, app, 1, write(tmp_path / f"{app}.py", "1"))
    changes.adopt(EMPTY)
    write(tmp_path / "a7.py", "22")
    assert changes.tell([str(tmp_path / f"{app}.py") for app in apps]) == {"a7": ("a7.py",)}
    assert len(asked) <= 3 * len(apps)


def test_word_of_an_app_that_is_not_watched_is_nothing(tmp_path: Path) -> None:
    changes = Changes([], tmp_path, [])
    changes.begin(Run("x", 1))
    changes.settle(Run("x", 1))
    assert report(changes, "x", 1, write(tmp_path / "a.py", "1")) == set()


def test_older_runs_count_until_the_new_one_settles(tmp_path: Path) -> None:
    changes = Changes([interested("a", tmp_path)], tmp_path, [])
    path = write(tmp_path / "a.py", "1")
    report(changes, "a", 1, path)
    changes.begin(Run("a", 2))
    assert report(changes, "a", 1, path) == set()
    write(tmp_path / "a.py", "22")
    assert changes.concerned(path) == ["a"]
    changes.settle(Run("a", 2))
    assert changes.concerned(path) == []


def test_what_a_run_has_loaded_counts_by_that_even_if_it_is_also_watched(tmp_path: Path) -> None:
    changes = Changes([interested("a", tmp_path, "*.py")], tmp_path, [])
    path = write(tmp_path / "a.py", "1")
    report(changes, "a", 1, path)
    write(tmp_path / "a.py", "22")
    report(changes, "a", 2, path)  # this run has read the new one, before the watcher heard of it
    assert changes.tell([path]) == {}


def test_watched_files(tmp_path: Path) -> None:
    changes = Changes([interested("a", tmp_path, "*.sql"), interested("b", tmp_path)], tmp_path, [])
    first = write(tmp_path / "a.sql", "1")
    tree = walk([Root(str(tmp_path))], lambda path: path.endswith(".sql"), lambda _: False)
    assert changes.adopt(tree, first=True) == set()
    assert changes.tell([first]) == {}
    second = write(tmp_path / "new.sql", "1")
    os.unlink(first)
    found = changes.adopt(walk([Root(str(tmp_path))], lambda path: path.endswith(".sql"), lambda _: False))
    assert found == {first, second}
    assert changes.tell(found) == {"a": ("a.sql", "new.sql")}
    assert changes.tell(found) == {}


def test_ignored_files_and_own_files_concern_nobody(tmp_path: Path) -> None:
    changes = Changes([interested("a", tmp_path, "*", ignore=("*.log",))], tmp_path, [tmp_path / ".env"])
    for name in ("a.log", ".env"):
        path = write(tmp_path / name, "1")
        changes.load(Run("a", 1), [LoadedFile(path, None)])
        assert changes.concerned(path) == []


def test_a_file_by_another_name(tmp_path: Path) -> None:
    write(tmp_path / "real/pkg/m.py", "1")
    write(tmp_path / "real/one.py", "1")
    project = tmp_path / "p"
    project.mkdir()
    os.symlink("../real/pkg", project / "pkg")
    os.symlink("../real/one.py", project / "one.py")
    changes = Changes([interested("a", project)], project, [])
    report(changes, "a", 1, str(project / "pkg/m.py"), str(project / "one.py"))
    assert set(changes.folders) == {str(project), str(tmp_path / "real"), str(tmp_path / "real/pkg")}
    write(tmp_path / "real/pkg/m.py", "22")
    write(tmp_path / "real/one.py", "22")
    keys = [str(tmp_path / "real/pkg/m.py"), str(tmp_path / "real/one.py")]
    assert changes.tell(keys) == {"a": ("one.py", "pkg/m.py")}
    assert changes.tell([*keys, str(project / "one.py")]) == {}


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    write(tmp_path / "one/m.py", "1")
    write(tmp_path / "two/m.py", "22")
    os.symlink("one", tmp_path / "now")
    changes = Changes([interested("a", tmp_path)], tmp_path, [])
    report(changes, "a", 1, str(tmp_path / "now/m.py"))
    os.unlink(tmp_path / "now")
    os.symlink("two", tmp_path / "now")
    keys = changes.adopt(EMPTY)
    assert keys == {str(tmp_path / "two/m.py")}
    assert changes.tell(keys) == {"a": ("now/m.py",)}
    assert set(changes.folders) == {str(tmp_path / "two")}


def test_a_file_that_is_gone_or_empty_may_be_unfinished(tmp_path: Path) -> None:
    changes = Changes([interested("a", tmp_path)], tmp_path, [])
    path, empty = write(tmp_path / "a.py", "1"), write(tmp_path / "__init__.py", "")
    report(changes, "a", 1, path, empty)
    assert not changes.unfinished(path)
    write(tmp_path / "a.py", "")
    assert changes.unfinished(path)
    os.unlink(path)
    os.unlink(empty)
    assert changes.unfinished(path)
    assert not changes.unfinished(empty)


def test_a_path_outside_the_project_is_shown_whole(tmp_path: Path) -> None:
    changes = Changes([interested("a", tmp_path / "p")], tmp_path / "p", [])
    path = write(tmp_path / "q/a.py", "1")
    report(changes, "a", 1, path)
    os.unlink(path)
    assert changes.tell([path]) == {"a": (path,)}

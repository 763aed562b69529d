"""What is remembered of the apps' imports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devrun.preloads import MOST_RECORDS, Module, Preloads, Record


def module(name: str) -> Module:
    return name, f"/site-packages/{name.replace('.', '/')}.py"


def names(modules: list[Module]) -> list[str]:
    return [name for name, _ in modules]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache/preload.json"


# --- one record -------------------------------------------------------------------------------------------------------


def test_what_an_app_imports_is_wanted_in_that_order() -> None:
    record = Record()
    assert record.learn("api", [module("zeta"), module("alpha.part"), module("alpha")], None)
    assert record.wanted(["api"]) == [module("zeta"), module("alpha.part"), module("alpha")]
    assert record.apps == {"api": ["zeta", "alpha"]}


def test_nothing_is_wanted_for_an_app_that_is_not_known() -> None:
    record = Record()
    record.learn("api", [module("alpha")], None)
    assert record.wanted(["other"]) == []
    assert record.wanted([]) == []


def test_apps_want_what_each_of_them_uses() -> None:
    record = Record()
    record.learn("one", [module("alpha"), module("beta")], None)
    record.learn("two", [module("gamma"), module("alpha")], None)
    assert names(record.wanted(["one"])) == ["alpha", "beta"]
    assert names(record.wanted(["two"])) == ["alpha", "gamma"]
    assert names(record.wanted(["two", "one"])) == ["alpha", "beta", "gamma"]


def test_only_news_is_news() -> None:
    record = Record()
    assert record.learn("api", [module("alpha")], None)
    assert not record.learn("api", [module("alpha")], None)
    assert not record.learn("api", [], None), "the fork server has imported it already"
    assert record.learn("api", [("alpha", "/elsewhere/site-packages/alpha.py")], None)
    assert record.learn("two", [], None), "an app that imports nothing is known, too"


def test_nothing_is_wanted_for_an_app_that_changes_its_environment() -> None:
    record = Record()
    record.learn("api", [module("alpha")], None)
    record.learn("two", [module("alpha")], None)
    assert record.learn("api", [], "LEVEL")
    assert not record.learn("api", [], "LEVEL")
    assert record.after == {"api": "LEVEL"}
    assert record.changes(["two", "api", "other"]) == {"api": "LEVEL"}
    assert record.changes(["two"]) == {}
    assert record.wanted(["api"]) == []
    assert names(record.wanted(["api", "two"])) == ["alpha"]
    record.learn("api", [module("alpha")], None)
    assert names(record.wanted(["api"])) == ["alpha"], "it does not any more"
    assert record.changes(["api"]) == {}


def test_a_module_and_a_package_that_are_left_out() -> None:
    record = Record()
    record.learn("api", [module("alpha"), module("alpha.part"), module("beta"), module("beta.part")], None)
    record.left_out = {"alpha.part": "x", "beta": "y"}
    assert names(record.wanted(["api"])) == ["alpha"]


def test_what_lasts_of_what_is_left_out() -> None:
    record = Record(
        left_out={
            "ticking": "starts a thread (ticker)",
            "outer": "imports ticking, which starts a thread (ticker)",
            "grpc": "grpc._channel starts a thread",
            "plugin": "imports settings.base, which is the app's own",
            "broken": "cannot be imported ahead of the app: No module named 'extra'",
            "moved": "comes from /a/moved.py, not from /b/moved.py",
        }
    )
    assert list(record.lasting()) == ["ticking", "outer", "grpc", "plugin"]
    assert record.blamed() == ["ticking", "outer", "grpc", "plugin", "settings"]
    assert not record.forget({"other", "broken"})
    assert record.forget({"ticking", "settings"})
    assert list(record.left_out) == ["grpc", "broken", "moved"]
    assert record.forget({"grpc"})
    assert record.blamed() == []


# --- all of them, and the disk ----------------------------------------------------------------------------------------


def test_it_is_remembered(file: Path) -> None:
    preloads = Preloads(file)
    record = preloads.record("/bin/python", "digest")
    record.learn("api", [module("zeta"), module("alpha")], None)
    record.learn("two", [], "LEVEL")
    record.left_out["alpha"] = "starts a thread"
    preloads.save()
    again = Preloads(file).record("/bin/python", "digest")
    assert again == record
    assert list(again.modules) == ["zeta", "alpha"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_how_long_an_app_takes_is_remembered_in_whole_seconds(file: Path) -> None:
    preloads = Preloads(file)
    assert preloads.took("api", 7.6)
    assert not preloads.took("api", 8.4)
    assert preloads.took("api", 0.2)
    assert not preloads.took("api", 0.1)
    preloads.save()
    assert Preloads(file).seconds == {"api": 0}


def test_each_interpreter_and_each_state_of_its_packages_has_its_own(file: Path) -> None:
    preloads = Preloads(file)
    preloads.record("/bin/python", "digest").learn("api", [module("alpha")], None)
    preloads.save()
    again = Preloads(file)
    assert again.record("/bin/python", "other") == Record()
    assert again.record("/bin/other", "digest") == Record()
    assert again.record("/bin/python", "digest").apps == {"api": ["alpha"]}
    assert again.record("/bin/python", "digest") is again.record("/bin/python", "digest")


def test_what_was_left_out_is_not_found_anew_after_an_installation(file: Path) -> None:
    preloads = Preloads(file)
    record = preloads.record("/bin/python", "digest")
    record.left_out = {"ticking": "starts a thread", "broken": "cannot be imported ahead of the app: SystemExit: 3"}
    preloads.save()
    again = Preloads(file)
    assert again.record("/bin/other", "digest") == Record()
    new = again.record("/bin/python", "new")
    assert new == Record(left_out={"ticking": "starts a thread"})
    new.left_out["late"] = "starts a thread"
    assert "late" not in again.record("/bin/python", "digest").left_out


def test_the_records_used_last_are_kept(file: Path) -> None:
    preloads = Preloads(file)
    for number in range(MOST_RECORDS):
        preloads.record("/bin/python", str(number)).learn("api", [module(f"m{number}")], None)
    preloads.record("/bin/python", "0")
    preloads.record("/bin/python", "new")
    preloads.save()
    kept = json.loads(file.read_bytes())["records"]
    assert len(kept) == MOST_RECORDS
    assert list(kept)[:2] == ["new /bin/python", "0 /bin/python"]
    assert "1 /bin/python" not in kept


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b'{"version": 0, "records": {}}',
        b'{"version": 2}',
        b'{"version": 2, "seconds": {}, "records": []}',
        b'{"version": 2, "seconds": {}, "records": {"k": []}}',
        b'{"version": 2, "seconds": {}, "records": {"k": {"modules": {}}}}',
        b'{"version": 2, "seconds": {}, "records": {"k": {"modules": [], "apps": {}, "after": {}, "left_out": {}}}}',
        b'{"version": 2, "seconds": {}, "records": '
        b'{"k": {"modules": {}, "apps": {"a": 1}, "after": {}, "left_out": {}}}}',
        b'{"version": 2, "seconds": [], "records": {}}',
        b'{"version": 2, "seconds": {"api": Infinity}, "records": {}}',
        b"[" * 100_000,
    ],
)
def test_what_is_damaged_is_learned_anew(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    preloads = Preloads(file)
    preloads.record("/bin/python", "digest").learn("api", [module("alpha")], None)
    preloads.save()
    assert Preloads(file).record("/bin/python", "digest").apps == {"api": ["alpha"]}


def test_values_of_another_type_become_texts(file: Path) -> None:
    """An older or newer devrun may have written them; a fork server is told texts."""
    table = {"modules": {"alpha": 1}, "apps": {"api": [2]}, "after": {"api": None}, "left_out": {"beta": 3}}
    file.parent.mkdir()
    file.write_text(json.dumps({"version": 2, "seconds": {"api": "7"}, "records": {"digest /bin/python": table}}))
    preloads = Preloads(file)
    assert preloads.seconds == {"api": 7}
    record = preloads.record("/bin/python", "digest")
    assert record == Record({"alpha": "1"}, {"api": ["2"]}, {"api": "None"}, {"beta": "3"})


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    preloads = Preloads(tmp_path / "cache/preload.json")
    preloads.record("/bin/python", "digest").learn("api", [module("alpha")], None)
    preloads.save()
    assert preloads.record("/bin/python", "digest").apps == {"api": ["alpha"]}

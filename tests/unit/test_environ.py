"""Which variable of the environment the app's own code changes first."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from devrun.child.environ import EnvironChanges

CHANGES = {
    "set": "os.environ['DEVRUN_TEST_A'] = '2'",
    "add": "os.environ['DEVRUN_TEST_B'] = '2'",
    "setdefault": "os.environ.setdefault('DEVRUN_TEST_B', '2')",
    "update": "os.environ.update(DEVRUN_TEST_B='2')",
    "bytes": "os.environb[b'DEVRUN_TEST_B'] = b'2'",
    "putenv": "os.putenv('DEVRUN_TEST_B', '2')",
    "delete": "del os.environ['DEVRUN_TEST_A']",
    "pop": "os.environ.pop('DEVRUN_TEST_A')",
    "unsetenv": "os.unsetenv('DEVRUN_TEST_A')",
}
SAME = {
    "the same value": "os.environ['DEVRUN_TEST_A'] = '1'",
    "a default that is not needed": "os.environ.setdefault('DEVRUN_TEST_A', '2')",
    "a look": "os.environ.get('DEVRUN_TEST_A')",
    "a variable that is not there": "os.environ.pop('DEVRUN_TEST_B', None)",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The app's own folder."""
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.fixture
def changes(folder: Path) -> EnvironChanges:
    return EnvironChanges(lambda path: path.startswith(str(folder)))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVRUN_TEST_A", "1")
    for name in ("DEVRUN_TEST_B", "DEVRUN_TEST_C"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def run(folder: Path, source: str) -> None:
    """Execute source as an own module would be."""
    exec(compile(source, str(folder / "app.py"), "exec"), {"os": os})


@pytest.mark.parametrize("how", CHANGES)
def test_the_first_change(changes: EnvironChanges, folder: Path, how: str) -> None:
    with changes.heard():
        run(folder, CHANGES[how])
        run(folder, "os.environ['DEVRUN_TEST_C'] = '3'; del os.environ['DEVRUN_TEST_C']")
    assert changes.first in ("DEVRUN_TEST_A", "DEVRUN_TEST_B")


def test_who_asks_hears_of_it_beforehand_and_once(folder: Path) -> None:
    heard: list[tuple[str, str]] = []
    changes = EnvironChanges(
        lambda path: path.startswith(str(folder)), lambda name: heard.append((name, os.environ[name]))
    )
    with changes.heard():
        run(folder, "os.environ['DEVRUN_TEST_A'] = '2'; os.environ['DEVRUN_TEST_A'] = '3'")
    assert heard == [("DEVRUN_TEST_A", "1")]
    assert os.environ["DEVRUN_TEST_A"] == "3"


@pytest.mark.parametrize("how", SAME)
def test_what_changes_nothing(changes: EnvironChanges, folder: Path, how: str) -> None:
    with changes.heard():
        run(folder, SAME[how])
    assert changes.first is None


def test_nothing_is_heard_after_the_import(changes: EnvironChanges, folder: Path) -> None:
    before = os.putenv, os.unsetenv
    with changes.heard():
        assert os.putenv is not before[0]
    run(folder, CHANGES["set"])
    assert changes.first is None
    assert (os.putenv, os.unsetenv) == before


@pytest.mark.parametrize("wrong", [(), (1, 2), ("A",), ("A=B", "1"), ("A", "1", "2")])
def test_a_wrong_call_fails_as_it_would_without(changes: EnvironChanges, folder: Path, wrong: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError)) as without:
        run(folder, f"os.putenv(*{wrong!r})")
    with changes.heard(), pytest.raises((TypeError, ValueError)) as heard:
        run(folder, f"os.putenv(*{wrong!r})")
    assert (heard.type, str(heard.value)) == (without.type, str(without.value))


def test_a_package_that_changes_it_while_it_is_imported(
    changes: EnvironChanges, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would do so ahead of the app, too. Not so one of its functions that the app calls."""
    source = "import os\ndef change():\n    os.environ['DEVRUN_TEST_A'] = '2'\nos.environ['DEVRUN_TEST_B'] = '2'\n"
    (tmp_path / "devrun_test_changing.py").write_text(source)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with changes.heard():
        run(folder, "import devrun_test_changing")
        before = changes.first
        run(folder, "import devrun_test_changing; devrun_test_changing.change()")
    del sys.modules["devrun_test_changing"]
    assert before is None
    assert changes.first == "DEVRUN_TEST_A"

"""What an import has looked at, and whether that is still the same."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devrun.child import traces as module
from devrun.child.loading import stamp
from devrun.child.traces import Traces, installed_modules, is_package_file, package_folders

JUNK = ("*.swp", "*~")
PRUNED = ("__pycache__", ".git")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The app's own folder."""
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.fixture
def traces(folder: Path) -> Iterator[Traces]:
    found = Traces(lambda path: path.startswith(str(folder)), JUNK, PRUNED)
    yield found
    found.end()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No packages but a test's own: what is installed for the tests takes long to walk through."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "packages" not in path])


def run(folder: Path, source: str) -> None:
    """Execute source as an own module would be; nothing is looked at besides."""
    exec(compile(source, str(folder / "app.py"), "exec"), {})


def changed(traces: Traces) -> list[str]:
    return [os.path.basename(path) for path in traces.changed()]


# --- files ------------------------------------------------------------------------------------------------------------


def test_own_files_as_they_were_reported(traces: Traces, folder: Path) -> None:
    source = folder / "a.py"
    source.write_text("1")
    traces.note([(str(source), stamp(str(source))), (str(folder / "b.py"), None)])
    assert changed(traces) == []
    (folder / "b.py").touch()
    source.write_text("2")
    assert changed(traces) == ["a.py", "b.py"]
    (folder / "b.py").unlink()
    source.unlink()
    assert changed(traces) == ["a.py"]


def test_a_file_that_has_changed_since_it_was_reported(traces: Traces, folder: Path) -> None:
    source = folder / "a.py"
    source.write_text("1")
    before = stamp(str(source))
    source.write_text("22")
    traces.note([(str(source), before)])
    assert changed(traces) == ["a.py"]


READ = {
    "open": "open('data').close()",
    "in binary": "open('data', 'rb').close()",
    "os.open": "import os; os.close(os.open('data', os.O_RDONLY))",
    "pathlib": "import pathlib; pathlib.Path('data').read_text()",
    "bytes": "open(b'data').close()",
    "absolute": "import os; open(os.path.abspath('data')).close()",
}


@pytest.mark.parametrize("how", READ)
def test_data_files_that_are_read(traces: Traces, folder: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.chdir(folder)
    (folder / "data").write_text("1")
    traces.begin()
    run(folder, READ[how])
    traces.end()
    assert changed(traces) == []
    (folder / "data").write_text("22")
    assert changed(traces) == ["data"]


def test_a_data_file_that_was_missing(traces: Traces, folder: Path) -> None:
    traces.begin()
    with contextlib.suppress(FileNotFoundError):
        (folder / "data").read_text()
    traces.end()
    assert changed(traces) == []
    (folder / "data").touch()
    assert changed(traces) == ["data"]


def test_the_state_of_the_first_look_counts(traces: Traces, folder: Path) -> None:
    (folder / "data").write_text("1")
    traces.begin()
    (folder / "data").read_text()
    (folder / "data").write_text("22")
    (folder / "data").read_text()
    traces.end()
    assert changed(traces) == ["data"]


def test_what_means_nothing(traces: Traces, folder: Path, tmp_path: Path) -> None:
    """Files that are written, byte code, files of others, special files, and what an open descriptor is wrapped in."""
    outside = tmp_path / "outside"
    for path in (folder / "log", folder / "a.pyc", outside):
        path.write_text("1")
    traces.begin()
    with open(folder / "log", "a") as log, open(log.fileno(), closefd=False):
        log.write("2")
    with open(folder / "both", "w+") as both:
        both.write("1")
    (folder / "a.pyc").read_bytes()
    outside.read_text()
    open("/dev/null").close()
    traces.end()
    for path in (folder / "log", folder / "both", folder / "a.pyc", outside):
        path.write_text("333")
    assert changed(traces) == []


def test_nothing_is_heard_before_and_after_the_import(traces: Traces, folder: Path) -> None:
    for name in ("before", "during", "after"):
        (folder / name).write_text("1")
    (folder / "before").read_text()
    traces.begin()
    (folder / "during").read_text()
    traces.end()
    (folder / "after").read_text()
    for name in ("before", "during", "after"):
        (folder / name).write_text("22")
    assert changed(traces) == ["during"]


def test_a_process_that_goes_on_hears_on(traces: Traces, folder: Path) -> None:
    for name in ("first", "waiting", "second"):
        (folder / name).write_text("1")
    traces.begin()
    (folder / "first").read_text()
    traces.complete()
    (folder / "waiting").read_text()
    traces.resume()
    (folder / "second").read_text()
    traces.end()
    for name in ("first", "waiting", "second"):
        (folder / name).write_text("22")
    assert changed(traces) == ["first", "second"]


def test_what_goes_wrong_in_the_hook_does_not_reach_the_app(folder: Path) -> None:
    def own(path: str) -> bool:
        raise RuntimeError(path)

    (folder / "data").write_text("1")
    found = Traces(own, JUNK, PRUNED)
    found.begin()
    try:
        assert (folder / "data").read_text() == "1"
    finally:
        found.end()


# --- folders ----------------------------------------------------------------------------------------------------------

LOOKS: dict[str, Callable[[Path], object]] = {
    "listdir": os.listdir,
    "scandir": lambda path: list(os.scandir(path)),
    "glob": lambda path: list(path.glob("*")),
    "walk": lambda path: list(os.walk(path)),
}


@pytest.mark.parametrize("how", LOOKS)
def test_folders_that_are_listed(traces: Traces, folder: Path, how: str) -> None:
    (folder / "a").touch()
    traces.begin()
    LOOKS[how](folder)
    traces.end()
    assert changed(traces) == []
    (folder / "b").touch()
    assert changed(traces) == ["own"]
    assert changed(traces) == ["own"], "others may ask, too"
    (folder / "b").unlink()
    assert changed(traces) == []
    (folder / "a").rename(folder / "c")
    assert changed(traces) == ["own"]


def test_the_working_directory_is_listed(traces: Traces, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    traces.begin()
    os.listdir()
    traces.end()
    (folder / "b").touch()
    assert changed(traces) == ["own"]


def test_a_folder_that_comes_and_goes(traces: Traces, folder: Path) -> None:
    traces.begin()
    for name in ("missing", "a"):
        with contextlib.suppress(FileNotFoundError):
            os.listdir(folder / name)
        (folder / "a").mkdir(exist_ok=True)
    traces.end()
    assert changed(traces) == []
    (folder / "missing").mkdir()
    (folder / "a").rmdir()
    assert changed(traces) == ["missing", "a"]


def test_names_without_a_meaning(traces: Traces, folder: Path) -> None:
    traces.complete([str(folder)])
    for name in (".a.py.swp", "a.py~"):
        (folder / name).touch()
    (folder / "__pycache__").mkdir()
    assert changed(traces) == []
    (folder / "a.py").touch()
    assert changed(traces) == ["own"]


def test_all_folders_below_the_roots(traces: Traces, folder: Path) -> None:
    for name in ("a/b", ".git/x", "venv/lib", "cache/x", "my.egg-info/x"):
        (folder / name).mkdir(parents=True)
    (folder / "venv/pyvenv.cfg").touch()
    (folder / "cache/CACHEDIR.TAG").touch()
    traces.complete([str(folder), str(folder)])
    for name in (".git/x", "venv/lib", "venv", "cache/x", "my.egg-info/x"):
        (folder / name / "new").touch()
    assert changed(traces) == []
    (folder / "a/b/new").touch()
    assert changed(traces) == ["b"]


def test_a_listing_of_the_import_outlives_completion(traces: Traces, folder: Path) -> None:
    traces.begin()
    os.listdir(folder)
    (folder / "late").touch()
    traces.complete([str(folder)])
    assert changed(traces) == ["own"]


def test_too_many_folders_are_not_all_looked_at(traces: Traces, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_FOLDERS", 3)
    for name in ("a", "b", "c", "d"):
        (folder / name).mkdir()
    traces.complete([str(folder)])
    for name in ("a", "b", "c", "d"):
        (folder / name / "new").touch()
    assert len(changed(traces)) == 2


def test_only_some_of_many_changes_are_named(traces: Traces, folder: Path) -> None:
    traces.note([(str(folder / f"{number}.py"), None) for number in range(20)])
    for number in range(20):
        (folder / f"{number}.py").touch()
    assert len(traces.changed()) == 5


# --- what is installed ------------------------------------------------------------------------------------------------


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / "lib/site-packages"
    place.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(place), *sys.path])
    before = set(sys.modules)
    yield place
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_installed_modules_and_the_folders_of_packages(traces: Traces, packages: Path) -> None:
    (packages / "tool").mkdir()
    (packages / "tool/__init__.py").write_text("")
    (packages / "tool/part.py").write_text("")
    (packages / "idle.py").write_text("")
    importlib.import_module("tool.part")
    traces.complete()
    assert changed(traces) == []
    (packages / "idle.py").write_text("1")
    assert changed(traces) == [], "nobody has imported it"
    (packages / "tool/part.py").write_text("1")
    assert changed(traces) == ["part.py"]
    (packages / "tool-1.dist-info").mkdir()
    assert changed(traces) == ["part.py", "site-packages"]
    shutil.rmtree(packages / "tool")
    assert changed(traces) == ["__init__.py", "part.py", "site-packages"]


def test_modules_in_the_order_in_which_their_imports_ended(packages: Path) -> None:
    (packages / "outer.py").write_text("import inner\n")
    (packages / "inner.py").write_text("")
    (packages / "last.py").write_text("")
    count = len(sys.modules)
    for name in ("outer", "last"):
        importlib.import_module(name)
    mine = [(name, str(packages / f"{name}.py")) for name in ("inner", "outer", "last")]
    assert [pair for pair in installed_modules(lambda _: False) if "site-packages" in pair[1]][-3:] == mine
    assert list(installed_modules(lambda _: False, count)) == mine
    assert list(installed_modules(lambda path: path.endswith("outer.py"), count)) == [mine[0], mine[2]]


def test_odd_things_in_the_table_of_modules(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"it was asked for {name}")

    class Bare:
        __slots__ = ()

    count = len(sys.modules)
    for name, thing in {"odd.lazy": Lazy(), "odd.bare": Bare(), "odd.none": None, "odd.number": 3}.items():
        monkeypatch.setitem(sys.modules, name, thing)
    assert list(installed_modules(lambda _: False, count)) == []


def test_which_files_were_installed() -> None:
    assert is_package_file("/x/lib/python3.12/site-packages/tool/__init__.py")
    assert is_package_file("/usr/lib/python3/dist-packages/tool.py")
    assert not is_package_file("/x/lib/python3.12/json/__init__.py")


def test_folders_of_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/x/lib", "/x/lib/site-packages", "/usr/lib/dist-packages/", "/x/src"])
    assert package_folders() == ["/x/lib/site-packages", "/usr/lib/dist-packages/"]


# --- what it makes ----------------------------------------------------------------------------------------------------


MAKERS = ("os.mkdir(path)", "os.makedirs(path)", "open(path, 'w').close()", "open(path, 'a').close()")


@pytest.mark.parametrize("make", MAKERS)
def test_what_an_import_makes_its_end_may_remove(traces: Traces, folder: Path, make: str) -> None:
    made = folder / "made"
    traces.begin()
    run(folder, f"import os; path = {str(made)!r}; {make}")
    assert traces.obstacle == f"makes {made}, which may be gone next time"
    made.rmdir() if made.is_dir() else made.unlink()
    assert traces.obstacle is None


def test_what_was_there_before_does_not_count(traces: Traces, folder: Path) -> None:
    (folder / "log").touch()
    traces.begin()
    run(folder, f"import os; os.makedirs({str(folder)!r}, exist_ok=True); open({str(folder / 'log')!r}, 'a').close()")
    traces.end()
    assert traces.obstacle is None


@pytest.mark.parametrize(
    ("source", "asks"),
    [
        ("import psutil; psutil.Process()", True),
        ("import os; NAME = f'worker-{os.getpid()}'", True),
        ("import logging; logging.getLogger('devrun.test').warning('x')", False),
    ],
)
def test_who_asks_for_the_number_of_its_process(traces: Traces, folder: Path, source: str, asks: bool) -> None:
    run(folder, "import logging, psutil")
    traces.begin()
    run(folder, source)
    traces.end()
    reason = "asks for the number of its process, which will be another one next time"
    assert traces.obstacle == (reason if asks else None)


def test_somebody_without_a_name_asks_for_the_number_of_its_process(traces: Traces) -> None:
    traces.begin()
    exec(compile("import os; os.getpid()", "/elsewhere/site-packages/x.py", "exec"), {})
    traces.end()
    assert traces.obstacle is None


# --- what is only looked at -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        "os.path.exists(path)",
        "os.path.isfile(path)",
        "os.path.getmtime(path) if os.path.exists(path) else 0",
        "pathlib.Path(path).is_file()",
        "os.access(path, os.R_OK)",
        "os.path.exists(os.fsencode(path))",
    ],
)
def test_a_file_that_is_looked_at(traces: Traces, folder: Path, ask: str) -> None:
    run(folder, "import os, pathlib")
    file = folder / "flag"
    source = f"import os, pathlib\npath = {str(file)!r}\n{ask}"
    traces.begin()
    run(folder, source)
    traces.end()
    assert changed(traces) == []
    file.write_text("1")
    assert changed(traces) == ["flag"]


def test_the_size_of_a_file_that_is_looked_at(traces: Traces, folder: Path) -> None:
    (folder / "data").write_text("1")
    traces.begin()
    os.path.getsize(folder / "data")
    traces.end()
    assert changed(traces) == []
    (folder / "data").write_text("12")
    assert changed(traces) == ["data"]


def test_of_a_folder_only_that_it_is_one(traces: Traces, folder: Path) -> None:
    (folder / "data").mkdir()
    traces.begin()
    os.path.isdir(folder / "data")
    traces.end()
    (folder / "data/new").touch()
    assert changed(traces) == []
    shutil.rmtree(folder / "data")
    assert changed(traces) == ["data"]


def test_a_resolved_path_is_as_it_was_until_a_link_points_elsewhere(traces: Traces, folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).write_text(name)
    (folder / "link").symlink_to("one")
    traces.begin()
    assert os.path.realpath(folder / "link") == str(folder / "one")
    traces.end()
    (folder / "one").write_text("other")
    assert changed(traces) == []
    (folder / "link").unlink()
    (folder / "link").symlink_to("two")
    assert changed(traces) == ["link"]


def test_looks_of_others_do_not_count(traces: Traces, folder: Path, tmp_path: Path) -> None:
    with open(folder / "open", "w") as file:
        traces.begin()
        os.path.exists(tmp_path / "elsewhere")
        os.path.exists("/proc/self/status")
        os.stat(file.fileno())
        with contextlib.suppress(ValueError):
            os.stat("a\0b")
        traces.end()
    os.path.exists(folder / "later")
    for name in ("elsewhere", "own/later", "own/open"):
        (tmp_path / name).touch()
    assert changed(traces) == []


def test_the_functions_are_as_good_as_before(traces: Traces, folder: Path) -> None:
    before = {name: getattr(os, name) for name in ("stat", "lstat", "access")}
    abilities = {name: before["stat"] in getattr(os, name) for name in ("supports_fd", "supports_dir_fd")}
    traces.begin()
    try:
        kept = type("Kept", (), {"stat": os.stat})()
        assert kept.stat(folder) == before["stat"](folder), "it does not become a method"
        assert {name: os.stat in getattr(os, name) for name in abilities} == abilities
        assert os.stat.__name__ == "stat"
        assert pickle.loads(pickle.dumps(os.stat)) is before["stat"]
        with os.scandir(folder.parent) as entries:
            assert [entry.name for entry in entries if os.stat(entry).st_mode == before["stat"](folder).st_mode] == [
                "own"
            ]
    finally:
        traces.end()
    assert {name: getattr(os, name) for name in before} == before
    assert kept.stat(folder) == before["stat"](folder)


def test_somebody_else_has_replaced_them_meanwhile(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    traces.begin()
    mine = os.stat
    monkeypatch.setattr(os, "stat", lambda path: mine(path))
    theirs = os.stat
    traces.end()
    assert os.stat is theirs

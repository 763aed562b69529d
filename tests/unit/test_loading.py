"""What a worker sees of the imports of an app, and when it trusts byte code."""

from __future__ import annotations

import importlib
import os
import py_compile
import sys
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, PathFinder, SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from devrun.child import loading

Loaded = dict[str, loading.Stamp]


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loaded]:
    """Imports from ``tmp_path`` are reported into this dict."""
    found: Loaded = {}
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    loading.install(loading.Own(), found.update)
    yield found
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_own_files_are_reported_with_their_stamp(tmp_path: Path, seen: Loaded) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").write_text("from . import part")
    (tmp_path / "pack/part.py").write_text("")
    importlib.import_module("pack")
    files = {str(path): loading.stamp(str(path)) for path in (tmp_path / "pack").glob("*.py")}
    assert seen == {**files, str(tmp_path / "pack/part/__init__.py"): None}, "a package of that name would come first"


def test_a_file_is_reported_before_it_is_run(tmp_path: Path, seen: Loaded) -> None:
    (tmp_path / "wrong.py").write_text("def (")
    with pytest.raises(SyntaxError):
        importlib.import_module("wrong")
    assert str(tmp_path / "wrong.py") in seen


def test_names_that_are_not_found_are_reported_as_absent(tmp_path: Path, seen: Loaded) -> None:
    (tmp_path / "space").mkdir()
    importlib.import_module("space")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("space.missing")
    for name in ("space/__init__.py", "space/missing.py", "space/missing/__init__.py"):
        assert seen[str(tmp_path / name)] is None


def test_an_absent_module_that_is_tried_all_the_time_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[list[loading.LoadedFile]] = []
    monkeypatch.setattr(sys, "meta_path", [loading.OwnFinder(loading.Own(), reports.append)])
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for _ in range(3):
        for name in ("nowhere", "elsewhere"):
            with pytest.raises(ImportError):
                importlib.import_module(name)
    files = [path for report in reports for path, _ in report]
    assert files == [
        str(tmp_path / name) for name in ("nowhere.py", "nowhere/__init__.py", "elsewhere.py", "elsewhere/__init__.py")
    ]


EDITABLE = """
import sys
from importlib.util import spec_from_file_location
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "tool":
            return spec_from_file_location(name, {file!r}, submodule_search_locations=[{folder!r}])
sys.meta_path.append(Finder)
"""


def test_a_package_that_is_installed_editable(tmp_path: Path, seen: Loaded) -> None:
    """setuptools finds it behind ``PathFinder``: https://setuptools.pypa.io/en/latest/userguide/development_mode.html"""
    folder = tmp_path / "elsewhere/tool"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from . import part")
    (folder / "part.py").write_text("")
    exec(EDITABLE.format(file=str(folder / "__init__.py"), folder=str(folder)), {})
    loader = importlib.import_module("tool").__loader__
    assert isinstance(loader, loading.OwnLoader), "no byte code that could be stale"
    assert {str(path) for path in folder.glob("*.py")} <= set(seen)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("nowhere")


def test_a_finder_of_an_old_kind_is_left_to_python(
    tmp_path: Path, seen: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, object()])
    (tmp_path / "part.py").write_text("")
    importlib.import_module("part")
    assert str(tmp_path / "part.py") in seen
    finder = next(one for one in sys.meta_path if isinstance(one, loading.OwnFinder))
    assert finder.find_spec("nowhere") is None


def test_an_own_module_with_a_loader_of_its_own_kind(tmp_path: Path, seen: Loaded) -> None:
    """beartype and others load source in their own way; a module may also be a library in the project's folder."""

    class Loader(SourceFileLoader):
        pass

    (tmp_path / "part.py").write_text("VALUE = 1")
    library = tmp_path / f"_own{EXTENSION_SUFFIXES[0]}"
    library.write_bytes(b"none")
    hook = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (Loader, [".py"]))
    sys.path_importer_cache[str(tmp_path)] = hook(str(tmp_path))
    assert type(importlib.import_module("part").__loader__) is Loader
    with pytest.raises(ImportError):
        importlib.import_module("_own")
    assert {str(tmp_path / "part.py"), str(library)} <= set(seen)


def test_foreign_files_are_not_reported(seen: Loaded) -> None:
    for name in ("colorsys", "msgspec.inspect", "zipimport"):
        sys.modules.pop(name, None)
        importlib.import_module(name)
    assert not any("colorsys" in path or "msgspec" in path for path in seen)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("", False),
        ("<frozen importlib>", False),
        (os.__file__, False),
        (pytest.__file__, False),
        (loading.__file__, False),
        ("/elsewhere/site-packages/x.py", False),
        ("/usr/lib/python3/dist-packages/x.py", False),
        ("/home/me/shop/main.py", True),
    ],
)
def test_what_is_own(path: str, own: bool) -> None:
    assert loading.Own()(path) is own


@pytest.fixture
def module(tmp_path: Path) -> Path:
    source = tmp_path / "part.py"
    source.write_text("VALUE = 1")
    return source


def stale(source: Path) -> None:
    """Leave byte code that Python takes for that of ``source``, of other code."""
    py_compile.compile(str(source), cfile=cache_from_source(str(source)), doraise=True)
    before = source.stat()
    source.write_text("VALUE = 2")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_python_itself_would_run_the_old_code(module: Path, seen: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [PathFinder])
    stale(module)
    assert importlib.import_module("part").VALUE == 1


def test_byte_code_close_to_its_source_is_not_trusted(module: Path, seen: Loaded) -> None:
    stale(module)
    assert importlib.import_module("part").VALUE == 2


def test_byte_code_of_a_fresh_source_is_not_written(
    module: Path, seen: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SETTLED_SECONDS", 3600.0)
    importlib.import_module("part")
    assert not Path(cache_from_source(str(module))).exists()


def test_byte_code_of_a_settled_source_is_written_and_used(
    module: Path, seen: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SETTLED_SECONDS", -3600.0)
    importlib.import_module("part")
    assert Path(cache_from_source(str(module))).exists()
    stale(module)
    del sys.modules["part"]
    assert importlib.import_module("part").VALUE == 1, "it was used: here it lies"


def test_data_beside_a_module_is_read_as_it_is(tmp_path: Path, module: Path, seen: Loaded) -> None:
    (tmp_path / "data.txt").write_text("data")
    loader = importlib.import_module("part").__loader__
    assert isinstance(loader, loading.OwnLoader)
    assert loader.get_data(str(tmp_path / "data.txt")) == b"data"


def test_what_may_mend_an_interpreter_without_uvicorn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text("")
    files = dict(loading.awaited("shop.main:app"))
    assert files[str(tmp_path / "shop.py")] is not None
    assert files[str(tmp_path / "shop/__init__.py")] is None
    assert any(path.endswith("uvicorn/__init__.py") for path in files)


def test_what_may_mend_an_import_that_was_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "site-packages"
    (packages / "half").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(packages), str(tmp_path / "nowhere")])
    assert [path for path, _ in loading.missing("tool")] == [
        str(tmp_path / "tool.py"),
        str(tmp_path / "tool/__init__.py"),
        str(packages / "tool.py"),
        str(packages / "tool/__init__.py"),
    ]
    assert [path for path, _ in loading.missing("half.part")] == [
        str(packages / "half/part.py"),
        str(packages / "half/part/__init__.py"),
    ]

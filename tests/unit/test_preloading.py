"""What is imported ahead of the apps, and what is left out: each time in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.driver import write_files
from tests.unit.alone import alone

SCRIPT = """
import gc, json, sys
from devrun.child.loading import own_files
from devrun.child.preloading import preload
sys.path[:0] = [sys.argv[1], sys.argv[2]]
finders = list(sys.meta_path)
left_out = preload(json.loads(sys.argv[3]), own_files())
found = {
    "left_out": left_out,
    "loaded": [name for name in json.loads(sys.argv[4]) if name in sys.modules],
    "restored": sys.meta_path == finders,
    "frozen": gc.get_freeze_count() > 1000,
    "said": getattr(sys, "said", None),
}
"""

THREAD = "import threading; threading.Thread(target=threading.Event().wait, name='ticker', daemon=True).start()\n"
OPEN = "import os; FILE = open(os.devnull)\n"


@dataclass(frozen=True)
class Outcome:
    left_out: dict[str, str]
    loaded: list[str]
    said: Any


@pytest.fixture
def preload(tmp_path: Path) -> Callable[..., Outcome]:
    """``preload({file: source}, "a", "b.c", ...)`` installs the files and imports the modules ahead.

    A file is one of ``site-packages``; the app's own are in ``own``. ``origins`` may tell where modules came from.
    """
    packages, own = tmp_path / "site-packages", tmp_path / "own"
    packages.mkdir()
    own.mkdir()

    def run(files: dict[str, str], *names: str, origins: dict[str, str] | None = None) -> Outcome:
        for name, source in files.items():
            write_files(own if name.startswith("own/") else packages, {name.removeprefix("own/"): source})
        known = origins or {}
        wanted = [(name, known.get(name, _origin(packages, name))) for name in names]
        modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files]
        found = alone(SCRIPT, str(packages), str(own), json.dumps(wanted), json.dumps(modules))
        assert found["restored"] and found["frozen"]
        return Outcome(found["left_out"], found["loaded"], found["said"])

    return run


def _origin(packages: Path, name: str) -> str:
    path = packages / name.replace(".", "/")
    return str(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


def test_modules_are_imported_in_their_order(preload: Callable[..., Outcome]) -> None:
    note = "import sys; sys.said = [*getattr(sys, 'said', []), __name__]\n"
    files = {"a/__init__.py": note, "a/part.py": note, "b.py": note, "idle.py": note}
    outcome = preload(files, "b", "a.part", "a")
    assert outcome == Outcome({}, ["a", "a.part", "b"], ["b", "a", "a.part"])


def test_one_that_is_gone_is_passed_over(preload: Callable[..., Outcome]) -> None:
    outcome = preload({"a.py": "", "p/__init__.py": ""}, "gone", "gone.part", "p.gone", "a")
    assert outcome.left_out == {}
    assert outcome.loaded == ["a", "p"]


def test_packages_that_are_not_installed() -> None:
    script = """
from devrun.child.preloading import uninstalled
import sys
class Fails:
    def find_spec(self, name, path=None, target=None):
        if name == "odd":
            raise RuntimeError(name)
sys.meta_path.insert(0, Fails())
found = uninstalled(["json", "colorsys", "nowhere", "odd", "__main__"]), "colorsys" in sys.modules
"""
    assert alone(script) == [["nowhere"], False]


def test_one_that_a_person_has_named_is_not(preload: Callable[..., Outcome]) -> None:
    outcome = preload({"a.py": ""}, "gone", "a", origins={"gone": "", "a": ""})
    assert outcome.left_out == {"gone": "cannot be imported ahead of the app: No module named 'gone'"}
    assert outcome.loaded == ["a"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import nowhere", "No module named 'nowhere'"),
        ("from sys import nothing", "ImportError: cannot import name 'nothing' from 'sys' (unknown location)"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("def (", "SyntaxError: invalid syntax (bad.py, line 1)"),
    ],
)
def test_one_that_fails(preload: Callable[..., Outcome], source: str, reason: str) -> None:
    """The others are tried all the same, so that all that fail are known at once."""
    outcome = preload({"a.py": "", "bad.py": source, "z.py": "import bad"}, "bad", "a", "z")
    assert outcome.left_out.keys() == {"bad", "z"}
    assert outcome.left_out["bad"] == f"cannot be imported ahead of the app: {reason}"
    assert "a" in outcome.loaded


def test_a_long_reason_is_cut_off(preload: Callable[..., Outcome]) -> None:
    outcome = preload({"bad.py": "raise ValueError('x' * 1000)"}, "bad")
    assert len(outcome.left_out["bad"]) == 300


def test_other_modules_of_a_package_that_fails_are_not_tried(preload: Callable[..., Outcome]) -> None:
    outcome = preload({"p/__init__.py": "1 / 0", "p/part.py": "", "a.py": ""}, "p", "p.part", "a")
    assert list(outcome.left_out) == ["p"]
    assert outcome.loaded == ["a"]


def test_one_from_another_place(preload: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = preload({"a.py": "", "b.py": ""}, "a", "b", origins={"a": "/vendor/a.py"})
    assert outcome.left_out == {"a": f"comes from {tmp_path / 'site-packages/a.py'}, not from /vendor/a.py"}
    assert outcome.loaded == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "reason"), [(THREAD, "starts a thread (ticker)"), (OPEN, "leaves a descriptor open (/dev/null)")]
)
def test_one_that_leaves_something_behind(preload: Callable[..., Outcome], source: str, reason: str) -> None:
    """All whose imports come to it are left out, too; what comes afterwards is not tried in this process."""
    files = {"bad.py": source, "middle.py": "import bad", "outer.py": "import json, middle", "a.py": "", "z.py": ""}
    outcome = preload(files, "a", "outer", "bad", "z")
    assert outcome.left_out == {
        "bad": reason,
        "middle": f"imports bad, which {reason}",
        "outer": f"imports bad, which {reason}",
    }
    assert outcome.loaded == ["bad", "middle", "outer", "a"]


def test_a_part_of_a_package_that_leaves_something_behind(preload: Callable[..., Outcome]) -> None:
    """The whole package is left out: whatever is imported of it may import that part."""
    outcome = preload({"p/__init__.py": "from . import bad", "p/bad.py": OPEN, "o.py": "import p"}, "o", "p")
    reason = "leaves a descriptor open (/dev/null)"
    assert outcome.left_out == {"o": f"imports p.bad, which {reason}", "p": f"p.bad {reason}"}


def test_a_thread_that_has_ended_by_the_end_of_the_import(preload: Callable[..., Outcome]) -> None:
    source = "import threading\nthread = threading.Thread(target=int)\nthread.start()\nthread.join()\n"
    wait = "import os\nwhile os.path.isdir('/proc/self/task') and len(os.listdir('/proc/self/task')) > 1: pass\n"
    assert preload({"a.py": source + wait}, "a").left_out == {}


JOIN = """
import os
stop.set()
thread.join()
while os.path.isdir("/proc/self/task") and len(os.listdir("/proc/self/task")) > 1: pass
"""
STOPPABLE = "import threading; stop = threading.Event(); thread = threading.Thread(target=stop.wait); thread.start()\n"


@pytest.mark.parametrize(
    "source",
    [
        "import os\nwith open(os.devnull, encoding='mac-roman') as file:\n    file.read()\n",
        "import os\nwith open(os.devnull):\n    import inner\n",
        f"{STOPPABLE}import inner{JOIN}",
    ],
    ids=["a codec", "an open file", "a thread"],
)
def test_what_is_there_only_while_an_inner_module_is_imported(preload: Callable[..., Outcome], source: str) -> None:
    outcome = preload({"inner.py": "", "a.py": source, "outer.py": "import a", "z.py": ""}, "outer", "z")
    assert outcome.left_out == {}
    assert outcome.loaded[-3:] == ["a", "outer", "z"]


def test_what_an_inner_module_leaves_to_be_closed_by_an_outer_one(preload: Callable[..., Outcome]) -> None:
    files = {"inner.py": OPEN, "a.py": "import inner; inner.FILE.close()"}
    assert preload(files, "a").left_out == {}


@pytest.mark.parametrize(
    ("source", "reason"), [(THREAD, "starts a thread (ticker)"), (OPEN, "leaves a descriptor open (/dev/null)")]
)
def test_what_was_there_before_an_inner_module_is_not_its_fault(
    preload: Callable[..., Outcome], source: str, reason: str
) -> None:
    files = {"inner.py": "", "bad.py": f"{source}import inner", "outer.py": "import bad"}
    assert preload(files, "outer").left_out == {"bad": reason, "outer": f"imports bad, which {reason}"}


def test_a_number_that_is_taken_again(preload: Callable[..., Outcome]) -> None:
    """The file of ``a`` is closed by the time that ``bad`` opens another one."""
    closed = "import sys\nwith open(sys.executable):\n    import inner\nimport bad\n"
    outcome = preload({"inner.py": "", "a.py": closed, "bad.py": OPEN}, "a")
    reason = "leaves a descriptor open (/dev/null)"
    assert outcome.left_out == {"bad": reason, "a": f"imports bad, which {reason}"}


def test_the_apps_own_code(preload: Callable[..., Outcome]) -> None:
    """A module of the app's would grow stale: whatever imports it is left out."""
    files = {"own/settings.py": "", "plugin.py": "import settings", "outer.py": "import plugin", "a.py": ""}
    outcome = preload(files, "a", "outer")
    assert outcome.left_out == {
        "plugin": "imports settings, which is the app's own",
        "outer": "imports settings, which is the app's own",
    }


def test_the_apps_own_code_by_name(preload: Callable[..., Outcome]) -> None:
    outcome = preload({"own/settings.py": "", "a.py": ""}, "a", "settings", origins={"settings": ""})
    assert outcome.left_out == {"settings": "is the app's own"}


def test_a_fault_that_an_import_survives(preload: Callable[..., Outcome]) -> None:
    """The module is at fault, although whoever imports it does not mind."""
    files = {"bad.py": f"{THREAD}1 / 0", "outer.py": "try:\n    import bad\nexcept ZeroDivisionError:\n    pass\n"}
    assert preload(files, "outer").left_out == {
        "bad": "starts a thread (ticker)",
        "outer": "imports bad, which starts a thread (ticker)",
    }


def test_loaders_and_finders_of_other_kinds(preload: Callable[..., Outcome], tmp_path: Path) -> None:
    """Namespace packages, extension modules, old finders, and a loader without room for an attribute."""
    odd = """
import sys
from importlib.machinery import ModuleSpec

class Loader:
    __slots__ = ()
    def create_module(self, spec): return None
    def exec_module(self, module): module.VALUE = 3

class Finder:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, Loader()) if name == "made_up" else None

class Ancient:
    def find_module(self, name, path=None): return None

sys.meta_path[:0] = [Ancient(), Finder()]
try:
    import made_up, space.part, _decimal
    sys.said = made_up.VALUE
finally:
    del sys.meta_path[:2]
"""
    outcome = preload({"odd.py": odd, "space/part.py": ""}, "odd")
    assert outcome == Outcome({}, ["odd", "space.part"], 3)

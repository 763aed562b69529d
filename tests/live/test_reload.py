"""Reloads: who restarts for which file, and that the newest save is what answers."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import signal
import threading
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack, wait_until
from tests.live.apps import TOML, answering


def reloads(stack: Stack) -> list[str]:
    return [line for line in stack.lines if line.startswith("[devrun] reloading")]


def test_a_save_is_served_and_told(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'old'")})
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == "old"
    (folder / "main.py").write_text(answering("'new'"))
    stack.wait_line(r"^\[devrun\] reloading api: main\.py$")
    stack.wait_line(r"^\[devrun\] ready api http://127\.0\.0\.1:\d+ in \d+\.\d\ds$")
    assert stack.get("api").text == "new"
    assert len(reloads(stack)) == 1


def test_a_save_restarts_exactly_the_apps_that_loaded_it(project: ProjectBuilder, up: StackStarter) -> None:
    pid = answering("f'{os.getpid()} {shared.VALUE} {part.VALUE}'", "import os, shared, {0}.part as part")
    folder = project(
        {
            "devrun.toml": "".join(f'[apps.{name}]\napp = "{name}:app"\n' for name in ("one", "two")),
            "shared.py": "VALUE = 1",
            "one/__init__.py": pid.replace("{0}", "one"),
            "one/part.py": "VALUE = 1",
            "two/__init__.py": pid.replace("{0}", "two"),
            "two/part.py": "VALUE = 1",
            "tests/test_one.py": "assert True",
        }
    )
    stack = up(folder)
    stack.wait_ready()
    two = stack.get("two").text
    (folder / "tests/test_one.py").write_text("assert 1")
    (folder / "unused.py").write_text("nobody imports this")
    (folder / "one/part.py").write_text("VALUE = 2")
    wait_until(lambda: stack.get("one").text.endswith("1 2"))
    assert stack.get("two").text == two
    assert reloads(stack) == ["[devrun] reloading one: one/part.py"]
    (folder / "shared.py").write_text("VALUE = 3")
    wait_until(lambda: stack.get("one").text.endswith("3 2") and stack.get("two").text.endswith("3 1"))
    assert sorted(reloads(stack)[1:]) == ["[devrun] reloading one: shared.py", "[devrun] reloading two: shared.py"]


def test_a_burst_of_saves_is_one_reload(project: ProjectBuilder, up: StackStarter) -> None:
    names = [f"part{n}" for n in range(40)]
    main = answering("sum(m.VALUE for m in modules)", f"import {', '.join(names)}\nmodules = [{', '.join(names)}]")
    folder = project({"devrun.toml": TOML, "main.py": main, **{f"{name}.py": "VALUE = 1" for name in names}})
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == "40"
    stack.signal(signal.SIGSTOP)  # so that it is a burst, however slowly this process gets on
    for name in names:
        (folder / f"{name}.py").write_text("VALUE = 2")
    stack.signal(signal.SIGCONT)
    stack.wait_text("api", "80")
    assert len(reloads(stack)) == 1


def test_watch_and_ignore(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(
        {
            "devrun.toml": TOML + 'watch = ["*.sql", "../shared"]\nignore = ["generated/*"]\ncwd = "api"\n',
            "api/main.py": answering("open('q.sql').read() + open('../shared/data.txt').read()"),
            "api/q.sql": "1",
            "api/generated/x.sql": "1",
            "shared/data.txt": "1",
        }
    )
    stack = up(folder)
    stack.wait_ready()
    (folder / "api/generated/x.sql").write_text("2")
    (folder / "api/q.sql").write_text("2")
    stack.wait_line(r"reloading api: api/q\.sql$")
    stack.wait_line(r"\] ready api")
    (folder / "shared/data.txt").write_text("2")
    stack.wait_line(r"reloading api: shared/data\.txt$")
    stack.wait_line(r"\] ready api")
    assert len(reloads(stack)) == 2


def test_a_save_during_a_start_aborts_that_start(project: ProjectBuilder, up: StackStarter) -> None:
    slow = "print('import', {0}); import time; time.sleep({1})"
    folder = project({"devrun.toml": TOML, "main.py": answering("'one'", slow.format(1, 60))})
    stack = up(folder)
    stack.wait_line("import 1")
    (folder / "main.py").write_text(answering("'two'", slow.format(2, 0)))
    stack.wait_ready()
    assert stack.get("api").text == "two"


def test_a_change_between_read_and_watch_is_not_lost(project: ProjectBuilder, up: StackStarter) -> None:
    """The module changes itself right after it was read: the report of it arrives when it is already stale."""
    head = """
import os
if not os.path.exists("once"):
    open("once", "w").close()
    open("part.py", "w").write("VALUE = 22")
"""
    folder = project(
        {"devrun.toml": TOML, "main.py": answering("part.VALUE", "import part"), "part.py": f"VALUE = 1\n{head}"}
    )
    stack = up(folder)
    stack.wait_text("api", "22")


def test_a_save_between_two_reads_of_one_import_is_not_lost(project: ProjectBuilder, up: StackStarter) -> None:
    """The launcher hears of the save when the worker has read it, but has also told of the file as it was before."""
    source = answering(
        "(first, second)",
        """
import os, pathlib, sys, time
from part import VALUE as first
print("read", first)
while first == 2 and os.stat("part.py").st_size <= 10:  # a moment long it is empty
    time.sleep(0.01)
del sys.modules["part"]
from part import VALUE as second
pathlib.Path("read").touch()
""",
    )
    folder = project({"devrun.toml": TOML, "main.py": source, "part.py": "VALUE = 1\n"})
    stack = up(folder)
    stack.wait_ready()
    (folder / "read").unlink()
    (folder / "part.py").write_text("VALUE = 2\n")
    stack.wait_line(r"^\[api\] read 2$")
    stack.signal(signal.SIGSTOP)
    try:
        (folder / "part.py").write_text("VALUE = 3  # longer\n")
        wait_until((folder / "read").exists)
    finally:
        stack.signal(signal.SIGCONT)
    stack.wait_text("api", "(3, 3)")


def test_a_module_that_was_missing_is_noticed_when_it_appears(project: ProjectBuilder, up: StackStarter) -> None:
    head = "try:\n    import extra\nexcept ImportError:\n    extra = None"
    folder = project({"devrun.toml": TOML, "main.py": answering("extra and extra.VALUE", head)})
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == "None"
    (folder / "extra.py").write_text("VALUE = 7")
    stack.wait_text("api", "7")
    (folder / "extra.py").unlink()
    stack.wait_text("api", "None")


def test_a_new_package_is_watched(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'old'")})
    stack = up(folder)
    stack.wait_ready()
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/part.py").write_text("VALUE = 1")
    (folder / "main.py").write_text(answering("part.VALUE", "import deep.er.part as part"))
    stack.wait_text("api", "1")
    (folder / "deep/er/part.py").write_text("VALUE = 2")
    stack.wait_text("api", "2")


def test_a_lazily_imported_module_is_watched(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("__import__('lazy').VALUE"), "lazy.py": "VALUE = 1"})
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == "1"
    (folder / "lazy.py").write_text("VALUE = 2")
    stack.wait_text("api", "2")


def test_an_editors_atomic_save_is_one_reload(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'old'")})
    stack = up(folder)
    stack.wait_ready()
    (folder / "main.py~").write_text(answering("'new'"))
    (folder / "main.py~").replace(folder / "main.py")
    stack.wait_text("api", "new")
    (folder / "main.py").rename(folder / "main.py.bak")  # vim without backupcopy
    (folder / "main.py").write_text(answering("'newer'"))
    stack.wait_text("api", "newer")
    assert len(reloads(stack)) == 2
    assert not any("broken" in line for line in stack.lines)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bytecode", ["written", "not written"])
def test_equal_length_saves_in_quick_succession(project: ProjectBuilder, up: StackStarter, bytecode: str) -> None:
    """A .pyc is matched by whole-second mtime and size: the classic way to serve old code."""
    folder = project({"devrun.toml": TOML, "main.py": answering("part.VALUE", "import part"), "part.py": "VALUE = 100"})
    stack = up(folder, env={} if bytecode == "written" else {"PYTHONDONTWRITEBYTECODE": "1"})
    stack.wait_ready()
    pace = threading.Event()
    for number in range(101, 201):
        (folder / "part.py").write_text(f"VALUE = {number}")
        pace.wait(0.05)
    stack.wait_text("api", "200")
    for number in range(300, 304):
        (folder / "part.py").write_text(f"VALUE = {number}")
        stack.wait_text("api", str(number))
    assert not any("broken" in line for line in stack.lines)


def test_byte_code_written_by_another_process_in_the_same_second(project: ProjectBuilder, up: StackStarter) -> None:
    """Not ours, but as wrong: mtime and size match, the code does not."""
    folder = project({"devrun.toml": TOML, "main.py": answering("part.VALUE", "import part"), "part.py": "VALUE = 1"})
    part = folder / "part.py"
    py_compile.compile(str(part), cfile=_cache(part), doraise=True)
    before = part.stat()
    part.write_text("VALUE = 2")
    os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
    stack = up(folder)
    stack.wait_text("api", "2")


def _cache(path: Path) -> str:
    return importlib.util.cache_from_source(str(path))

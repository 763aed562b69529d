"""Checkpoints: imports that go on in front of the edited file, and come out as if all was imported anew."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack, wait_until, write_files
from tests.live.apps import RESPOND, answering
from tests.live.environments import Diary, Environment, config, details, engine, parked, server, worker, zombies
from tests.live.terminals import Terminal
from tests.live.test_terminal import devrun_up

CHAIN = ("a", "b", "c", "d", "e", "f")
TICKER = "import threading; threading.Thread(target=threading.Event().wait, name='ticker', daemon=True).start()"


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "env")


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


class Chain:
    """An app ``api`` that imports the modules of ``CHAIN``, in this order; each notes when it is executed."""

    def __init__(
        self, project: ProjectBuilder, env: Environment, diary: Diary, *, reload: str = "", **heads: str
    ) -> None:
        self.diary = diary
        self.heads = heads
        modules = {f"{name}.py": self.source(name, 0) for name in CHAIN}
        values = ", ".join(f"{name}.VALUE" for name in CHAIN)
        imports = f"import {', '.join(CHAIN)}\n{diary.note('api')}"
        files = {"devrun.toml": config(env, reload=reload), "api.py": answering(f"({values})", imports)}
        self.folder = project({**files, **modules})
        self.values: dict[str, object] = dict.fromkeys(CHAIN, 0)

    def source(self, name: str, value: object) -> str:
        return f"{self.diary.note(name)}{self.heads.get(name, '')}\nVALUE = {value}\n"

    def write(self, name: str, value: object) -> None:
        self.values[name] = value
        (self.folder / f"{name}.py").write_text(self.source(name, value))

    def edit(self, stack: Stack, name: str, value: object) -> list[str]:
        """Save a module, and see that it is served; the modules that were executed for that."""
        self.diary.clear()
        self.write(name, value)
        stack.wait_line(r"^\[devrun\] ready api")
        assert stack.get("api").text == self.expected
        return self.diary.lines()

    @property
    def expected(self) -> str:
        return f"({', '.join(str(self.values[name]) for name in CHAIN)})"


ALL = [*CHAIN, "api"]
FROM_C = ["c", "d", "e", "f", "api"]
FROM_E = ["e", "f", "api"]


def pids(stack: Stack) -> dict[str, int]:
    """The parked processes, by the module that they are parked in front of."""
    return {Path(one["file"]).stem: one["pid"] for one in engine(stack)["checkpoints"]}


# --- between the halves of a file -------------------------------------------------------------------------------------


def main_file(diary: Diary, *, imports: str = "import a, b", value: object = 0, more: str = "") -> str:
    """An app that imports at its top and has its value below; ``more`` stands at its end."""
    head = f"{diary.note('head')}{imports}\n{diary.note('rest')}VALUE = {value}"
    return f"{answering('VALUE, a.VALUE, b.VALUE', head)}\n{more}\n"


@pytest.fixture
def halved(project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary) -> Stack:
    """A running stack whose ``api.py`` imports ``a`` and ``b`` at its top."""
    modules = {f"{name}.py": f"{diary.note(name)}\nVALUE = 0\n" for name in "ab"}
    folder = project({"devrun.toml": config(env), "api.py": main_file(diary), **modules})
    stack = up(folder)
    stack.wait_ready()
    return stack


def saved(stack: Stack, diary: Diary, text: str, file: str = "api.py") -> tuple[str, list[str]]:
    """Save a file; what is answered then, and what was executed for that."""
    diary.clear()
    (stack.folder / file).write_text(text)
    stack.wait_line(r"^\[devrun\] ready api")
    return stack.get("api").text, diary.lines()


WHOLE = ["head", "a", "b", "rest"]


def test_a_file_goes_on_behind_its_imports(halved: Stack, diary: Diary) -> None:
    assert saved(halved, diary, main_file(diary, value=1)) == ("(1, 0, 0)", WHOLE)
    assert [place.partition(":")[0] for place in parked(halved)] == ["api.py", "api.py"]
    line = (halved.folder / "api.py").read_text().splitlines().index("import a, b") + 1
    assert parked(halved)[-1] == f"api.py:{line}"
    for value in range(2, 5):
        assert saved(halved, diary, main_file(diary, value=value)) == (f"({value}, 0, 0)", ["rest"])
    assert len(parked(halved)) == 2, "none is parked anew"


def test_a_change_of_the_imports_or_in_front_of_them_is_run_anew(halved: Stack, diary: Diary) -> None:
    saved(halved, diary, main_file(diary, value=1))
    assert saved(halved, diary, main_file(diary, imports="import b, a", value=2)) == (
        "(2, 0, 0)",
        ["head", "b", "a", "rest"],
    )
    assert saved(halved, diary, main_file(diary, imports="import b, a", value=3)) == ("(3, 0, 0)", ["rest"])
    assert saved(halved, diary, "# above\n" + main_file(diary, value=4)) == ("(4, 0, 0)", WHOLE)


def test_a_change_of_what_was_imported_is_run_anew(halved: Stack, diary: Diary) -> None:
    saved(halved, diary, main_file(diary, value=1))
    text = f"{diary.note('a')}\nVALUE = 7\n"
    assert saved(halved, diary, text, "a.py") == ("(1, 7, 0)", WHOLE)
    assert saved(halved, diary, main_file(diary, value=2)) == ("(2, 7, 0)", ["rest"])


def test_a_file_that_fails_further_down_and_is_mended(halved: Stack, diary: Diary) -> None:
    saved(halved, diary, main_file(diary, value=1))
    for broken, summary in (("1 / 0", "ZeroDivisionError"), ("x = (", "SyntaxError"), ("return", "SyntaxError")):
        diary.clear()
        (halved.folder / "api.py").write_text(main_file(diary, value=2, more=broken))
        at = (halved.folder / "api.py").read_text().splitlines().index(broken) + 1
        halved.wait_line(rf"^\[devrun\] broken api: api\.py:{at}: {summary}")
        answer = halved.get("api", headers={"accept": "text/plain"})
        assert answer.status_code == 503
        places = [line.strip() for line in answer.text.splitlines() if line.strip().startswith("File ")]
        assert len(places) == 1, "nothing but the user's own file"
        assert saved(halved, diary, main_file(diary, value=3))[0] == "(3, 0, 0)"
        assert diary.lines() == ["rest"]


def test_what_is_imported_further_down_is_watched_and_may_be_edited(halved: Stack, diary: Diary) -> None:
    (halved.folder / "late.py").write_text(f"{diary.note('late')}\nLATE = 1\n")
    text = main_file(diary, more="import late\nVALUE += late.LATE")
    assert saved(halved, diary, text) == ("(1, 0, 0)", [*WHOLE, "late"])
    assert saved(halved, diary, f"{diary.note('late')}\nLATE = 5\n", "late.py") == ("(5, 0, 0)", ["rest", "late"])
    assert saved(halved, diary, f"{diary.note('late')}\nLATE = 6\n", "late.py") == ("(6, 0, 0)", ["late"])
    changed = main_file(diary, value=10, more="import late\nVALUE += late.LATE")
    assert saved(halved, diary, changed) == ("(16, 0, 0)", ["rest", "late"])


# --- where an import goes on ------------------------------------------------------------------------------------------


def test_an_import_goes_on_in_front_of_what_is_edited_again(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    chain = Chain(project, env, diary)
    stack = up(chain.folder)
    stack.wait_ready()
    assert diary.lines() == ALL
    assert parked(stack) == []
    assert chain.edit(stack, "c", 1) == ALL
    assert parked(stack) == ["c.py"]
    first = pids(stack)["c"]
    assert chain.edit(stack, "c", 2) == FROM_C
    assert chain.edit(stack, "e", 1) == FROM_C, "the latest checkpoint before it"
    assert parked(stack) == ["c.py", "e.py"]
    assert chain.edit(stack, "e", 2) == FROM_E
    assert pids(stack)["c"] == first
    later = pids(stack)["e"]
    assert chain.edit(stack, "c", 3) == FROM_C
    assert pids(stack)["c"] == first
    assert pids(stack)["e"] not in (later, None), "it rested upon what has changed"
    assert chain.edit(stack, "a", 1) == ALL
    assert parked(stack) == ["a.py", "c.py", "e.py"]
    assert not {first, later} & set(pids(stack).values())
    assert chain.edit(stack, "e", 3) == FROM_E
    assert details(stack)["memory"]["kinds"][3]["kind"] == "checkpoints"
    assert details(stack)["memory"]["kinds"][3]["processes"] == 3


def test_what_a_resumed_import_prints_and_serves_is_the_apps(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    chain = Chain(project, env, diary, c="import os, sys\nprint('out', os.getpid())\nprint('err', file=sys.stderr)")
    stack = up(chain.folder)
    stack.wait_ready()
    for value in range(1, 4):
        chain.edit(stack, "c", value)
        printed = [line for line in stack.lines if line.startswith(("[api] out", "[api] err"))]
        assert len(printed) == 2 * value + 2
        assert f"[api] out {worker(stack)}" in printed


def test_an_app_that_nobody_has_edited_yet_carries_no_audit_hook(
    project: ProjectBuilder, up: StackStarter, env: Environment
) -> None:
    """Python never removes one, and each request would call it some times."""
    functions = "(one.__qualname__ for one in gc.get_objects() if type(one) is type(lambda: None))"
    hooks = f"str(sum(name == 'Traces.begin.<locals>.hook' for name in {functions}))"
    folder = project({"devrun.toml": config(env), "api.py": answering(hooks, "import gc, part"), "part.py": ""})
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == "0"
    (folder / "part.py").write_text("1")
    stack.wait_line(r"^\[devrun\] ready api")
    assert stack.get("api").text == "1", "whoever goes on from a checkpoint hears what the import opens"


@pytest.mark.parametrize(
    ("setting", "kept"), [("", "bcde"), ("checkpoints = 2", "de"), ("checkpoints = 1", "e"), ("checkpoints = 0", "")]
)
def test_the_least_recently_edited_goes_first(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, setting: str, kept: str
) -> None:
    chain = Chain(project, env, diary, reload=setting)
    stack = up(chain.folder)
    stack.wait_ready()
    for name in "edcbabcde":
        chain.edit(stack, name, random.random())
    assert parked(stack) == [f"{name}.py" for name in kept]
    chain.edit(stack, "a", 1)
    wanted = sorted(["a", *kept[1:]]) if kept else []
    assert parked(stack) == [f"{name}.py" for name in wanted]
    others = 4  # launcher, guard, fork server, worker
    wait_until(lambda: len(stack.pids()) == others + len(wanted), "more is kept than is wanted")


# --- what an import rests upon ----------------------------------------------------------------------------------------

EARLY = """
import os
with open("data.txt") as file:
    DATA = file.read()
PLUGINS = sorted(os.listdir("plugins"))
FLAG = os.path.exists("flags/on")
try:
    import optional
except ImportError:
    OPTIONAL = None
else:
    OPTIONAL = optional.VALUE
import package
from package import part
STATE = (DATA, PLUGINS, FLAG, OPTIONAL, package.VALUE, part.VALUE)
"""


def test_whatever_an_import_rests_upon_may_change(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    """Some of these reload the app by themselves, some are noticed at the next reload only."""
    files = {
        "devrun.toml": config(env),
        "api.py": answering("(early.STATE, leaf.VALUE)", "import early, leaf"),
        "early.py": diary.note("early") + EARLY,
        "leaf.py": "VALUE = 0",
        "data.txt": "1",
        "plugins/x": "",
        "flags/off": "",
        "package/__init__.py": "VALUE = 0",
        "package/part.py": "VALUE = 0",
    }
    folder = project(files)
    stack = up(folder)
    stack.wait_ready()
    numbers = iter(range(1, 1000))

    def goes_on(state: str) -> bool:
        """Save the leaf; whether that is served without executing the early module again."""
        diary.clear()
        number = next(numbers)
        (folder / "leaf.py").write_text(f"VALUE = {number}")
        stack.wait_text("api", f"({state}, {number})")
        return diary.lines() == []

    def write(name: str, text: str) -> Callable[[], object]:
        return lambda: write_files(folder, {name: text})

    def move(name: str, target: str) -> Callable[[], object]:
        return lambda: (folder / name).rename(folder / target)

    steps: list[tuple[str, Callable[[], object], str]] = [
        ("an edit of a data file", write("data.txt", "2"), "('2', ['x'], False, None, 0, 0)"),
        ("a new name in a listed folder", write("plugins/y", ""), "('2', ['x', 'y'], False, None, 0, 0)"),
        ("a file that was asked for", write("flags/on", ""), "('2', ['x', 'y'], True, None, 0, 0)"),
        ("its removal", move("flags/on", "flags/gone"), "('2', ['x', 'y'], False, None, 0, 0)"),
        ("a module that was missing", write("optional.py", "VALUE = 3"), "('2', ['x', 'y'], False, 3, 0, 0)"),
        ("its renaming", move("optional.py", "other.py"), "('2', ['x', 'y'], False, None, 0, 0)"),
        ("an edit of an __init__", write("package/__init__.py", "VALUE = 5"), "('2', ['x', 'y'], False, None, 5, 0)"),
        (
            "a package instead of a module",
            write("package/part/__init__.py", "VALUE = 6"),
            "('2', ['x', 'y'], False, None, 5, 6)",
        ),
    ]
    before = "('1', ['x'], False, None, 0, 0)"
    goes_on(before)
    for what, change, after in steps:
        assert goes_on(before), f"before {what}"
        change()
        goes_on(after)
        assert goes_on(after), f"after {what}"
        before = after


def test_a_data_file_that_a_resumed_import_has_read(
    project: ProjectBuilder, up: StackStarter, env: Environment
) -> None:
    """The later checkpoint was parked by a process that itself came from a checkpoint."""
    files = {
        "devrun.toml": config(env),
        "api.py": answering("(first.VALUE, reading.DATA, second.VALUE)", "import first, reading, second"),
        "first.py": "VALUE = 0",
        "reading.py": "with open('data.txt') as file:\n    DATA = file.read()",
        "second.py": "VALUE = 0",
        "data.txt": "old",
    }
    folder = project(files)
    stack = up(folder)
    stack.wait_ready()
    for number, name in enumerate(("first", "first", "second", "second"), 1):
        (folder / f"{name}.py").write_text(f"VALUE = {number}")
        stack.wait_line(r"\] ready api")
    assert parked(stack) == ["first.py", "second.py"]
    (folder / "data.txt").write_text("new")
    (folder / "second.py").write_text("VALUE = 5")
    stack.wait_text("api", "(2, 'new', 5)")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (TICKER, "starts a thread (ticker)"),
        ("import os; FILE = open(os.devnull)", "leaves a descriptor open (/dev/null)"),
        ("import os; NUMBER = os.getpid()", "asks for the number of its process, which will be another one next time"),
    ],
)
def test_a_process_that_is_not_alone_is_not_parked(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, head: str, reason: str
) -> None:
    chain = Chain(project, env, diary, b=head)
    stack = up(chain.folder)
    stack.wait_ready()
    for value in (1, 2):
        assert chain.edit(stack, "c", value) == ALL
        assert engine(stack) == {
            "engine": "fork",
            "reason": None,
            "refused": f"{chain.folder / 'c.py'}: the import up to it {reason}",
            "checkpoints": [],
            "fresh": False,
        }
    assert chain.edit(stack, "a", 1) == ALL
    assert parked(stack) == ["a.py"], "nothing is wrong so far"
    chain.heads = {}
    assert chain.edit(stack, "b", 1) == ALL
    assert parked(stack) == ["a.py", "b.py", "c.py"]
    assert engine(stack)["refused"] is None
    assert chain.edit(stack, "c", 3) == FROM_C


def test_what_an_import_makes_and_its_end_removes_is_there(
    project: ProjectBuilder, up: StackStarter, env: Environment
) -> None:
    api = f"""
import early, leaf, os
{RESPOND}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send, shutdown=early.clean)
    else:
        await respond(send, (leaf.VALUE, os.path.isdir(early.PLACE.name)))
"""
    early = """
import tempfile
PLACE = tempfile.TemporaryDirectory()
async def clean():
    PLACE.cleanup()
"""
    folder = project({"devrun.toml": config(env), "api.py": api, "early.py": early, "leaf.py": "VALUE = 0"})
    stack = up(folder)
    stack.wait_ready()
    for value in range(1, 5):
        (folder / "leaf.py").write_text(f"VALUE = {value}")
        stack.wait_line(r"\] ready api")
        assert stack.get("api").text == f"({value}, True)"
    assert "which may be gone next time" in engine(stack)["refused"]


def test_what_is_no_edit_of_a_module_imports_everything_anew(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    """A death, and a file that is only watched: how the app looks at it is nothing that could be seen."""
    chain = Chain(project, env, diary)
    toml = chain.folder / "devrun.toml"
    toml.write_text(toml.read_text().replace('"api:app"', '"api:app"\nwatch = ["*.sql"]'))
    stack = up(chain.folder)
    stack.wait_ready()
    chain.edit(stack, "c", 1)
    assert chain.edit(stack, "c", 2) == FROM_C
    diary.clear()
    os.kill(worker(stack), signal.SIGKILL)
    stack.wait_line(r"\] ready api")
    assert diary.lines() == ALL
    assert chain.edit(stack, "c", 3) == FROM_C
    diary.clear()
    (chain.folder / "x.sql").touch()
    stack.wait_line("reloading api: x.sql")
    stack.wait_line(r"\] ready api")
    assert diary.lines() == ALL
    assert chain.edit(stack, "c", 4) == FROM_C


def test_a_restart_that_was_asked_for_imports_everything_anew(
    project: ProjectBuilder, env: Environment, diary: Diary
) -> None:
    chain = Chain(project, env, diary)
    with Terminal(100, 30) as terminal, devrun_up(chain.folder, terminal):
        terminal.wait_text("stack ready api=")
        for value in (1, 2):
            diary.clear()
            chain.write("c", value)
            wait_until(lambda: "api" in diary.lines())
        assert diary.lines() == FROM_C
        terminal.wait_text("reloading api: c.py")
        diary.clear()
        terminal.type("r")
        wait_until(lambda: "api" in diary.lines())
        assert diary.lines() == ALL
        terminal.type("q")


# --- broken code, and saves in quick succession -----------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["def (", "import nowhere", "1 / 0", "raise SystemExit(3)"])
def test_broken_code_in_a_module_with_a_checkpoint(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, wrong: str
) -> None:
    chain = Chain(project, env, diary)
    stack = up(chain.folder)
    stack.wait_ready()
    chain.edit(stack, "c", 1)
    diary.clear()
    (chain.folder / "c.py").write_text(wrong)
    stack.wait_line(r"^\[devrun\] broken api: c\.py:1: ")
    assert stack.get("api").status_code == 503
    assert chain.edit(stack, "c", 2) == FROM_C


def test_the_newest_save_wins(project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary) -> None:
    """Edits of modules before and behind checkpoints, some of them while the import of the last one goes on."""
    chain = Chain(project, env, diary, d="import time; time.sleep(0.02)", f="import time; time.sleep(0.02)")
    stack = up(chain.folder)
    stack.wait_ready()
    chance = random.Random(3)
    pause = threading.Event()
    for number in range(50):
        for name in chance.sample(CHAIN, chance.choice((1, 1, 1, 2))):
            chain.write(name, number)
            pause.wait(chance.choice((0, 0.001, 0.02, 0.05)))
        if chance.random() < 0.2:
            stack.wait_text("api", chain.expected)
    stack.wait_text("api", chain.expected)
    assert not any("broken" in line or "exited" in line for line in stack.lines)


def test_two_saves_a_millisecond_apart_before_and_behind_a_checkpoint(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    chain = Chain(project, env, diary)
    stack = up(chain.folder)
    stack.wait_ready()
    chain.edit(stack, "c", 1)
    pause = threading.Event()
    for number in range(2, 22):
        first, second = ("a", "e") if number % 2 else ("e", "a")
        chain.write(first, number)
        pause.wait(0.001)
        chain.write(second, number)
        stack.wait_text("api", chain.expected)
    assert set(parked(stack)) == {"a.py", "c.py", "e.py"}


# --- deaths -----------------------------------------------------------------------------------------------------------


def test_killed_checkpoints(project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary) -> None:
    """One that nothing was resumed from, and one whose child serves the app."""
    chain = Chain(project, env, diary)
    stack = up(chain.folder)
    stack.wait_ready()
    chain.edit(stack, "c", 1)
    os.kill(pids(stack)["c"], signal.SIGKILL)
    wait_until(lambda: parked(stack) == [])
    assert chain.edit(stack, "c", 2) == ALL
    assert chain.edit(stack, "c", 3) == FROM_C
    serving = worker(stack)
    assert psutil.Process(serving).ppid() == pids(stack)["c"]
    os.kill(pids(stack)["c"], signal.SIGKILL)
    assert stack.get("api").text == chain.expected
    assert worker(stack) == serving
    assert chain.edit(stack, "c", 4) == ALL
    assert not psutil.pid_exists(serving)
    assert not any("exited" in line for line in stack.lines)


def test_polite_signals_do_not_end_what_waits(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    """As a shell sends them to everything that it has started."""
    chain = Chain(project, env, diary)
    stack = up(chain.folder)
    stack.wait_ready()
    chain.edit(stack, "c", 1)
    before = (server(stack)["pid"], *pids(stack).values())
    for pid in before:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, signum)
    assert chain.edit(stack, "c", 2) == FROM_C
    assert (server(stack)["pid"], *pids(stack).values()) == before
    os.killpg(stack.process.pid, signal.SIGINT)
    assert stack.wait_exit() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_checkpoint_outlives_the_launcher(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, how: signal.Signals
) -> None:
    chain = Chain(project, env, diary)
    stack = up(chain.folder)
    stack.wait_ready()
    for name in ("a", "c", "e", "e"):
        chain.edit(stack, name, 1 if name != "e" else random.random())
    known = [psutil.Process(pid) for pid in (server(stack)["pid"], worker(stack), *pids(stack).values())]
    assert len(known) == 5
    stack.signal(how)
    stack.process.wait(10)
    assert stack.left_over() == []
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in known)


def test_a_worker_that_is_killed_while_its_import_goes_on(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, tmp_path: Path
) -> None:
    chain = Chain(project, env, diary)
    stack = up(chain.folder)
    stack.wait_ready()
    chain.edit(stack, "c", 1)
    diary.clear()
    wait = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}):\n    time.sleep(0.01)\n"
    (chain.folder / "c.py").write_text(diary.note("waiting") + wait + "VALUE = 2")
    (importing,) = wait_until(lambda: diary.pids("waiting"))
    (tmp_path / "go").touch()
    os.kill(importing, signal.SIGKILL)
    stack.wait_line(r"exited api: signal SIGKILL; restarting$")
    chain.values["c"] = 2
    stack.wait_text("api", chain.expected)
    assert importing not in diary.pids("api")


@pytest.mark.parametrize("state", ["its startup", "its shutdown"])
def test_a_worker_that_is_killed_in_the_middle_of(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, tmp_path: Path, state: str
) -> None:
    wait = f"""
import asyncio, os
async def {state.removeprefix("its ")}():
    open({str(tmp_path / "waiting")!r}, "w").close()
    while not os.path.exists({str(tmp_path / "go")!r}):
        await asyncio.sleep(0.01)
"""
    hooked = {
        "its startup": "lifespan(receive, send, startup)",
        "its shutdown": "lifespan(receive, send, None, shutdown)",
    }
    source = answering("leaf.VALUE", f"import leaf\n{wait}").replace("lifespan(receive, send)", hooked[state])
    toml = config(env).replace('"api:app"', '"api:app"\ngrace = 30')
    folder = project({"devrun.toml": toml, "api.py": source, "leaf.py": "VALUE = 0"})
    stack = up(folder)
    if state == "its startup":
        (tmp_path / "go").touch()
    stack.wait_ready()
    (folder / "leaf.py").write_text("VALUE = 1")
    (tmp_path / "go").touch()
    stack.wait_text("api", "1")
    first = worker(stack)
    for name in ("go", "waiting"):
        (tmp_path / name).unlink(missing_ok=True)
    (folder / "leaf.py").write_text("VALUE = 2")
    wait_until((tmp_path / "waiting").exists)
    (tmp_path / "go").touch()
    os.kill(worker(stack) if state == "its startup" else first, signal.SIGKILL)
    stack.wait_text("api", "2")
    assert not psutil.pid_exists(first)
    assert parked(stack) == ["leaf.py"]


# --- over time --------------------------------------------------------------------------------------------------------


def measure(stack: Stack) -> dict[str, tuple[int, int, int]]:
    """Descriptors, threads and memory in KiB of the processes that stay, and how many processes there are."""
    found = {"launcher": stack.process.pid, "server": server(stack)["pid"]}
    guards = (one for one in stack.processes() if "guard.py" in " ".join(one.cmdline()))
    found["guard"] = next(guards).pid
    sizes: dict[str, tuple[int, int, int]] = {"processes": (len(stack.pids()), 0, 0)}
    for name, pid in found.items():
        process = psutil.Process(pid)
        sizes[name] = (process.num_fds(), process.num_threads(), process.memory_info().rss // 1024)
    return sizes


def test_nothing_grows_over_sixty_reloads(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    chain = Chain(project, env, diary)
    stack = up(chain.folder)
    stack.wait_ready()
    chance = random.Random(1)

    def reload(times: int) -> dict[str, tuple[int, int, int]]:
        for _ in range(times):
            chain.edit(stack, chance.choice("acef"), chance.random())
        for name in "acef":
            chain.edit(stack, name, chance.random())
        assert zombies(stack) == []
        wait_until(lambda: len(stack.pids()) == 8, "old workers are alive")
        return measure(stack)

    before = reload(10)
    after = reload(50)
    print(before, after)
    assert {name: sizes[:2] for name, sizes in after.items()} == {name: sizes[:2] for name, sizes in before.items()}
    for name, (_, _, memory) in after.items():
        assert memory <= before[name][2] + 1024, f"the memory of {name}"

"""The fork server: what it imports ahead, for whom, and when an app gets an interpreter of its own instead."""

from __future__ import annotations

import json
import os
import random
import signal
import textwrap
from pathlib import Path

import psutil
import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack, wait_until, write_files
from tests.live.apps import answering
from tests.live.environments import (
    Diary,
    Environment,
    config,
    details,
    engine,
    parked,
    preload_record,
    server,
    servers,
    worker,
)

THREAD = """
import threading
stop = threading.Event()
thread = threading.Thread(target=stop.wait, name="ticker", daemon=True)
thread.start()
def runs():
    return thread.is_alive() and thread in threading.enumerate()
"""

AHEAD = "__import__('sys').argv[0] != 'uvicorn'"
"""An expression of a package's: whether it is imported by a fork server, ahead of the apps."""


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "env")


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


def wait_preloaded(stack: Stack, *modules: str, app: str = "api") -> None:
    """Wait until the fork server of an app has imported these."""
    wait_until(lambda: set(modules) <= set(server(stack, app)["preloaded"]), f"{modules} are not preloaded")


def reload(stack: Stack, source: str, app: str = "api") -> str:
    """Save an app's main module; what it answers once the reload has ended."""
    (stack.folder / f"{app}.py").write_text(source)
    stack.wait_line(rf"^\[devrun\] ready {app}")
    return stack.get(app).text


def warnings(stack: Stack) -> list[str]:
    return [line for line in stack.lines if line.startswith("[devrun] warning:")]


# --- what is imported ahead, and for whom -----------------------------------------------------------------------------


def test_what_the_first_up_sees_is_imported_once_for_ten_apps_by_the_second(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    env.install("beta", "import zeta\n" + diary.note("beta"))
    env.install("alpha", {"__init__.py": diary.note("alpha"), "part.py": diary.note("alpha.part")})
    env.install("zeta", diary.note("zeta"))
    env.install("idle", diary.note("idle"))
    names = [f"app{number}" for number in range(10)]
    app = answering("alpha.part.__name__", "import colorsys, beta, alpha.part, helper")
    folder = project(
        {"devrun.toml": config(env, *names), "helper.py": "", **dict.fromkeys([f"{name}.py" for name in names], app)}
    )
    with Stack(folder) as stack:
        stack.wait_ready()
        wait_preloaded(stack, "alpha", "alpha.part", "beta", "zeta", app="app0")
        assert sorted(set(diary.pids("alpha"))) == sorted({*workers(stack), *server_pids(stack)})
        record = preload_record(stack)
    modules = list(record["modules"])
    assert [name for name in modules if name.partition(".")[0] in ("alpha", "beta", "zeta")] in (
        ["zeta", "beta", "alpha", "alpha.part"],
        ["zeta", "beta", "alpha.part", "alpha"],
    )
    assert all("site-packages" in path.split("/") for path in record["modules"].values())
    assert not {"helper", "app0", "colorsys", "asyncio", "idle"} & set(modules)
    diary.clear()
    stack = up(folder)
    stack.wait_ready()
    assert [stack.get(name).text for name in names] == ["alpha.part"] * 10
    assert sorted(diary.lines()) == ["alpha", "alpha.part", "beta", "zeta"]
    (fork_server,) = servers(stack)
    assert fork_server["apps"] == sorted(names)
    assert diary.pids("alpha") == [fork_server["pid"]]


def workers(stack: Stack) -> set[int]:
    """The processes that were forked by a fork server."""
    return {child.pid for pid in server_pids(stack) for child in psutil.Process(pid).children()}


def server_pids(stack: Stack) -> set[int]:
    """The processes that are fork servers by their command line and parent, whatever the engine reports."""
    return {child.pid for child in psutil.Process(stack.process.pid).children() if is_server(child)}


def is_server(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[-1:] == ["fork"]
    except psutil.Error:  # gone meanwhile
        return False


def test_apps_share_a_fork_server_that_have_the_same_interpreter_and_environment(
    project: ProjectBuilder, up: StackStarter, tmp_path: Path, env: Environment
) -> None:
    other = Environment(tmp_path / "other")
    toml = config(env, "one", "two", "three", "four").replace(
        '"three:app"\n', '"three:app"\nenv = { LEVEL = "debug" }\n'
    )
    toml = toml.replace('"four:app"\n', f'"four:app"\npython = "{other.python}"\n')
    app = answering("sys.prefix + ' ' + os.environ.get('LEVEL', '')", "import sys, os")
    stack = up(project({"devrun.toml": toml, **{f"{name}.py": app for name in ("one", "two", "three", "four")}}))
    stack.wait_ready()
    prefix = str(tmp_path / "env")
    answers = [stack.get(name).text for name in ("one", "two", "three", "four")]
    assert answers == [f"{prefix} ", f"{prefix} ", f"{prefix} debug", f"{tmp_path / 'other'} "]
    found = sorted(servers(stack), key=lambda one: str(one["apps"]))
    assert [one["apps"] for one in found] == [["four"], ["one", "two"], ["three"]]
    assert {one["pid"] for one in found} == server_pids(stack)
    assert [one["python"] for one in found] == [str(other.python), str(env.python), str(env.python)]
    for one in found:
        process = psutil.Process(one["pid"])
        assert process.ppid() == stack.process.pid
        assert process.cmdline()[0] == one["python"], "started by exec, not forked from the launcher"
        assert process.num_threads() == 1
        assert os.getsid(process.pid) == process.pid
        assert len(process.children()) == len(one["apps"])


def test_apps_do_not_share_a_relative_search_path(project: ProjectBuilder, up: StackStarter, env: Environment) -> None:
    toml = (
        config(env, "one", "two")
        .replace('"one:app"', '"one:app"\ncwd = "1"')
        .replace('"two:app"', '"two:app"\ncwd = "2"')
    )
    app = answering("place.NAME", "import place")
    files = {"1/one.py": app, "2/two.py": app, "1/src/place.py": "NAME = 1", "2/src/place.py": "NAME = 2"}
    stack = up(project({"devrun.toml": toml, **files}), env={"PYTHONPATH": "src"})
    stack.wait_ready()
    assert [stack.get("one").text, stack.get("two").text] == ["1", "2"]


def test_generators_of_a_package_draw_other_numbers_in_every_worker(
    project: ProjectBuilder, up: StackStarter, env: Environment
) -> None:
    """As the one that Faker has at its top; but a seed is a seed, the package's and the app's."""
    env.install("fake", "import random\nFREE, FIXED, APPS = random.Random(), random.Random(42), random.Random()\n")
    app = answering("[one.random() for one in (fake.FREE, fake.FIXED, fake.APPS)]", "import fake, seeding")
    apps = {"one.py": app, "two.py": app}
    seeding = {"seeding.py": "import fake\nfake.APPS.seed(7)\n"}
    stack = up(project({"devrun.toml": config(env, "one", "two"), **apps, **seeding}))
    stack.wait_ready()
    wait_preloaded(stack, "fake", app="one")
    drawn: list[list[float]] = []
    for number in range(1, 4):  # from the fork server first, then from a checkpoint
        for name in ("one", "two"):
            drawn.append(json.loads(reload(stack, f"{app}# {number}\n", name)))
    assert len(parked(stack, "one")) == 2, "in front of the file, and behind its imports"
    assert len({free for free, _, _ in drawn}) == len(drawn)
    assert {(fixed, apps) for _, fixed, apps in drawn} == {(random.Random(42).random(), random.Random(7).random())}


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_pool_of_an_app_in_another_folder_finds_that_folders_modules(
    project: ProjectBuilder, up: StackStarter, env: Environment, method: str
) -> None:
    """The fork server was started in the folder of the other app."""
    head = f"""
    import concurrent.futures, multiprocessing, work
    pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("{method}"))
    """
    toml = config(env, "one", "two")
    files = {
        "devrun.toml": toml.replace('"one:app"', '"one:app"\ncwd = "1"').replace('"two:app"', '"two:app"\ncwd = "2"')
    }
    for number, name in ((1, "one"), (2, "two")):
        files[f"{number}/{name}.py"] = answering("pool.submit(work.which).result()", head)
        files[f"{number}/work.py"] = f"import os\ndef which():\n    return '{name} ' + os.path.basename(os.getcwd())\n"
    stack = up(project(files))
    stack.wait_ready()
    assert [stack.get(name).text for name in ("one", "two")] == ["one 1", "two 2"]
    assert len(server_pids(stack)) == 1, "one fork server for both"


# --- what must not be imported ahead ----------------------------------------------------------------------------------


def test_what_cannot_be_imported_ahead_is_left_out_by_name(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    env.install("ticking", THREAD + diary.note("ticking"))
    env.install("outer", "import ticking\n" + diary.note("outer"))
    env.install("opened", f"import os\nfile = open(os.devnull)\n{diary.note('opened')}")
    env.install("picky", f"{diary.note('picky')}if {AHEAD}:\n    raise RuntimeError('not here')\n")
    env.install("plugged", f"{diary.note('plugged')}import settings\n")
    env.install("double", "PLACE = 'installed'\n" + diary.note("double"))
    env.install("decent", diary.note("decent"))
    vendor = {"vendor/site-packages/double.py": "PLACE = 'vendored'"}
    app = answering(
        "(ticking.runs(), opened.file.closed, double.PLACE)",
        "import sys; sys.path.insert(0, 'vendor/site-packages')\n"
        "import outer, ticking, opened, picky, plugged, double, decent",
    )
    folder = project({"devrun.toml": config(env), "api.py": app, "settings.py": "", **vendor})
    with Stack(folder) as stack:
        stack.wait_ready()
        assert stack.get("api").text == "(True, False, 'vendored')"
        wait_preloaded(stack, "decent")
        wait_until(lambda: len(server(stack)["left_out"]) == 6)
        left_out = server(stack)["left_out"]
        assert left_out == preload_record(stack)["left_out"]
        assert reload(stack, app + "\n") == "(True, False, 'vendored')"
    installed = env.packages / "double/__init__.py"
    assert left_out == {
        "ticking": "starts a thread (ticker)",
        "outer": "imports ticking, which starts a thread (ticker)",
        "opened": "leaves a descriptor open (/dev/null)",
        "picky": "cannot be imported ahead of the app: RuntimeError: not here",
        "plugged": "cannot be imported ahead of the app: No module named 'settings'",
        "double": f"comes from {installed}, not from {folder / 'vendor/site-packages/double.py'}",
    }
    diary.clear()
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == "(True, False, 'vendored')"
    assert server(stack)["left_out"] == left_out
    assert warnings(stack) == []
    (worker,) = workers(stack)
    for name in ("ticking", "outer", "opened", "picky", "plugged"):
        assert diary.pids(name) == [worker], f"{name} was tried again"
    assert diary.pids("decent") == [server(stack)["pid"]]
    assert psutil.Process(server(stack)["pid"]).num_threads() == 1


def test_a_package_that_imports_the_apps_own_code_is_left_out(
    project: ProjectBuilder, up: StackStarter, env: Environment
) -> None:
    """Here the fork server would find it, too."""
    env.install("plugged", "import settings\nVALUE = settings.VALUE\n")
    app = answering("plugged.VALUE", "import plugged")
    folder = project({"devrun.toml": config(env), "api.py": app, "settings.py": "VALUE = 1"})
    stack = up(folder, env={"PYTHONPATH": str(folder)})
    stack.wait_ready()
    wait_until(lambda: server(stack)["left_out"])
    assert server(stack)["left_out"] == {"plugged": "imports settings, which is the app's own"}
    (folder / "settings.py").write_text("VALUE = 2")
    stack.wait_text("api", "2")


def test_threads_that_end_themselves_at_a_fork_do_no_harm(
    project: ProjectBuilder, up: StackStarter, env: Environment
) -> None:
    """As those of OpenBLAS do."""
    end = """
import os
def end():
    stop.set()
    thread.join()
    while os.path.isdir("/proc/self/task") and len(os.listdir("/proc/self/task")) > 1:
        pass
os.register_at_fork(before=end)
"""
    env.install("blas", THREAD + end)
    app = answering("blas.runs()", "import blas")
    stack = up(project({"devrun.toml": config(env), "api.py": app}))
    stack.wait_ready()
    assert stack.get("api").text == "True"
    wait_preloaded(stack, "blas")
    assert server(stack)["left_out"] == {}
    assert reload(stack, app + "\n") == "False"


def test_a_save_while_something_harmful_is_being_imported_ahead(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, tmp_path: Path
) -> None:
    """What is asked of a fork server while it finds out that it is of no use is done by the next one."""
    slow_to_preload(env, diary, tmp_path / "go")
    env.install("ticking", "import slow\n" + THREAD)
    source = "import ticking\nVERSION = {}"
    stack = up(project({"devrun.toml": config(env), "api.py": answering("ticking.runs()", source.format(1))}))
    stack.wait_ready()
    wait_until(lambda: diary.pids("True"), "the fork server does not import it")
    (stack.folder / "api.py").write_text(answering("(VERSION, ticking.runs())", source.format(2)))
    stack.wait_line("reloading api")
    (tmp_path / "go").touch()
    stack.wait_line(r"\] ready api")
    assert stack.get("api").text == "(2, True)"


def test_nobody_waits_for_the_server_after_one_that_was_thrown_away(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, tmp_path: Path
) -> None:
    """The app gets a fresh interpreter this once, and its reloads come from the server that is there then."""
    spoil, go = tmp_path / "spoil", tmp_path / "go"
    env.install("fickle", f"import os\nif {AHEAD} and os.path.exists({str(spoil)!r}):\n{indent(THREAD)}")
    slow_to_preload(env, diary, go)
    app = answering("os.getppid()", "import os, fickle, slow")
    folder = project({"devrun.toml": config(env), "api.py": app})
    learn(folder, go, "fickle", "slow")
    spoil.touch()
    diary.clear()
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == str(stack.process.pid)
    wait_until(lambda: diary.pids("True"), "nothing is imported in the background")
    found = server(stack)
    assert found["left_out"] == {"fickle": "starts a thread (ticker)"}
    assert (found["pid"], found["preloaded"]) == (diary.pids("True")[0], [])
    assert reload(stack, app + "# 1") == str(stack.process.pid), "nor does a reload"
    assert engine(stack) == {"engine": "fork", "reason": None, "refused": None, "checkpoints": [], "fresh": True}
    go.touch()
    wait_preloaded(stack, "slow")
    assert reload(stack, app + "# 2") == str(server(stack)["pid"])
    assert not engine(stack)["fresh"]
    assert warnings(stack) == []


def learn(folder: Path, go: Path, *modules: str) -> None:
    """Be up once, until these are imported ahead; from then on what is ``slow_to_preload`` waits."""
    go.touch()
    with Stack(folder) as stack:
        stack.wait_ready()
        wait_preloaded(stack, *modules)
    go.unlink()


def indent(source: str) -> str:
    return textwrap.indent(source, "    ")


def test_nobody_waits_much_longer_for_a_server_than_the_app_takes_by_itself(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    slow_to_preload(env, diary, go)
    app = answering("os.getppid()", "import os, slow")
    folder = project({"devrun.toml": config(env), "api.py": app})
    learn(folder, go, "slow")
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == str(stack.process.pid)
    assert engine(stack)["engine"] == "fork"
    go.touch()
    wait_preloaded(stack, "slow")
    assert reload(stack, app + "# 1") == str(server(stack)["pid"])


# --- what is installed ------------------------------------------------------------------------------------------------


def test_a_reload_sees_what_was_installed_upgraded_edited_and_removed(
    project: ProjectBuilder, up: StackStarter, env: Environment
) -> None:
    env.install("tool", "VERSION = 1\n")
    env.install("finder", "try:\n    import extra\nexcept ImportError:\n    extra = None\nFOUND = extra is not None\n")
    app = answering(
        "(tool and tool.VERSION, finder.FOUND)", "import finder\ntry: import tool\nexcept ImportError: tool = None"
    )
    folder = project(
        {
            "devrun.toml": config(env, "api", "two"),
            "api.py": f"import shared\n{app}",
            "two.py": f"import shared\n{app}",
            "shared.py": "",
        }
    )

    def both(number: int) -> set[str]:
        (folder / "shared.py").write_text(f"# {number}")
        for name in ("api", "two"):
            stack.wait_line(f"reloading {name}", since=before)
            stack.wait_line(f"ready {name}", since=before)
        return {stack.get(name).text for name in ("api", "two")}

    stack = up(folder)
    stack.wait_ready()
    wait_preloaded(stack, "tool", "finder")
    before = len(stack.lines)
    env.install("extra", "")
    assert both(1) == {"(1, True)"}, "installed"
    before = len(stack.lines)
    env.install("tool", "VERSION = 2.0\n", version="2")
    assert both(2) == {"(2.0, True)"}, "upgraded"
    before = len(stack.lines)
    wait_preloaded(stack, "tool", "finder")
    (env.packages / "tool/__init__.py").write_text("VERSION = 'edited'\n")
    assert both(3) == {"('edited', True)"}, "edited in place"
    before = len(stack.lines)
    env.uninstall("tool")
    assert both(4) == {"(None, True)"}, "removed"
    assert warnings(stack) == []
    wait_until(lambda: len(server_pids(stack)) == 1, "old fork servers are alive")


@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_installing_what_an_app_lacks_mends_it(
    project: ProjectBuilder, up: StackStarter, env: Environment, engine: str
) -> None:
    toml = config(env).replace('engine = "fork"', f'engine = "{engine}"')
    stack = up(project({"devrun.toml": toml, "api.py": answering("tool.VALUE", "import tool")}))
    stack.wait_line(r"\] broken api: .*: ModuleNotFoundError: No module named 'tool'$")
    env.install("tool", "from tool.part import VALUE")
    stack.wait_line(r"\] broken api: .*: ModuleNotFoundError: No module named 'tool.part'")
    (env.packages / "tool/part.py").write_text("VALUE = 'here'")
    stack.wait_line(r"\] ready api")
    assert stack.get("api").text == "here"


@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_a_package_that_is_installed_editable(
    project: ProjectBuilder, up: StackStarter, env: Environment, tmp_path: Path, engine: str
) -> None:
    """As setuptools does it: a finder behind Python's own, which a ``.pth`` file installs."""
    tool = tmp_path / "elsewhere/tool/__init__.py"
    write_files(tmp_path, {"elsewhere/tool/__init__.py": "VALUE = 1"})
    finder = f"""
import sys
from importlib.util import spec_from_file_location
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "tool":
            return spec_from_file_location(name, {str(tool)!r}, submodule_search_locations=[{str(tool.parent)!r}])
sys.meta_path.append(Finder)
"""
    write_files(env.packages, {"tool_finder.py": finder, "tool.pth": "import tool_finder\n"})
    toml = config(env).replace('engine = "fork"', f'engine = "{engine}"')
    stack = up(project({"devrun.toml": toml, "api.py": answering("str(tool.VALUE)", "import tool")}))
    stack.wait_ready()
    for number in (2, 3, 4):
        tool.write_text(f"VALUE = {number}")
        stack.wait_line(r"\] reloading api")
        stack.wait_line(r"\] ready api")
        assert stack.get("api").text == str(number)
    assert parked(stack) == ([os.path.relpath(tool, stack.folder.resolve())] if engine == "fork" else [])


def test_what_is_left_out_stays_so_after_an_installation(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    """But what could not be imported is tried again, and nothing is left out for a package that was uninstalled."""
    env.install("ticking", THREAD + diary.note("ticking"))
    env.install("outer", "try:\n    import ticking\nexcept ImportError:\n    pass\n")
    env.install("picky", f"if {AHEAD}:\n    import extra\n")
    app = answering("1", "import outer, picky")
    stack = up(project({"devrun.toml": config(env), "api.py": app}))
    stack.wait_ready()
    wait_until(lambda: len(server(stack)["left_out"]) == 3)
    before = server(stack)["left_out"]
    assert before == {
        "ticking": "starts a thread (ticker)",
        "outer": "imports ticking, which starts a thread (ticker)",
        "picky": "cannot be imported ahead of the app: No module named 'extra'",
    }
    env.install("extra", "")
    diary.clear()
    reload(stack, app + "# 1")
    wait_preloaded(stack, "picky")
    del before["picky"]
    assert server(stack)["left_out"] == before
    assert diary.lines() == ["ticking"], "a fork server has tried it again"
    env.uninstall("ticking")
    reload(stack, app + "# 2")
    wait_preloaded(stack, "outer")
    assert server(stack)["left_out"] == {}


# --- settings ---------------------------------------------------------------------------------------------------------


def test_preload_off(project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary) -> None:
    env.install("tool", diary.note("tool"))
    app = answering("tool.__name__", "import tool")
    folder = project({"devrun.toml": config(env, reload='preload = "off"'), "api.py": app})
    for _ in range(2):
        diary.clear()
        with Stack(folder) as stack:
            stack.wait_ready()
            assert reload(stack, app + "\n") == "tool"
            assert server(stack)["preloaded"] == []
            assert server(stack)["pid"] not in diary.pids("tool")
            assert engine(stack)["engine"] == "fork"


def test_preload_names_modules(project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary) -> None:
    """Those that cannot be had, or that would grow stale, are named."""
    env.install("wanted", diary.note("wanted"))
    env.install("other", diary.note("other"))
    preload = 'preload = ["wanted", "nowhere", "helper"]'
    app = answering("helper.VALUE", "import wanted, other, helper")
    folder = project({"devrun.toml": config(env, reload=preload), "api.py": app, "helper.py": "VALUE = 1"})
    stack = up(folder, env={"PYTHONPATH": str(folder)})
    stack.wait_ready()
    assert diary.pids("other") == [worker(stack)]
    wait_preloaded(stack, "wanted")
    assert server(stack)["preloaded"] == ["wanted"]
    assert warnings(stack) == [
        "[devrun] warning: reload.preload: nowhere is left out: cannot be imported ahead of the app: "
        "No module named 'nowhere'",
        "[devrun] warning: reload.preload: helper is left out: is the app's own",
    ]
    (folder / "helper.py").write_text("VALUE = 2")
    stack.wait_text("api", "2")


def test_engine_spawn(project: ProjectBuilder, up: StackStarter, env: Environment) -> None:
    toml = config(env).replace('engine = "fork"', 'engine = "spawn"')
    stack = up(project({"devrun.toml": toml, "api.py": answering("os.getppid()", "import os")}))
    stack.wait_ready()
    assert int(stack.get("api").text) == stack.process.pid
    assert server_pids(stack) == set()
    found = details(stack)
    assert found["fork_servers"] == []
    assert found["engines"]["api"]["engine"] == "spawn"


# --- apps for which a fork will not do --------------------------------------------------------------------------------

FORKED = "open('/proc/self/cmdline', 'rb').read().endswith(b'fork\\0')"
UNFIT = {
    "crash": (
        f"import os, signal\nif {FORKED}:\n    os.kill(os.getpid(), signal.SIGSEGV)",
        "'waited'",
        "its import crashed in a forked process (SIGSEGV)",
    ),
}


@pytest.mark.parametrize("why", UNFIT)
def test_an_app_that_cannot_be_forked_gets_a_fresh_interpreter(
    project: ProjectBuilder, up: StackStarter, env: Environment, why: str
) -> None:
    head, expression, reason = UNFIT[why]
    good = answering("os.getppid()", "import os")
    stack = up(
        project({"devrun.toml": config(env, "api", "two"), "api.py": answering(expression, head), "two.py": good})
    )
    stack.wait_ready()
    assert stack.get("api").text == "waited"
    ours = f"[devrun] warning: api: each reload starts a fresh interpreter: {reason}"
    assert warnings(stack) == [ours]
    assert reload(stack, answering("os.getppid()", head + "\nimport os")) == str(stack.process.pid)
    assert warnings(stack) == [ours], "told once"
    assert engine(stack) == {"engine": "spawn", "reason": reason, "refused": None, "checkpoints": [], "fresh": False}
    assert engine(stack, "two")["engine"] == "fork"
    assert stack.get("two").text == str(server(stack, "two")["pid"])
    assert not any("broken" in line or "exited" in line for line in stack.lines)


def test_a_file_that_hides_a_preloaded_package(project: ProjectBuilder, up: StackStarter, env: Environment) -> None:
    env.install("tool", "PLACE = 'installed'\n")
    app = answering("tool.PLACE", "import tool")
    folder = project({"devrun.toml": config(env), "api.py": app})
    stack = up(folder)
    stack.wait_ready()
    wait_preloaded(stack, "tool")
    assert reload(stack, app + "# 1") == "installed"
    (folder / "tool").mkdir()
    (folder / "tool/data").touch()
    assert reload(stack, app + "# 2") == "installed", "a folder without __init__.py hides nothing"
    (folder / "tool.py").write_text("PLACE = 'own'")
    assert reload(stack, app + "# 3") == "own"
    assert reload(stack, app + "# 4") == "own"
    assert warnings(stack) == [
        "[devrun] warning: api: each reload starts a fresh interpreter: tool.py hides the installed tool"
    ]


def test_a_folder_in_front_of_what_is_installed(project: ProjectBuilder, up: StackStarter, env: Environment) -> None:
    """The app itself has Python search it first, when packages are imported ahead already."""
    env.install("tool", "PLACE = 'installed'\n")
    head = "import os, sys\nsys.path[:0] = [os.path.abspath(name) for name in ('nowhere', 'lib')]\nimport tool"
    app = answering("tool.PLACE", head)
    folder = project({"devrun.toml": config(env), "api.py": app, "lib/other.py": ""})
    stack = up(folder)
    stack.wait_ready()
    wait_preloaded(stack, "tool")
    assert reload(stack, app + "# 1") == "installed"
    write_files(folder, {"lib/tool.py": "PLACE = 'own'"})
    assert reload(stack, app + "# 2") == "own"
    assert warnings(stack) == [
        "[devrun] warning: api: each reload starts a fresh interpreter: lib/tool.py hides the installed tool"
    ]


# --- apps that change their environment -------------------------------------------------------------------------------


def test_a_package_sees_the_variables_that_the_app_has_set_before(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    """At its first import, at every reload, and at the next up; the other apps share a fork server all the same."""
    env.install("early", diary.note("early"))
    env.install("tool", "import os\nSEEN = os.environ.get('FLAVOUR')\n" + diary.note("tool"))
    sets = "import early\nfrom leaf import FLAVOUR\nimport os\nos.environ['FLAVOUR'] = FLAVOUR\nimport tool"
    app, other = answering("tool.SEEN", sets), answering("tool.SEEN", "import tool")
    names = ("api", "api2", "one", "two")
    files = dict(zip((f"{name}.py" for name in names), (app, app, other, other), strict=True))
    folder = project({"devrun.toml": config(env, *names), "leaf.py": "FLAVOUR = 'sweet'", **files})
    for flavour in ("sour", "bitter"):
        with Stack(folder) as stack:
            stack.wait_ready()
            assert {stack.get(name).text for name in ("one", "two")} == {"None"}
            for number in range(2):
                (folder / "leaf.py").write_text(f"FLAVOUR = '{flavour}{number}'")
                for name in ("api", "api2"):
                    stack.wait_text(name, f"{flavour}{number}")
            assert reload(stack, app + f"# {flavour}") == f"{flavour}1"
            assert reload(stack, other + f"# {flavour}", "one") == "None"
            wait_until(lambda: "tool" in server(stack, "one")["preloaded"])
            assert sorted(one["apps"] for one in servers(stack)) == [["api"], ["api2"], ["one", "two"]]
            assert server(stack)["changes"] == {"api": "FLAVOUR"}
            assert server(stack, "one")["changes"] == {}
            assert server_pids(stack) == {one["pid"] for one in servers(stack)}, "a fork server that nobody uses"


def test_what_a_running_app_imports_of_a_package_is_imported_ahead_next_time(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    """Not another package, which may be left for later on purpose; nor once the app has changed its environment."""
    env.install("base", {"__init__.py": "", "late.py": diary.note("base.late"), "later.py": diary.note("base.later")})
    env.install("heavy", diary.note("heavy"))
    source = answering(
        "work()",
        """
import asyncio, base, os, sys
def work():
    import base.late, heavy
    if os.path.exists("change"):
        os.environ["FLAVOUR"] = "sour"
        import base.later
        asyncio.get_running_loop().call_later(2.2, print, "looked at twice since")
    return sorted(name for name in sys.modules if name in ("base.late", "base.later", "heavy"))
""",
    )
    folder = project({"devrun.toml": config(env, "api"), "api.py": source})
    with Stack(folder) as stack:
        stack.wait_ready()
        assert stack.get("api").text == "['base.late', 'heavy']"
        wait_preloaded(stack, "base", "base.late")
        (folder / "change").touch()
        assert stack.get("api").text == "['base.late', 'base.later', 'heavy']"
        stack.wait_line("looked at twice since")
        assert not {"base.later", "heavy"} & set(preload_record(stack)["modules"])
    diary.clear()
    stack = up(folder)
    stack.wait_ready()
    assert diary.lines() == ["base.late"]


def test_an_app_that_comes_to_change_its_environment(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    """Its packages are imported ahead already when an edit makes it set a variable before; and one more edit after."""
    env.install("tool", "import os\nSEEN = os.environ.get('FLAVOUR')\n" + diary.note("tool"))
    app = answering("(tool.SEEN, leaf.VALUE)", "{}import tool, leaf")
    files = {"one.py": app.replace("{}", ""), "api.py": app.replace("{}", ""), "leaf.py": "VALUE = 0"}
    folder = project({"devrun.toml": config(env, "api", "one"), **files})
    sets = "import os; os.environ['FLAVOUR'] = '{}'\n"
    with Stack(folder) as stack:
        stack.wait_ready()
        wait_preloaded(stack, "tool")
        assert reload(stack, app.replace("{}", "# nothing new\n")) == "(None, 0)"
        assert reload(stack, app.replace("{}", sets.format("sweet"))) == "('sweet', 0)"
        assert reload(stack, app.replace("{}", sets.format("sour"))) == "('sour', 0)"
        for number in (1, 2):
            diary.clear()
            (folder / "leaf.py").write_text(f"VALUE = {number}")
            stack.wait_text("api", f"('sour', {number})")
            stack.wait_text("one", f"(None, {number})")
        assert diary.lines() == [], "checkpoints are of use all the same"
        assert sorted(one["apps"] for one in servers(stack)) == [["api"], ["one"]]
        assert "tool" in server(stack, "one")["preloaded"]
    stack = up(folder)
    stack.wait_ready()
    assert (stack.get("api").text, stack.get("one").text) == ("('sour', 2)", "(None, 2)")
    assert not any("exited" in line or "warning" in line for line in stack.lines)


# --- deaths, and the end ----------------------------------------------------------------------------------------------


def test_a_killed_fork_server(project: ProjectBuilder, up: StackStarter, env: Environment) -> None:
    """Its workers go on, the next reload has another, and what becomes of the old workers is known."""
    app = answering("os.getpid()", "import os")
    stack = up(project({"devrun.toml": config(env, "api", "two"), "api.py": app, "two.py": app}))
    stack.wait_ready()
    before = [int(stack.get(name).text) for name in ("api", "two")]
    killed = server(stack)["pid"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: server_pids(stack) == set())
    assert [int(stack.get(name).text) for name in ("api", "two")] == before
    assert int(reload(stack, app + "# 1")) not in before
    assert server_pids(stack) == {server(stack)["pid"]} != {killed}
    wait_until(lambda: before[0] not in stack.pids(), "the old worker was not ended")
    os.kill(before[1], signal.SIGKILL)  # its parent is gone
    stack.wait_line("exited two: signal SIGKILL; restarting$")
    stack.wait_line(r"\] ready two")
    assert int(stack.get("two").text) != before[1]
    os.kill(server(stack)["pid"], signal.SIGKILL)
    assert stack.stop() == 0


def slow_to_preload(env: Environment, diary: Diary, until: Path) -> None:
    """Install a package that a fork server imports only when there is a file ``until``."""
    wait = f"""
if {AHEAD}:
    import os, time
    while not os.path.exists({str(until)!r}):
        time.sleep(0.01)
"""
    env.install("slow", diary.writing(AHEAD) + wait)


def test_a_fork_server_that_is_killed_while_it_imports(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, tmp_path: Path
) -> None:
    slow_to_preload(env, diary, tmp_path / "go")
    app = answering("1", "import slow")
    stack = up(project({"devrun.toml": config(env), "api.py": app}))
    stack.wait_ready()
    (importing,) = wait_until(lambda: diary.pids("True"))
    os.kill(importing, signal.SIGKILL)
    wait_until(lambda: server_pids(stack) == set())
    assert stack.get("api").text == "1"
    (tmp_path / "go").touch()
    assert reload(stack, app.replace("(1)", "(2)")) == "2"
    wait_preloaded(stack, "slow")


def test_a_fork_server_that_dies_while_an_app_waits_for_it(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary, tmp_path: Path
) -> None:
    """The app is started all the same."""
    slow_to_preload(env, diary, tmp_path / "go")
    folder = project({"devrun.toml": config(env), "api.py": answering("1", "import slow")})
    learn(folder, tmp_path / "go", "slow")
    diary.clear()
    stack = up(folder)
    (importing,) = wait_until(lambda: diary.pids("True"))
    os.kill(importing, signal.SIGKILL)
    stack.wait_ready()
    assert stack.get("api").text == "1"
    (tmp_path / "go").touch()
    assert reload(stack, answering("2", "import slow")) == "2"
    wait_preloaded(stack, "slow")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("when", ["the first up", "the second up"])
def test_the_end_comes_while_a_fork_server_imports(
    project: ProjectBuilder, env: Environment, diary: Diary, tmp_path: Path, how: signal.Signals, when: str
) -> None:
    """At the first up a save comes meanwhile, and waits for it; at the second up the app itself does."""
    slow_to_preload(env, diary, tmp_path / "go")
    folder = project({"devrun.toml": config(env), "api.py": answering("1", "import slow")})
    if when == "the second up":
        (tmp_path / "go").touch()
        with Stack(folder) as stack:
            stack.wait_ready()
            wait_preloaded(stack, "slow")
        (tmp_path / "go").unlink()
        diary.clear()
    with Stack(folder) as stack:
        wait_until(lambda: diary.pids("True"), "the fork server does not import it")
        if when == "the first up":
            stack.wait_ready()
            (folder / "api.py").write_text(answering("2", "import slow"))
            stack.wait_line("reloading api")
        stack.signal(how)
        assert stack.wait_exit(5) == (-how if how == signal.SIGKILL else 0 if when == "the first up" else 130)
        assert stack.left_over() == []


# --- systems that are not Linux ---------------------------------------------------------------------------------------

ELSEWHERE = """
import ctypes, os, sys

def hide(function):
    def hidden(path=".", *args, **options):
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return function(path, *args, **options)
    return hidden

def nothing(*args):
    raise OSError("there is no prctl")

if "fork" in sys.argv or "fork" in sys.orig_argv:
    os.listdir, os.scandir = hide(os.listdir), hide(os.scandir)
    del os.waitid
    ctypes.CDLL = nothing
    with open(__file__ + ".used", "w"):
        pass
"""


def test_without_what_only_linux_tells(
    project: ProjectBuilder, up: StackStarter, env: Environment, diary: Diary
) -> None:
    """No /proc, no waitid(2), no orphans that are adopted: an app is forked and its import goes on as anywhere."""
    (env.packages / "sitecustomize.py").write_text(ELSEWHERE)
    env.install("ticking", THREAD)
    env.install("tool", diary.note("tool"))
    app = answering("(early.VALUE, leaf.VALUE, ticking.runs())", "import tool, early, leaf, ticking")
    early = diary.note("early") + "VALUE = 0"
    folder = project({"devrun.toml": config(env), "api.py": app, "early.py": early, "leaf.py": "VALUE = 0"})
    stack = up(folder)
    stack.wait_ready()
    assert (env.packages / "sitecustomize.py.used").exists()
    wait_preloaded(stack, "tool")
    assert server(stack)["left_out"] == {"ticking": "starts a thread (ticker)"}
    for number in range(1, 5):
        diary.clear()
        (folder / "leaf.py").write_text(f"VALUE = {number}")
        stack.wait_text("api", f"(0, {number}, True)")
    assert diary.lines() == []
    assert parked(stack) == ["leaf.py"]
    pid = worker(stack)
    os.kill(pid, signal.SIGKILL)
    stack.wait_line("exited api: signal SIGKILL; restarting$")
    stack.wait_text("api", "(0, 4, True)")
    assert worker(stack) != pid

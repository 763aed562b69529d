"""The pytest plugin in suites as their users have them: real runs, with xdist, and however they end."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import devrun.pytest_stack  # noqa: F401 - or pytester would take it out of this process again, and others load it anew
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import wait_until
from tests.live.apps import RESPOND
from tests.live.suites import BARE, Suites

CONFIG = """
name = "shop"
[apps.api]
app = "main:app"
[apps.web]
app = "main:app"
env = { SECRET = "${env:SECRET_OF_TESTS}" }
"""
MAIN = f"""
import os
{RESPOND}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    if scope["path"] == "/boom":
        print("about to boom")
        await respond(send, b"sorry", 500)
        raise RuntimeError("boom of " + os.environ["DEVRUN_APP"])
    await respond(send, os.environ.get(scope["path"][1:], "unset"))
"""
CONFTEST = """
import pathlib, urllib.error, urllib.request
import pytest

@pytest.fixture(scope="session")
def devrun_options():
    return {"env": {"SECRET_OF_TESTS": "known"}}

@pytest.fixture
def get(devrun_url):
    def get(app, path):
        try:
            return urllib.request.urlopen(devrun_url(app) + path).read().decode()
        except urllib.error.HTTPError as error:
            return error.code
    return get
"""
SHOP = {"devrun.toml": CONFIG, "main.py": MAIN, "conftest.py": CONFTEST, "pytest.ini": "[pytest]"}


@pytest.fixture
def suites(project: ProjectBuilder) -> Iterator[Suites]:
    suites = Suites(project(SHOP))
    yield suites
    left = suites.processes()
    for process in left:
        process.kill()
    assert not left, "processes of a suite are still alive"


def write(suites: Suites, source: str) -> None:
    (suites.folder / "test_it.py").write_text(source)


# --- what pytest has of it ------------------------------------------------------------------------------------------


def test_it_is_light_and_does_nothing_before_it_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import subprocess, sys

        def test_modules():
            assert "devrun.pytest_plugin" in sys.modules
            assert not [name for name in sys.modules if name.startswith("devrun.") and name != "devrun.pytest_plugin"]

        def test_alone():
            told = "import pytest, sys; before = set(sys.modules); import devrun.pytest_plugin; "
            told += "print(*sorted(set(sys.modules) - before))"
            found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout
            assert found.split() == ["devrun", "devrun.pytest_plugin"]
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    assert not (pytester.path / ".devrun").exists()


def test_its_options_and_fixtures_have_help(pytester: pytest.Pytester) -> None:
    options = pytester.runpytest("--help", "-p", "no:asyncio").stdout
    options.fnmatch_lines(["*--devrun={fresh,reuse}*", "*--devrun-config=FILE*"])
    fixtures = pytester.runpytest("--fixtures", "-p", "no:asyncio").stdout
    for name in ("devrun_options", "devrun_stack", "devrun_url"):
        fixtures.re_match_lines_random([rf"{name} \[session scope\]"])
    own = str(fixtures).partition("fixtures defined from devrun")[2].partition("fixtures defined from")[0]
    assert own and "no docstring" not in own


def test_a_session_in_this_very_process(pytester: pytest.Pytester, project: ProjectBuilder) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import pytest

        def test_one(get, devrun_stack, devrun_url):
            assert get("web", "/SECRET") == "known"
            assert devrun_url("api") == devrun_stack["api"].url == devrun_stack.env["API_URL"]
            with pytest.raises(KeyError, match="did you mean 'api'"):
                devrun_url("apy")
            with pytest.raises(Exception, match="more than one"):
                devrun_url()
        """
    )
    config = project(SHOP) / "devrun.toml"
    result = pytester.runpytest_inprocess(f"--devrun-config={config}", "-p", "no:asyncio")
    result.assert_outcomes(passed=1)
    assert os.listdir(config.parent / ".devrun" / "run") == []


# --- stacks ---------------------------------------------------------------------------------------------------------

EIGHT = """
import json, os, pathlib
import pytest

@pytest.mark.parametrize("number", range(8))
def test_number(number, get, request, tmp_path_factory):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    assert get("api", "/PYTEST_CURRENT_TEST") == "unset"
    with open(pathlib.Path(__file__).parent / "seen.jsonl", "a") as file:
        file.write(json.dumps([os.getppid(), worker, get("api", "/API_URL"), get("web", "/DEVRUN_STACK")]) + "\\n")
"""


def test_a_stack_for_each_worker_and_two_suites_at_once(suites: Suites) -> None:
    write(suites, EIGHT)
    both = [suites.start("-n", "4"), suites.start("-n", "2")]
    for process in both:
        code, out = suites.finish(process)
        assert code == 0 and "8 passed" in out
    seen = [tuple(json.loads(line)) for line in (suites.folder / "seen.jsonl").read_text().splitlines()]
    stacks = {(suite, worker): (url, stack) for suite, worker, url, stack in seen}
    assert len(seen) == 16 and set(Counter(suite for suite, *_ in seen).values()) == {8}
    assert len(set(seen)) == len(stacks) == len(set(stacks.values())) == 6, "one stack for each of the six workers"
    assert suites.states() == [] and not (suites.folder / ".env").exists()
    suites.check_gone(0.5)


def test_the_project_is_found(suites: Suites, tmp_path: Path) -> None:
    below = suites.folder / "tests" / "deep"
    below.mkdir(parents=True)
    (below / "test_it.py").write_text("def test_it(get):\n    assert get('api', '/DEVRUN_APP') == 'api'\n")
    assert suites.run(cwd=below)[0] == 0, "from the folder that pytest is started in"
    (tmp_path / "devrun.toml").write_text("[apps.other]\napp = 'nothing:app'\n")
    assert suites.run(str(below), cwd=tmp_path)[0] == 0, "from pytest's root folder, when the tests are elsewhere"
    (suites.folder / "two.toml").write_text(f"{CONFIG}\n[apps.two]\napp = 'main:app'\n")
    write(suites, "def test_it(devrun_stack):\n    assert list(devrun_stack) == ['api', 'web', 'two']\n")
    assert suites.run("--devrun-config=../two.toml", str(suites.folder / "test_it.py"), cwd=below.parent)[0] == 0


# --- what failing tests tell ----------------------------------------------------------------------------------------

FAILING = """
import time

def test_before(get, devrun_stack):
    assert get("api", "/before") == "unset"
    while not any("/before" in line for line in devrun_stack["api"].logs()):
        time.sleep(0.01)

def test_boom(get):
    assert get("web", "/boom") == "fine"

def test_after(get):
    assert get("api", "/after") == "fine"

def test_name(devrun_url):
    devrun_url("apy")
"""


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_lines_of_the_apps_are_in_the_report_of_a_failing_test(suites: Suites, args: tuple[str, ...]) -> None:
    write(suites, FAILING)
    code, out = suites.run(*args)
    assert code == 1 and "3 failed, 1 passed" in out
    boom, after, name = (re.split(r"^_+ test_\w+ _+$", out.split(f" test_{test} ")[1], flags=re.M)[0] for test in NAMES)
    title, _, lines = boom.partition("Captured devrun web call")
    assert "- Captured" not in title and "about to boom" in lines and "RuntimeError: boom of web" in lines
    assert '"GET /boom HTTP/1.1" 500' in lines and "/before" not in out
    assert '"GET /after HTTP/1.1" 200' in after.partition("Captured devrun api call")[2] and "boom" not in after
    assert "E       devrun.errors.UnknownNameError: the stack has no app 'apy'; did you mean 'api'?" in name
    assert "handles.py" not in out, "devrun's own frames explain nothing"


NAMES = ("boom", "after", "name")


def test_a_broken_app_is_told_once_with_its_own_traceback(suites: Suites) -> None:
    (suites.folder / "main.py").write_text("import nothing_of_this_name\n")
    write(suites, "def test_one(devrun_url): pass\ndef test_two(devrun_stack): pass\ndef test_three(get): pass\n")
    code, out = suites.run()
    assert code == 1 and "3 errors" in out
    assert out.count("Traceback (most recent call last):") == 1
    assert out.count("(as told above)") == 2
    assert "/devrun/" not in out, "no line of devrun's own code"
    suites.check_gone(0.5)


# --- reuse ----------------------------------------------------------------------------------------------------------

SAME = """
import os, pathlib, subprocess, sys

def test_it(get, devrun_stack):
    devrun_stack.wait_ready()
    assert get("api", "/PID_OF_TEST") == "unset"
    devrun_stack["api"].restart()
    folder = pathlib.Path(__file__).parent
    told = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines() if "=" in line)
    assert {key: devrun_stack.env[key] for key in told} == told
    assert "DEVRUN_STACK" not in devrun_stack.env
    assert '"GET /PID_OF_TEST' in "".join(devrun_stack["api"].logs())
    assert any("ready api" in line for line in devrun_stack.logs() if line.startswith("[devrun]"))

def test_boom(get):
    assert get("web", "/boom") == "fine"
"""


def test_the_stack_that_is_up_is_used_and_stays_up(suites: Suites, up: StackStarter) -> None:
    write(suites, SAME)
    stack = up(suites.folder, env={"SECRET_OF_TESTS": "of up"})
    stack.wait_ready()
    code, out = suites.run("--devrun=reuse", "-n", "2")
    assert code == 1 and "1 failed, 1 passed" in out
    assert "RuntimeError: boom of web" in out.partition("Captured devrun web call")[2]
    stack.wait_line("ready api")
    assert stack.get("web", "/SECRET").text == "of up"
    assert suites.states() == []


def test_no_stack_to_reuse_is_a_mistake_of_usage(suites: Suites) -> None:
    write(suites, "def test_it(get): pass\ndef test_other(get): pass\n")
    said = f"--devrun=reuse: no stack is running in {suites.folder}; `devrun up` starts one"
    for args in ((), ("-n", "2")):
        code, out = suites.run("--devrun=reuse", *args)
        assert code == pytest.ExitCode.USAGE_ERROR and said in out
    write(suites, "def test_it(): pass\n")
    assert suites.run("--devrun=reuse")[0] == 0, "nobody has asked for it"


def test_a_url_that_others_answer_is_not_reused(suites: Suites, up: StackStarter) -> None:
    (suites.folder / "devrun.toml").write_text(
        f'{CONFIG}uvicorn = {{ headers = [["x-devrun", "shop-0000/web@elsewhere"]] }}\n'
    )
    write(suites, "def test_it(get): pass\n")
    up(suites.folder, env={"SECRET_OF_TESTS": "of up"}).wait_ready()
    code, out = suites.run("--devrun=reuse")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "is answered by web of another stack: shop-0000 on elsewhere" in out and "api" not in out


# --- README ---------------------------------------------------------------------------------------------------------


def test_what_readme_shows(suites: Suites) -> None:
    tests, conftest = shown_in("### pytest")
    blocking, awaited = shown_in("### From Python")
    (suites.folder / "devrun.toml").write_text(
        "[apps.api]\napp = 'main:app'\nenv = { items = '[]', LAST = '${env:DATABASE}' }\n"
    )
    (suites.folder / "conftest.py").write_text(conftest)
    write(suites, tests)
    code, out = suites.run()
    assert code == 0 and "2 passed" in out
    code, out = suites.run(command=(sys.executable, "-c", blocking))
    assert code == 0 and re.fullmatch(r"\d+ \['INFO:     Application startup complete.'\]\n", out)
    assert suites.run(command=("env", "DATABASE=a.db", sys.executable, "-c", awaited)) == (0, "")


def shown_in(heading: str) -> list[str]:
    """The Python in one section of README."""
    text = (Path(__file__).parents[2] / "README.md").read_text()
    section = re.split(r"^#+ ", text.partition(f"{heading}\n")[2], flags=re.M)[0]
    return re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S)


# --- async tests ----------------------------------------------------------------------------------------------------

ASYNC = """
import httpx
import pytest
import devrun

@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")

async def check(stack):
    async with httpx.AsyncClient(base_url=stack["api"].url) as client:
        assert (await client.get("/DEVRUN_STACK")).text == stack.env["DEVRUN_STACK"]
"""
PYTEST_ASYNCIO = (
    ASYNC
    + """
import pytest_asyncio

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def own_stack():
    async with devrun.running("api") as stack:
        yield stack

@pytest.mark.asyncio(loop_scope="session")
async def test_in_the_loop_of_the_fixture(own_stack):
    await own_stack.restart()
    await check(own_stack)

@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(2))
async def test_in_a_loop_of_its_own(own_stack, devrun_stack, number):
    await own_stack["api"].restart()
    devrun_stack["api"].restart()
    await check(own_stack)
    await check(devrun_stack)

@pytest.mark.asyncio
async def test_within_a_test():
    async with devrun.running("api") as stack:
        await check(stack)
"""
)
ANYIO = (
    ASYNC
    + """
pytestmark = pytest.mark.anyio

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module")
async def own_stack(anyio_backend):
    async with devrun.running("api") as stack:
        yield stack

async def test_with_a_fixture(own_stack, devrun_stack):
    await own_stack.restart()
    await check(own_stack)
    await check(devrun_stack)
"""
)
TRIO = (
    ASYNC
    + """
pytestmark = pytest.mark.anyio

@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_in_trio(devrun_stack):
    with pytest.raises(devrun.UsageError, match="needs a loop of asyncio"):
        async with devrun.running("api"):
            pass
    devrun_stack.restart()
    await check(devrun_stack)
"""
)


def test_under_pytest_asyncio_and_anyio(suites: Suites) -> None:
    (suites.folder / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    (suites.folder / "devrun.toml").write_text("[apps.api]\napp = 'main:app'\n")
    (suites.folder / "test_asyncio.py").write_text(PYTEST_ASYNCIO)
    (suites.folder / "test_anyio.py").write_text(ANYIO)
    (suites.folder / "test_trio.py").write_text(TRIO)
    code, out = suites.run(command=BARE)
    assert code == 0 and "6 passed" in out
    suites.check_gone(0.5)
    assert suites.states() == []


# --- how it ends ----------------------------------------------------------------------------------------------------

ENDS = """
import os, pathlib, signal, time

def test_first(get):
    assert get("api", "/DEVRUN_APP") == "api"

def test_it(get, devrun_stack):
    {action}

def test_last(get):
    (pathlib.Path(__file__).parent / "went-on").touch()
"""
HANG = """(pathlib.Path(__file__).parent / f'hangs-{os.getpid()}').touch()
    while True: time.sleep(0.01)  # not one long one: with threads about, a signal just before it is not heard
"""
CRASHES = {
    "stopped at the first failure": ("assert get('api', '/DEVRUN_APP') == 'x'", ("-x",), 1),
    "left at once": ("os._exit(7)", (), 7),
    "crashed": ("os.kill(os.getpid(), signal.SIGSEGV)", ("-p", "no:faulthandler"), -signal.SIGSEGV),
    "a worker crashed": ("os._exit(7)", ("-n", "2", "--max-worker-restart=0"), 1),
}


@pytest.mark.parametrize("how", CRASHES)
def test_nothing_is_left_when_pytest_ends(suites: Suites, how: str) -> None:
    action, args, expected = CRASHES[how]
    write(suites, ENDS.format(action=action))
    code, _ = suites.run(*args)
    suites.check_gone()
    assert code == expected
    if "-x" in args:
        assert suites.states() == [] and not (suites.folder / "went-on").exists()


@pytest.mark.parametrize("args", [(), ("-n", "2", "--dist=each")], ids=["alone", "xdist"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_nothing_is_left_when_pytest_is_ended(suites: Suites, signum: signal.Signals, args: tuple[str, ...]) -> None:
    write(suites, ENDS.format(action=HANG))
    process = suites.start(*args)
    wait_until(lambda: len(list(suites.folder.glob("hangs-*"))) == (2 if args else 1), timeout=40)
    assert len(suites.stacks()) == (2 if args else 1)
    if signum == signal.SIGINT:
        os.killpg(process.pid, signum)  # as a terminal does
    else:
        process.kill()
    code, _ = suites.finish(process)
    suites.check_gone(3.0 if args else 2.0)
    assert code == (pytest.ExitCode.INTERRUPTED if signum == signal.SIGINT else -signum)
    write(suites, "def test_it(get): pass\n")
    assert suites.run()[0] == 0
    assert suites.states() == [], "the next run has swept what was left"

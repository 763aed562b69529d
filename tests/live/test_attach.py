"""breakpoint() in apps, and `devrun attach` on a real terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import DEADLINE, Stack, clean_environ, wait_until, write_files
from tests.live.apps import RESPOND
from tests.live.terminals import Terminal

Get = Callable[..., "Future[httpx.Response]"]

TOML = """
[apps.api]
app = "main:app"
[apps.web]
app = "main:app"
[defaults]
grace = 2
"""

MAIN = """
import asyncio, os
from work import stop, twice

def starting():
    if os.environ.get("STOP_AT_STARTUP"):
        breakpoint()

def thread_name():
    import threading
    breakpoint()
    return threading.current_thread().name

async def shutdown():
    open(os.environ["DEVRUN_APP"] + ".ended", "w").close()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        starting()
        await lifespan(receive, send, shutdown=shutdown)
    elif scope["path"] == "/stop":
        await respond(send, stop(1))
    elif scope["path"] == "/twice":
        await respond(send, twice())
    elif scope["path"] == "/thread":
        await respond(send, await asyncio.get_running_loop().run_in_executor(None, thread_name))
    else:
        await respond(send, "free")
"""

WORK = """
def stop(value):
    breakpoint()
    answer = value
    return answer

def twice():
    breakpoint()
    total = 0
    for number in range(3):
        total += number
    return total
"""


@pytest.fixture(params=["fork", "spawn"])
def stack(project: ProjectBuilder, up: StackStarter, request: pytest.FixtureRequest) -> Stack:
    toml = f'{TOML}\n[reload]\nengine = "{request.param}"\n'
    folder = project({"devrun.toml": toml, "main.py": RESPOND + MAIN, "work.py": WORK})
    stack = up(folder)
    stack.wait_ready()
    return stack


@pytest.fixture
def get(stack: Stack) -> Iterator[Get]:
    """``get(app, path)`` asks in the background: a future of the response."""
    with ThreadPoolExecutor(4) as pool:
        yield lambda app, path: pool.submit(stack.get, app, path)
        if stack.process.poll() is None:
            stack.stop()  # lets go of whatever is still stopped


def status(stack: Stack, app: str = "api") -> dict[str, Any]:
    command = [sys.executable, "-m", "devrun", "status", "--json"]
    done = subprocess.run(command, cwd=stack.folder, env=clean_environ(), capture_output=True, text=True, check=True)
    return next(one for one in json.loads(done.stdout)["apps"] if one["name"] == app)


def piped(stack: Stack, app: str, lines: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devrun", "attach", app]
    return subprocess.run(
        command, cwd=stack.folder, env=clean_environ(), input=lines, capture_output=True, text=True, timeout=DEADLINE
    )


LOGIN = (
    "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, '-m', 'devrun', 'attach', sys.argv[1]])"
)


def attached(stack: Stack, terminal: Terminal, app: str = "api") -> subprocess.Popen[bytes]:
    window = terminal.slave
    environ = {**clean_environ(), "TERM": "xterm"}
    command = [sys.executable, "-c", LOGIN, app]
    return subprocess.Popen(command, cwd=stack.folder, env=environ, stdin=window, stdout=window, stderr=window)


def test_an_app_stops_and_its_row_says_so(stack: Stack, get: Get) -> None:
    answer = get("api", "/stop")
    stack.wait_line(r"^\[devrun\] paused api: work\.py:\d: `devrun attach api` opens the debugger")
    told = status(stack)
    assert told["state"] == "paused" and told["why"].startswith("at work.py:")
    assert status(stack, "web")["state"] == "ready" and stack.get("web").text == "free"
    done = piped(stack, "api", "p value\n!value = 41\nvalue + 1\nc\n")
    assert done.returncode == 0, done.stderr
    assert "> " in done.stdout and "work.py" in done.stdout and "(Pdb) 1\n" in done.stdout and "42\n" in done.stdout
    assert done.stderr.endswith("api runs on\n")
    assert answer.result(DEADLINE).text == "41"
    stack.wait_line(r"^\[devrun\] resumed api")
    assert status(stack)["state"] == "ready"


def test_lines_are_edited_in_the_terminal(stack: Stack, get: Get) -> None:
    answer = get("api", "/stop")
    stack.wait_line("paused api")
    with Terminal() as terminal:
        process = attached(stack, terminal)
        terminal.wait_text("(Pdb)")
        terminal.type("p vlue\x1b[D\x1b[D\x1b[Da\n")  # three to the left, to put in what is missing
        terminal.wait(lambda lines: "1" in lines)
        terminal.type("p 'one' + 'two'\n")
        terminal.wait(lambda lines: "'onetwo'" in lines)
        terminal.type("\x1b[A\x1b[A\x01!print('again'); \x0b\n")  # history, begin of the line, the rest cut
        terminal.wait(lambda lines: "again" in lines)
        terminal.type("p val\t\n")
        terminal.wait(lambda lines: lines.count("1") == 2 and "(Pdb) p value" in "\n".join(lines))
        terminal.type("forgotten")
        terminal.wait_text("forgotten")  # readline sees a signal at once only while it waits for a key
        terminal.type("\x03")
        terminal.wait(lambda lines: lines[terminal.screen.cursor.y] == "(Pdb)")
        terminal.type("c\n")
        assert process.wait(DEADLINE) == 0
        terminal.wait_text("api runs on")
    assert answer.result(DEADLINE).text == "1"


@pytest.mark.parametrize("way", ["c", "q", "exit", "\x04", "hang up", "kill"])
def test_leaving_lets_the_app_run_on(stack: Stack, get: Get, way: str) -> None:
    answer = get("api", "/twice")
    stack.wait_line("paused api")
    with Terminal(stuck=way == "hang up") as terminal:
        process = attached(stack, terminal)
        if way == "hang up":
            shown = b""
            while b"(Pdb)" not in shown:
                shown += os.read(terminal.master, 4096)
            terminal.hang_up()
        else:
            terminal.wait_text("(Pdb)")
            if way != "c":  # what it would stop at again is forgotten
                terminal.type("b work.py:10\n")
                # A Ctrl-D that is typed before there is a prompt again gets lost when readline takes the terminal over.
                terminal.wait(
                    lambda lines: "Breakpoint 1 at" in "".join(lines) and lines[terminal.screen.cursor.y] == "(Pdb)"
                )
            process.kill() if way == "kill" else terminal.type(way if way == "\x04" else f"{way}\n")
        process.wait(DEADLINE)
    assert answer.result(DEADLINE).text == "3"
    stack.wait_line("resumed api")


def test_breakpoints_of_the_debugger_are_hit_in_the_same_terminal(stack: Stack, get: Get) -> None:
    answer = get("api", "/twice")
    stack.wait_line("paused api")
    with Terminal() as terminal:
        process = attached(stack, terminal)
        terminal.wait_text("(Pdb)")
        terminal.type("b work.py:10\n")
        terminal.wait_text("Breakpoint 1 at")
        for number in range(3):
            terminal.type("c\n")
            stack.wait_line("paused api: work.py:10")
            terminal.type("p 'number', number\n")
            terminal.wait_text(f"('number', {number})")
        terminal.type("cl 1\n")
        terminal.wait_text("Deleted breakpoint 1")
        terminal.type("c\n")
        assert process.wait(DEADLINE) == 0
    assert answer.result(DEADLINE).text == "3"


def asked_to_wait(stack: Stack) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devrun", "wait", "api", "--or-broken"]
    return subprocess.run(
        command, cwd=stack.folder, env=clean_environ(), capture_output=True, text=True, timeout=DEADLINE
    )


def test_a_save_waits_until_the_app_runs_on(stack: Stack, get: Get) -> None:
    answer = get("api", "/stop")
    stack.wait_line("paused api")
    pid = status(stack)["pid"]
    (stack.folder / "main.py").write_text((RESPOND + MAIN).replace('"free"', '"new"'))
    stack.wait_line(r"warning: api: stopped at work\.py:\d: reloads when it runs on")
    stack.wait_text("web", "new")
    assert status(stack)["pid"] == pid and status(stack)["state"] == "paused"
    waited = asked_to_wait(stack)
    assert waited.returncode == 1 and "api is paused: at work.py:" in waited.stderr
    assert piped(stack, "api", "n\nn\nc\n").returncode == 0
    assert answer.result(DEADLINE).text == "1"
    stack.wait_line(r"\] reloading api: main\.py")
    stack.wait_line(r"\] ready api")
    stack.wait_text("api", "new")
    assert asked_to_wait(stack).returncode == 0


def test_two_apps_at_once_but_one_terminal_for_each(stack: Stack, get: Get) -> None:
    answers = get("api", "/stop"), get("web", "/stop")
    stack.wait_line("paused", since=0)
    wait_until(lambda: status(stack)["state"] == status(stack, "web")["state"] == "paused")
    with Terminal() as one, Terminal() as two:
        processes = attached(stack, one, "api"), attached(stack, two, "web")
        one.wait_text("(Pdb)")
        two.wait_text("(Pdb)")
        refused = piped(stack, "api", "c\n")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "somebody is attached to api already" in refused.stderr
        two.type("!value = 'web'\nc\n")
        assert processes[1].wait(DEADLINE) == 0
        one.type("!value = 'api'\nc\n")
        assert processes[0].wait(DEADLINE) == 0
    assert [answer.result(DEADLINE).text for answer in answers] == ["api", "web"]


def test_a_thread_stops_and_the_loop_serves_on(stack: Stack, get: Get) -> None:
    first, second = get("api", "/thread"), get("api", "/thread")
    stack.wait_line("paused api")
    assert stack.get("api").text == "free"
    assert piped(stack, "api", "c\n").returncode == 0
    wait_until(lambda: status(stack)["state"] == "paused", "the second one has its turn")
    assert piped(stack, "api", "c\n").returncode == 0
    assert first.result(DEADLINE).text != second.result(DEADLINE).text


def test_nobody_to_attach_to(stack: Stack) -> None:
    done = piped(stack, "api", "")
    assert (done.returncode, done.stdout) == (1, "")
    assert "api has not stopped at a breakpoint()" in done.stderr
    done = piped(stack, "apy", "")
    assert done.returncode == 2 and "did you mean 'api'?" in done.stderr
    stack.stop()
    assert piped(stack, "api", "").returncode == 3


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_ends_a_stack_that_has_stopped_and_its_lifespans(stack: Stack, get: Get, terminal: bool) -> None:
    answer = get("api", "/stop")
    stack.wait_line("paused api")
    with Terminal() as screen:
        process = attached(stack, screen) if terminal else None
        if terminal:
            screen.wait_text("(Pdb)")
        assert stack.stop() == 0
        if process is not None:
            assert process.wait(DEADLINE) == 0
    assert answer.result(DEADLINE).text == "1"
    assert (stack.folder / "api.ended").exists(), "the debugger let go, and the app could end in peace"


def test_a_restart_that_is_asked_for_ends_the_stop(stack: Stack, get: Get) -> None:
    answer = get("api", "/stop")
    stack.wait_line("paused api")
    command = [sys.executable, "-m", "devrun", "restart", "api"]
    subprocess.run(command, cwd=stack.folder, env=clean_environ(), check=True, capture_output=True, timeout=DEADLINE)
    assert answer.result(DEADLINE).text == "1"
    assert status(stack)["state"] == "ready"


def test_a_killed_launcher_leaves_nothing_stopped(stack: Stack, get: Get) -> None:
    answer = get("api", "/stop")
    stack.wait_line("paused api")
    stack.kill()
    assert stack.left_over() == []
    answer.exception(DEADLINE)  # the debugger lets go; whether the app is killed before it answers is chance


# --- elsewhere than in a request ------------------------------------------------------------------------------------


@pytest.fixture(params=["fork", "spawn"])
def folder(project: ProjectBuilder, request: pytest.FixtureRequest) -> Path:
    toml = f'[apps.api]\napp = "main:app"\n[reload]\nengine = "{request.param}"\n'
    return project({"devrun.toml": toml, "main.py": RESPOND + MAIN, "work.py": WORK})


def test_in_the_import_and_in_what_goes_on_from_a_checkpoint(folder: Path, up: StackStarter) -> None:
    stack = up(folder)
    stack.wait_ready()
    work = "answer = 1\nbreakpoint()\n" + WORK
    for number in range(3):
        write_files(folder, {"work.py": work + f"# {number}\n"})
        stack.wait_line(r"paused api: work\.py:\d")
        assert status(stack)["why"].startswith("at work.py:")
        done = piped(stack, "api", "p answer\nc\n")
        assert "(Pdb) 1\n" in done.stdout
        stack.wait_line(r"\] ready api")
        assert stack.get("api").text == "free"


def test_in_the_lifespan(folder: Path, up: StackStarter) -> None:
    stack = up(folder, env={"STOP_AT_STARTUP": "1"})
    stack.wait_line(r"paused api: main\.py:\d+")
    assert piped(stack, "api", "q\n").returncode == 0
    stack.wait_ready()


def test_python_breakpoint_is_the_users(folder: Path, up: StackStarter) -> None:
    stack = up(folder, env={"PYTHONBREAKPOINT": "0"})
    stack.wait_ready()
    assert stack.get("api", "/stop").text == "1"
    stack.stop()
    (folder / "mine.py").write_text("def hook():\n    print('my own hook')\n")
    stack = up(folder, env={"PYTHONBREAKPOINT": "mine.hook"})
    stack.wait_ready()
    assert stack.get("api", "/stop").text == "1"
    stack.wait_line("my own hook")
    assert not any("paused" in line for line in stack.lines)


def test_children_of_an_app_are_none_of_ours(folder: Path, up: StackStarter) -> None:
    write_files(
        folder,
        {
            "work.py": """
        import os
        def stop(value):
            pid = os.fork()
            if pid == 0:
                try:
                    breakpoint()
                finally:
                    os._exit(7)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        twice = stop
        """
        },
    )
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api", "/stop").text == "7"
    assert not any("paused" in line for line in stack.lines)

"""What the commands about a running stack do to it, and what they live through. (Their words: cli/transcripts.)"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from devrun.control.address import own
from devrun.control.client import ask
from devrun.lock import is_held
from devrun.project import find
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import DEADLINE, Stack, clean_environ, marked, wait_until
from tests.live.apps import TOML, answering
from tests.live.terminals import Terminal

GOOD = {"devrun.toml": TOML, "main.py": answering("'x'"), "sub/x": ""}
SLOW = answering("'x'", "import asyncio\nasync def slow(): await asyncio.sleep(30)\n").replace(
    "lifespan(receive, send)\n", "lifespan(receive, send, slow)\n"
)


def devrun(folder: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devrun", *args],
        cwd=folder,
        env={**clean_environ(), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


class Command:
    """A command that runs beside the test; its lines are read as they come."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "devrun", *args],
            cwd=folder,
            env=clean_environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        streams = ((self.process.stdout, self.out), (self.process.stderr, self.err))
        self._threads = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in streams]
        for thread in self._threads:
            thread.start()

    def _read(self, stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait_line(self, text: str) -> None:
        wait_until(
            lambda: any(text in line for line in [*self.out, *self.err]), f"no {text!r} in {self.out} {self.err}"
        )

    def wait_count(self, text: str, count: int) -> None:
        wait_until(lambda: sum(text in line for line in self.out) == count, f"not {count} times {text!r} in {self.out}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(DEADLINE)
        for thread in self._threads:
            thread.join(5)
        assert self.process.stdout is not None and self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@contextmanager
def beside(folder: Path, *args: str) -> Iterator[Command]:
    command = Command(folder, *args)
    try:
        yield command
    finally:
        command.end(signal.SIGKILL)


@pytest.fixture
def background(project: ProjectBuilder) -> Iterator[Path]:
    """A project for `up -d`: what it leaves running is taken down."""
    folder = project(GOOD)
    yield folder
    devrun(folder, "down")


# --- up -d and down -------------------------------------------------------------------------------------------------


def test_a_stack_in_the_background_outlives_the_terminal_it_was_started_in(background: Path) -> None:
    env = {**clean_environ(), "TERM": "xterm", "PYTHON": sys.executable}
    with Terminal(100, 24) as terminal:
        shell = f"cd '{background}' && '{sys.executable}' -m devrun up -d; echo code $?; sleep 60"
        window = terminal.run("/bin/sh", "-c", shell, env=env)
        terminal.wait_text("code 0")
        os.killpg(window.pid, signal.SIGHUP)  # as the system does when a window is closed
        assert window.wait(10) == -signal.SIGHUP
    url = devrun(background, "url", "api").stdout.strip()
    assert httpx.get(url, trust_env=False).text == "x"
    assert os.getsid(json.loads(devrun(background, "status", "--json").stdout)["pid"]) != os.getsid(0)


def test_a_stack_in_the_background_is_none_of_the_stack_around_it(background: Path) -> None:
    """What has DEVRUN_STACK in its environment is ended with that stack."""
    assert devrun(background, "up", "-d", DEVRUN_STACK="outer-12345678", DEVRUN_APP="x").returncode == 0
    assert marked("DEVRUN_STACK", "outer-12345678") == []
    assert devrun(background, "down").returncode == 0


def test_an_interrupt_takes_a_background_stack_down_while_it_starts(project: ProjectBuilder) -> None:
    folder = project({**GOOD, "main.py": SLOW})
    command = Command(folder, "up", "-d")
    wait_until(lambda: (folder / ".env").exists(), "it does not start")
    assert command.end(signal.SIGINT) == 130
    assert not is_held(find(folder)) and not (folder / ".env").exists()


def test_down_returns_when_all_is_gone(project: ProjectBuilder, up: StackStarter) -> None:
    head = "import asyncio, subprocess; subprocess.Popen(['sleep', '60'])\nasync def slow(): await asyncio.sleep(0.5)\n"
    source = answering("'x'", head).replace("lifespan(receive, send)\n", "lifespan(receive, send, None, slow)\n")
    stack = up(project({**GOOD, "main.py": source}))
    stack.wait_ready()
    threading.Thread(target=stack.process.wait, daemon=True).start()  # or it stays a zombie
    assert len(stack.processes()) > 3
    done = devrun(stack.folder / "sub", "down")
    assert (done.returncode, done.stdout) == (0, "[devrun] stack down\n")
    assert stack.processes() == [] and not is_held(find(stack.folder)) and not (stack.folder / ".env").exists()
    assert stack.wait_exit() == 0
    with_new_ports = up(stack.folder)
    with_new_ports.wait_ready()


def test_two_that_take_it_down_hurry_nobody(project: ProjectBuilder, up: StackStarter) -> None:
    head = "import asyncio, pathlib\nasync def slow():\n    await asyncio.sleep(1)\n    pathlib.Path('ended').touch()\n"
    source = answering("'x'", head).replace("lifespan(receive, send)\n", "lifespan(receive, send, None, slow)\n")
    stack = up(project({**GOOD, "main.py": source}))
    stack.wait_ready()
    threading.Thread(target=stack.process.wait, daemon=True).start()
    with beside(stack.folder, "down") as first, beside(stack.folder, "down") as second:
        assert first.process.wait(DEADLINE) == 0
        assert second.process.wait(DEADLINE) in (0, 3)
    assert (stack.folder / "ended").exists(), "its lifespan had no time to end"


def test_down_works_where_there_could_be_no_socket(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    (stack.folder / ".devrun" / "control.sock").unlink()
    threading.Thread(target=stack.process.wait, daemon=True).start()
    assert devrun(stack.folder, "down").returncode == 0
    assert stack.wait_exit() == 0


# --- restart, stop, start, wait -------------------------------------------------------------------------------------


def test_no_url_is_refused_while_an_app_is_stopped_started_and_restarted(
    project: ProjectBuilder, up: StackStarter
) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    url, over, answers = stack.url("api"), threading.Event(), list[int]()

    def hammer() -> None:
        while not over.is_set():
            with httpx.Client(timeout=DEADLINE, trust_env=False) as client:
                answers.append(client.get(url).status_code)

    thread = threading.Thread(target=hammer)
    thread.start()
    folder = str(stack.folder / ".devrun")
    try:
        for _ in range(10):
            for kind in ("stop", "start", "restart"):
                (app,) = ask(folder, kind, {"apps": ["api"]})["apps"]
                assert app["state"] == ("stopped" if kind == "stop" else "ready")
    finally:
        over.set()
        thread.join()
    assert 200 in answers and set(answers) <= {200, 503}


def test_a_save_does_not_wake_a_stopped_app_and_a_start_runs_what_is_on_disk(
    project: ProjectBuilder, up: StackStarter
) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    assert devrun(stack.folder, "stop", "api").returncode == 0
    stack.wait_line(r"^\[devrun\] stopped api$")
    (stack.folder / "main.py").write_text(answering("'y'"))
    answer = stack.get("api", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["kind"]) == (503, "stopped")
    assert devrun(stack.folder, "start", "api").returncode == 0
    assert stack.get("api").text == "y"


def test_several_restart_at_once(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    commands = [Command(stack.folder, "restart", "api") for _ in range(4)]
    assert [command.process.wait(DEADLINE) for command in commands] == [0] * 4
    for command in commands:
        command.end()
    assert stack.get("api").text == "x"


def test_wait_goes_on_until_a_broken_app_is_mended(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({**GOOD, "main.py": "import nowhere\n"}))
    stack.wait_line(r"^\[devrun\] broken api")
    with beside(stack.folder, "wait") as command:
        (stack.folder / "main.py").write_text(answering("'y'"))
        assert command.process.wait(DEADLINE) == 0


def test_who_waits_is_told_that_the_stack_goes_down(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({**GOOD, "main.py": SLOW}))
    stack.url("api")
    state_dir = str(stack.folder / ".devrun")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(own(state_dir))
        client.sendall(b'{"v":1,"ask":"wait"}\n')
        ask(state_dir, "status", {})  # one that came later is answered
        stack.signal(signal.SIGINT)
        assert json.loads(client.makefile().readline())["error"] == "going-down"


def test_wait_bears_a_launcher_that_is_only_just_starting(background: Path) -> None:
    with beside(background, "up", "--plain") as launcher:
        wait_until(lambda: is_held(find(background)), "no launcher")
        assert devrun(background, "wait").returncode == 0
        launcher.end(signal.SIGINT)


# --- logs -----------------------------------------------------------------------------------------------------------


def test_logs_follow_a_stack_over_its_restart(background: Path) -> None:
    (background / "main.py").write_text(answering("print('asked', flush=True) or 'x'"))
    assert devrun(background, "up", "-d").returncode == 0
    with beside(background, "logs", "-f") as logs:
        for rounds in (1, 2):
            logs.wait_count("[devrun] stack ready", rounds)
            url = devrun(background, "url", "api").stdout.strip()
            assert httpx.get(url, trust_env=False).text == "x"
            logs.wait_count("[api] asked", rounds)
            if rounds == 1:
                assert devrun(background, "down").returncode == 0
                logs.wait_line("[devrun] the stack is down; waiting for the next one")
                assert devrun(background, "up", "-d").returncode == 0
        assert logs.err == ["[devrun] the stack is down; waiting for the next one", "[devrun] a stack is up again"]


BURST = """
import sys

def burst(count):
    for start in range(0, count, 100):
        sys.stdout.write("".join(f"line {n} {'x' * 100}\\n" for n in range(start, start + 100)))
    sys.stdout.flush()
    return "done"
"""


def test_what_is_no_longer_in_memory_is_said(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({**GOOD, "main.py": answering("burst(20_000)", BURST)}))
    stack.wait_ready()
    assert stack.get("api").text == "done"
    stack.wait_line(r"^\[api\] line 19999 ")
    lines = devrun(stack.folder, "logs", "api").stdout.splitlines()
    told = re.fullmatch(r"\[devrun\] warning: api: ([\d,]+) lines skipped: .*", lines[0])
    assert told is not None
    missed = int(told[1].replace(",", ""))
    assert len(lines) < 10_000 and missed + sum("[api] line " in line for line in lines) >= 20_000
    first = json.loads(devrun(stack.folder, "logs", "api", "--json").stdout.splitlines()[0])
    assert (first["event"], first["app"]) == ("warning", "api")
    assert devrun(stack.folder, "logs", "api", "-n", "1").stdout.startswith("[api] ")


def test_a_reader_that_sleeps_is_left_and_catches_up(project: ProjectBuilder, up: StackStarter) -> None:
    """Its queue is full after some megabytes: what it has missed since is said, and the newest lines come."""
    stack = up(project({**GOOD, "main.py": answering("burst(60_000)", BURST)}))
    stack.wait_ready()
    with beside(stack.folder, "logs", "-f", "api") as logs:
        logs.wait_line("Application startup complete")
        logs.process.send_signal(signal.SIGSTOP)
        assert stack.get("api").text == "done"
        stack.wait_line(r"^\[api\] line 59999 ")
        logs.process.send_signal(signal.SIGCONT)
        logs.wait_line("[api] line 59999 ")
        (told,) = [line for line in logs.out if "lines skipped" in line]
        missed = int(told.split("api: ")[1].split()[0].replace(",", ""))
        seen = [line for line in logs.out if line.startswith("[api] line")]
        assert missed + len(seen) == 60_000
    assert stack.get("api").text == "done"


# --- exec -----------------------------------------------------------------------------------------------------------


def test_exec_becomes_the_command(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    told = "os.getpid(), os.environ['API_URL'], os.environ.get('DEVRUN_STACK')"
    code = f"import os, time; print({told}, flush=True); time.sleep(60)"
    with beside(stack.folder, "exec", "--", sys.executable, "-c", code) as command:
        wait_until(lambda: command.out, "it says nothing")
        assert command.out == [f"{command.process.pid} {stack.url('api')} None"]
        assert command.end(signal.SIGINT) == -signal.SIGINT


REPORT = """
import os, signal, sys, time
print("begun", os.environ["API_URL"], flush=True)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(9))
time.sleep(60)
"""


def test_exec_restarts_a_command_when_the_addresses_change(background: Path) -> None:
    assert devrun(background, "up", "-d").returncode == 0
    with beside(background, "exec", "--restart", "--", sys.executable, "-c", REPORT) as command:
        first = devrun(background, "url", "api").stdout.strip()
        command.wait_line(f"begun {first}")
        assert devrun(background, "restart").returncode == 0
        assert devrun(background, "down").returncode == 0
        assert devrun(background, "up", "-d").returncode == 0
        second = devrun(background, "url", "api").stdout.strip()
        assert second != first
        command.wait_line(f"begun {second}")
        assert command.out == [f"begun {first}", f"begun {second}"]
        assert command.end(signal.SIGUSR1) == 9


# --- what is stale --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["the number is another process's", "the machine was started anew", "it is a copy"])
def test_stale_state_is_never_trusted(project: ProjectBuilder, up: StackStarter, tmp_path: Path, change: str) -> None:
    stack = up(project(GOOD), check_env_files=False)
    stack.wait_ready()
    state = (stack.folder / ".devrun" / "state.toml").read_text()
    folder = tmp_path / "copy"
    if change == "it is a copy":
        # -T: into it when it is there, from a try that met a file which the launcher was just replacing
        copy = ["cp", "-rT", str(stack.folder), str(folder)]
        wait_until(lambda: subprocess.run(copy).returncode == 0, "no copy")
    else:
        stack.kill()
        pid = os.getpid() if change.startswith("the number") else 1
        folder = stack.folder
        (folder / ".devrun" / "state.toml").write_text(re.sub(r"(?m)^pid = \d+", f"pid = {pid}", state))
    for args in (["down"], ["status"], ["url", "api"], ["restart", "api"], ["logs"]):
        (folder / ".devrun" / "state.toml").write_text(state)
        done = devrun(folder, *args)
        assert (done.returncode, done.stdout) == (3, ""), args
    if change == "it is a copy":
        assert stack.get("api").text == "x", "the original is not touched"
        assert devrun(stack.folder, "status").returncode == 0
    assert not (folder / ".env").exists(), "the block is gone"
    again: Stack = up(folder, check_env_files=False)
    again.wait_ready()
    assert again.get("api").text == "x"

"""Whoever dies, and however: workers come back, and nothing is left when the launcher goes."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from devrun.forker import is_gone
from devrun.guarding import guarded
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack, clean_environ, marked, wait_until
from tests.live.apps import TOML, answering

PID = answering("os.getpid()", "import os")

FAMILY = answering(
    "'x'",
    """
import subprocess, sys
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleeper)
stranger = subprocess.Popen(sleeper, start_new_session=True)
parent = f"import subprocess, time; subprocess.Popen({sleeper!r}); time.sleep(600)"
nested = subprocess.Popen([sys.executable, "-c", parent])
""",
)


# A session of its own, with the terminal as its controlling one, as a terminal window gives its shell.
LOGIN = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, '-m', 'devrun', 'up'])"

NOHUP = (
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
    "os.execv(sys.executable, [sys.executable, '-m', 'devrun', 'up', '--plain'])",
)


def worker(stack: Stack) -> int:
    return int(stack.get("api").text)


def test_a_killed_worker_is_replaced_at_once_and_no_request_is_refused(
    project: ProjectBuilder, up: StackStarter
) -> None:
    stack = up(project({"devrun.toml": TOML, "main.py": PID}))
    stack.wait_ready()
    first = worker(stack)
    os.kill(first, signal.SIGKILL)
    stack.wait_line(r"^\[devrun\] exited api: signal SIGKILL; restarting")
    assert worker(stack) != first


def test_a_worker_that_keeps_dying_is_retried_behind_a_page(project: ProjectBuilder, up: StackStarter) -> None:
    source = PID + "\nprint('dying'); os.kill(os.getpid(), 11)\n"
    folder = project({"devrun.toml": TOML, "main.py": source})
    stack = up(folder)
    stack.wait_line(r"exited api: signal SIGSEGV; restarting")
    stack.wait_line(r"exited api: signal SIGSEGV; .*0\.5")
    answer = stack.get("api")
    assert answer.status_code == 503
    assert "dying" in answer.text
    stack.wait_line(r"exited api: signal SIGSEGV; .*1")
    (folder / "main.py").write_text(PID)
    stack.wait_line(r"\] ready api")
    assert worker(stack)


def test_a_worker_whose_parts_are_killed_one_by_one(project: ProjectBuilder, up: StackStarter) -> None:
    """Its children end with it, and do not pile up over reloads."""
    folder = project({"devrun.toml": TOML, "main.py": FAMILY.replace("start_new_session=True", "")})
    stack = up(folder)
    stack.wait_ready()
    count = len(stack.pids())
    for number in range(4):
        (folder / "main.py").write_text((folder / "main.py").read_text() + f"# {number}\n")
        stack.wait_line(r"\] ready api")
    # With the fork engine there is a checkpoint, too. An old worker left behind would be four.
    wait_until(lambda: count <= len(stack.pids()) <= count + 1, "children of old workers are alive")


STARTING = """
import os, signal, subprocess, sys
from devrun.forker import is_gone
from devrun.guarding import guarded
mark = sys.argv[1]
with guarded(mark):
    late = f"import os, time; time.sleep(0.1); os.execvp('env', ['env', '{mark}', 'sleep', '600'])"
    argv = [sys.executable, "-c", late]
    print(subprocess.Popen(argv, start_new_session=True, stdout=subprocess.DEVNULL).pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="without /proc there is no environment to be seen")
def test_what_a_killed_launcher_was_just_starting(tmp_path: Path) -> None:
    """It is in no group that was told of, and for a moment it does not bear the mark."""
    argv = [sys.executable, "-c", STARTING, f"DEVRUN_STACK={tmp_path.name}"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=20, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: is_gone(int(done.stdout)))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_outlives_the_launcher(project: ProjectBuilder, up: StackStarter, how: signal.Signals) -> None:
    stack = up(project({"devrun.toml": TOML + '[apps.two]\napp = "main:app"\n', "main.py": FAMILY}))
    stack.wait_ready()
    assert len(stack.pids()) >= 11, "launcher, guard, two workers, and four processes of each"
    stack.signal(how)
    stack.process.wait(10)
    assert stack.left_over() == []


def test_nothing_outlives_the_launchers_whole_group(project: ProjectBuilder, up: StackStarter) -> None:
    """As Playwright ends a web server."""
    stack = up(project({"devrun.toml": TOML, "main.py": FAMILY}))
    stack.wait_ready()
    os.killpg(stack.process.pid, signal.SIGKILL)
    stack.process.wait(10)
    assert stack.left_over() == []


def test_a_killed_guard_is_replaced(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": FAMILY})
    stack = up(folder)
    stack.wait_ready()
    for process in stack.processes():
        if "guard.py" in " ".join(process.cmdline()):
            process.kill()
    (folder / "main.py").write_text(FAMILY + "\n")
    stack.wait_line(r"\] ready api")
    stack.kill()
    assert stack.left_over() == []


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="the system does not show other processes' environments")
def test_the_guard_finds_by_a_name_that_is_not_utf8() -> None:
    stack = os.fsdecode(b"caf\xe9-1")
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    with guarded(f"DEVRUN_STACK={stack}"):
        stranger = subprocess.Popen(sleeper, env={**clean_environ(), "DEVRUN_STACK": stack}, start_new_session=True)
    assert stranger.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("env", "extra"),
    [("A" * 3_000_000, {}), ("\u20ac", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})],
)
def test_an_environment_that_no_process_can_have(
    project: ProjectBuilder, up: StackStarter, env: str, extra: dict[str, str]
) -> None:
    """Too long, or not to be spelled in the locale."""
    stack = up(project({"devrun.toml": f'{TOML}env = {{ A = "{env}" }}', "main.py": PID}), env=extra)
    stack.wait_line(r"\[api\] .* cannot be started: ")
    stack.wait_line(r"exited api: exit code 127; restarting again in")
    answer = stack.get("api")
    assert answer.status_code == 503
    assert "cannot be started" in answer.text
    assert stack.stop() == 0


def test_under_nohup_a_closed_terminal_is_nothing(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({"devrun.toml": TOML, "main.py": PID}), command=NOHUP)
    stack.wait_ready()
    stack.signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        stack.process.wait(1)
    assert worker(stack)
    assert stack.stop() == 0


def test_a_guard_that_cannot_be_replaced_is_missed_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with guarded("DEVRUN_STACK=x") as guard:
        process = psutil.Process(guard.pid)
        process.kill()
        process.wait()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/nowhere/python")
            guard.add(1 << 22)
            guard.remove(1 << 22)
        guard.add(1 << 22)
        wait_until(another_guard)


def another_guard() -> bool:
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.ZombieProcess):  # what was tried before has just failed
            if "guard.py" in " ".join(child.cmdline()):
                return True
    return False


def test_a_guard_that_has_ended_is_not_replaced() -> None:
    with guarded("A=1") as guard:
        pid = guard.pid
    guard.remove(1)  # late word of something that the guard has ended itself
    assert guard.pid == pid, "one that nobody would end any more has been started"


@pytest.mark.parametrize("late", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_the_end_leaves_the_exit_code(
    project: ProjectBuilder, up: StackStarter, late: signal.Signals
) -> None:
    stack = up(project({"devrun.toml": TOML, "main.py": "import time; print('importing'); time.sleep(600)"}))
    stack.wait_line("importing")
    stack.signal(signal.SIGTERM)
    stack.wait_line("stack down")
    stack.signal(late)
    assert stack.wait_exit() == 130
    assert stack.errors == []


def test_an_app_that_blocks_everything_still_goes_with_the_launcher(project: ProjectBuilder, up: StackStarter) -> None:
    source = (
        "import signal, time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(600)\n"
    )
    stack = up(project({"devrun.toml": TOML, "main.py": source}))
    stack.wait_line("deaf")
    stack.kill()
    assert stack.left_over() == []


def test_a_closed_terminal_leaves_nothing(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": TOML, "main.py": FAMILY})
    mark = f"{os.getpid()}-{folder}"
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", LOGIN],
        cwd=folder,
        env={**clean_environ(), "TERM": "xterm-256color", "DEVRUN_TEST_MARK": mark},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    while b"stack ready" not in seen:
        seen += os.read(master, 65536)
    os.close(master)
    assert process.wait(10) == 0
    wait_until(lambda: not marked("DEVRUN_TEST_MARK", mark), "a process of the stack is alive", 2)
    assert not (folder / ".env").exists()


def test_the_env_file_is_repaired_after_a_kill(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": PID, ".env": "A=1\r\nB=2"})
    stack = up(folder)
    stack.wait_ready()
    stack.kill()
    assert (folder / ".env").read_bytes() != b"A=1\r\nB=2"
    subprocess.run([sys.executable, "-m", "devrun", "check"], cwd=folder, env=clean_environ(), check=True)
    assert (folder / ".env").read_bytes() == b"A=1\r\nB=2"
    assert not (folder / ".devrun/state.toml").exists()

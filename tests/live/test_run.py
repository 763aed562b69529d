"""``devrun run``: a private stack around a command, its signals and its terminal, and nothing left of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import DEADLINE, MARK, clean_environ, describe, marked, wait_until
from tests.live.apps import TOML, answering
from tests.live.terminals import Terminal

TWO = """
name = "shop"
[apps.api]
app = "main:app"
[apps.web]
app = "main:app"
port = {port}
"""
GOOD = {"devrun.toml": TOML, "main.py": answering("os.environ['DEVRUN_STACK']", "import os")}
AT_ONCE = int(os.environ.get("DEVRUN_TEST_RUNS", "8"))
"""How many private stacks run at the same time: the long form sets 20."""


class Runs:
    """Starts ``devrun run`` and knows every process of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.environ = {**clean_environ(), MARK: self.mark}

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "devrun", "run", *args],
            cwd=self.folder,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        process = self.start(*args, env=env)
        out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, out, err

    def states(self) -> list[str]:
        folder = self.folder / ".devrun" / "run"
        return sorted(os.listdir(folder)) if folder.is_dir() else []

    def check_gone(self, patience: float = 2.0) -> None:
        try:
            wait_until(lambda: not marked(MARK, self.mark), timeout=patience)
        except AssertionError:
            raise AssertionError(f"still alive:\n{describe(marked(MARK, self.mark))}") from None


@pytest.fixture
def runs(project: ProjectBuilder) -> Iterator[Runs]:
    runs = Runs(project(GOOD))
    yield runs
    left = marked(MARK, runs.mark)
    for process in left:
        process.kill()
    assert not left, "processes of a run are still alive"


def python(code: str) -> tuple[str, str, str]:
    return sys.executable, "-c", textwrap.dedent(code)


ASK = """
import os, urllib.request
print(urllib.request.urlopen(os.environ["API_URL"]).read().decode())
"""


def test_a_command_has_the_variables_and_a_clean_standard_output(runs: Runs) -> None:
    code, out, err = runs.run("--", *python(ASK + "print(os.environ['DEVRUN_STACK'])"))
    answered, own = out.splitlines()
    assert (code, err) == (0, "")
    assert answered == own, "the app of the very same stack has answered"
    assert runs.states() == []
    assert not (runs.folder / ".env").exists()
    runs.check_gone(0.1)


def test_what_would_stand_in_the_env_files_is_there(runs: Runs) -> None:
    (runs.folder / "devrun.toml").write_text(
        TOML + "[[dotenv]]\nprefix = 'VITE_'\nvars = { BASE = '${api.url}/v1' }\n[[dotenv]]\npath = '.env.two'\n"
    )
    code, out, _ = runs.run("--", *python("import os; print(os.environ['VITE_API_URL'], os.environ['BASE'])"))
    url, base = out.split()
    assert code == 0 and base == f"{url}/v1" and url.startswith("http://127.0.0.1:")
    assert not list(runs.folder.glob(".env*"))


def test_beside_an_up_of_the_same_project(runs: Runs, up: StackStarter) -> None:
    (runs.folder / "devrun.toml").write_text(TWO.format(port=0))
    other = up(runs.folder)
    other.wait_ready()
    port = other.variables()["WEB_PORT"]
    (runs.folder / "devrun.toml").write_text(TWO.format(port=port))  # pinned, and taken by that stack
    before = (runs.folder / ".env").read_bytes(), (runs.folder / ".devrun" / "state.toml").read_bytes()
    code, out, err = runs.run(
        "--", "sh", "-c", f'echo $API_URL; "{sys.executable}" -m devrun url api; "{sys.executable}" -m devrun status'
    )
    url, told, *table = out.splitlines()
    assert code == 0
    assert url == told != other.url("api"), "whatever runs in a private stack means that one"
    assert url in "\n".join(table) and other.url("api") not in out
    assert err == (
        f"[devrun] warning: web has a free port this time, not {port}: a private stack takes no port from others\n"
    )
    assert before == ((runs.folder / ".env").read_bytes(), (runs.folder / ".devrun" / "state.toml").read_bytes())
    assert other.get("api").status_code == 200


def test_only_the_named_apps(runs: Runs) -> None:
    (runs.folder / "devrun.toml").write_text(TWO.format(port=0))
    code, out, _ = runs.run("--with", "api", "--", *python("import os; print('WEB_URL' in os.environ)\n" + ASK))
    assert code == 0 and out.startswith("False\nshop-")
    code, _, err = runs.run("--with", "apy", "--", "true")
    assert code == 2 and "did you mean 'api'?" in err


# --- how it ends ----------------------------------------------------------------------------------------------------


def test_the_exit_code_is_the_commands_and_the_last_lines_are_shown(runs: Runs) -> None:
    code, out, err = runs.run("--", *python(ASK + "raise SystemExit(3)"))
    assert code == 3 and "[api]" not in out
    assert "ended with 3; the last lines of the apps:" in err
    assert '"GET / HTTP/1.1" 200 OK' in err


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV])
def test_a_command_that_dies_of_a_signal(runs: Runs, signum: signal.Signals) -> None:
    code, _, err = runs.run("--", *python(f"import os; os.kill(os.getpid(), {int(signum)})"))
    assert (code, err) == (128 + signum, "")


def test_a_command_that_is_not_there_starts_nothing(runs: Runs) -> None:
    (runs.folder / "main.py").write_text("open('imported', 'w').close()\n" + GOOD["main.py"])
    code, out, err = runs.run("--", "no-such-command")
    assert (code, out) == (127, "") and "no-such-command cannot be started: no such command on PATH" in err
    code, _, err = runs.run("--", "./main.py")
    assert code == 126 and "./main.py cannot be started: it is not executable" in err
    code, _, err = runs.run("--", "./nowhere")
    assert code == 127 and "./nowhere cannot be started: there is no such file" in err
    assert not (runs.folder / "imported").exists()


def test_a_script_without_its_interpreter(runs: Runs) -> None:
    script = runs.folder / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    code, _, err = runs.run("--", "./script")
    assert code == 127 and "#!" in err
    assert runs.states() == []


def test_a_stack_that_cannot_start(runs: Runs) -> None:
    (runs.folder / "main.py").write_text("def shop():\n    import nowhere\nshop()\n")
    code, out, err = runs.run("--", "touch", "ran")
    assert (code, out) == (1, "")
    assert "Traceback (most recent call last):" in err
    assert "ModuleNotFoundError: No module named 'nowhere'" in err
    assert err.splitlines()[-1].startswith("error: api cannot be started: main.py:2: ModuleNotFoundError")
    assert err.count("Traceback") == 1
    assert not (runs.folder / "ran").exists()
    assert runs.states() == []


def test_a_stack_that_is_not_ready_in_time(runs: Runs) -> None:
    (runs.folder / "devrun.toml").write_text(TOML + 'health = "/healthz"\n')
    (runs.folder / "main.py").write_text(GOOD["main.py"].replace("os.environ['DEVRUN_STACK'])", "'x'), status=500"))
    code, out, err = runs.run("--timeout", "1", "--", "touch", "ran")
    assert (code, out) == (5, "")
    assert re.search(r"the stack is not ready within 1 s: api is (starting|importing)\n", err)
    assert not (runs.folder / "ran").exists()


def test_what_the_command_leaves_behind_ends_with_it(runs: Runs) -> None:
    code, _, _ = runs.run("--", "sh", "-c", "setsid sleep 600 >/dev/null 2>&1 &")
    assert code == 0
    runs.check_gone(0.5)


def test_the_stack_says_more_when_asked(runs: Runs) -> None:
    code, out, err = runs.run("-v", "--", "true")
    assert (code, out) == (0, "")
    assert "[devrun] stack ready api=" in err and "[api] INFO:" in err and "[devrun] stack down" in err


# --- signals and the terminal ---------------------------------------------------------------------------------------

TRAP = """
import os, signal, time
def end(signum, frame):
    os.write(1, f"heard {signal.Signals(signum).name}\\n".encode())  # not print: it may be under way
    raise SystemExit(40)
for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(signum, end)
print("begun", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_go_to_the_command(runs: Runs, signum: signal.Signals) -> None:
    process = runs.start("--", *python(TRAP))
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signum)
    out, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (40, f"heard {signum.name}\n")
    runs.check_gone(0.1)


def test_an_interrupt_before_the_stack_is_up(runs: Runs) -> None:
    (runs.folder / "main.py").write_text("import time; open('begun', 'w').close(); time.sleep(60)\n")
    process = runs.start("--", "touch", "ran")
    wait_until((runs.folder / "begun").exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert not (runs.folder / "ran").exists()
    runs.check_gone(0.1)


FAMILY = """
import subprocess, time
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("begun", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("group", [False, True])
def test_a_killed_run_leaves_nothing_alive(runs: Runs, group: bool) -> None:
    process = runs.start("--", *python(FAMILY))
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.wait(5)
    runs.check_gone(2.0)
    process.communicate(timeout=DEADLINE)
    assert len(runs.states()) == 2, "a folder and its lock"
    assert runs.run("--", "true")[0] == 0
    assert runs.states() == [], "the next run sweeps it"


BASH = shutil.which("bash") or ""


def at_prompt(terminal: Terminal, prompt: str = "ready>") -> None:
    terminal.wait(lambda lines: lines[terminal.screen.cursor.y].endswith(prompt), "no prompt")


@pytest.fixture
def shell(runs: Runs) -> Iterator[Terminal]:
    if not BASH:
        pytest.skip("there is no bash")
    env = {**runs.environ, "PYTHON": sys.executable, "PS1": "prompt> ", "TERM": "xterm"}
    with Terminal() as terminal:
        process = terminal.run(BASH, "--norc", "--noprofile", "--noediting", "-i", env=env)
        terminal.wait_text("prompt>")
        terminal.type(f'cd "{runs.folder}"; dr() {{ "$PYTHON" -m devrun run -- "$@"; }}; PS1="ready> "; clear\n')
        at_prompt(terminal)
        yield terminal
        process.kill()
        process.wait(5)


def test_ctrl_c_reaches_the_command_once(shell: Terminal, runs: Runs) -> None:
    (runs.folder / "count.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGINT, lambda *_: print('interrupt', flush=True))\n"
        "print('begun', flush=True)\n"
        "input(); print('bye')\n"
    )
    shell.type("dr $PYTHON count.py; echo code $?\n")
    shell.wait_text("begun")
    shell.type("\x03")
    shell.wait_text("interrupt")
    shell.type("\n")
    shell.wait_text("code 0")
    assert sum(line.endswith("interrupt") for line in shell.lines()) == 1


def test_ctrl_c_ends_the_command_and_the_code_says_so(shell: Terminal, runs: Runs) -> None:
    shell.type("dr sh -c 'echo begun; exec sleep 600'\n")
    shell.wait(lambda lines: "begun" in lines)
    shell.type("\x03")
    at_prompt(shell)
    shell.type("echo code $?\n")
    shell.wait(lambda lines: "code 130" in lines)


def test_job_control_stops_and_goes_on_as_one_job(shell: Terminal, runs: Runs) -> None:
    shell.type("dr sh -c 'echo begun; read line; echo got $line'\n")
    shell.wait(lambda lines: "begun" in lines)
    shell.type("\x1a")
    shell.wait_text("Stopped")
    shell.type("echo in the shell\n")
    shell.wait(lambda lines: "in the shell" in lines)
    shell.type("fg\n")
    shell.type("something\n")
    shell.wait(lambda lines: "got something" in lines)


def test_an_interactive_shell_of_its_own(shell: Terminal, runs: Runs) -> None:
    shell.type("PS1='inner> ' dr bash --norc --noprofile --noediting -i\n")
    at_prompt(shell, "inner>")
    shell.type("echo begun; sleep 600\n")
    shell.wait(lambda lines: "begun" in lines)
    shell.type("\x03")
    at_prompt(shell, "inner>")
    shell.type('test -n "$API_URL" && echo with variables\n')
    shell.wait(lambda lines: "with variables" in lines)
    shell.type("suspend\n")
    at_prompt(shell)
    shell.type("echo outside; fg\n")
    shell.wait(lambda lines: "outside" in lines)
    at_prompt(shell, "inner>")
    shell.type("echo inside again; exit 9\n")
    shell.wait(lambda lines: "inside again" in lines)
    at_prompt(shell)
    shell.type("echo code $?\n")
    shell.wait(lambda lines: "code 9" in lines)


LOGIN = """
import os, sys
os.login_tty(0)
os.execv(sys.executable, [sys.executable, "-m", "devrun", "run", "--", "sh", "-c", "touch begun; exec sleep 600"])
"""


def test_a_closed_terminal_ends_everything(runs: Runs) -> None:
    with Terminal(stuck=True) as terminal:  # a read that is under way would keep it open
        window = terminal.slave
        process = subprocess.Popen(
            [sys.executable, "-c", LOGIN], cwd=runs.folder, env=runs.environ, stdin=window, stdout=window, stderr=window
        )
        wait_until((runs.folder / "begun").exists)
        terminal.hang_up()
        assert process.wait(DEADLINE) == 128 + signal.SIGHUP
    runs.check_gone(2.0)


def test_an_app_that_stops_in_the_debugger_is_found_from_elsewhere(runs: Runs) -> None:
    (runs.folder / "main.py").write_text(answering("stop()", "def stop():\n    breakpoint()\n    return 'x'\n"))
    process = runs.start("--", *python(ASK))
    assert process.stderr is not None
    told = process.stderr.readline()
    match = re.fullmatch(r"\[devrun\] paused api: main\.py:\d+: `devrun attach --stack (\S+) api` opens.*\n", told)
    assert match is not None, told
    command = [sys.executable, "-m", "devrun", "attach", "api", "--stack"]
    refused = subprocess.run([*command, "shop-1"], cwd=runs.folder, env=runs.environ, capture_output=True, text=True)
    assert refused.returncode == 3 and "no private stack shop-1 is running" in refused.stderr
    subprocess.run(
        [*command, match[1]],
        cwd=runs.folder,
        env=runs.environ,
        input=b"c\n",
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert process.communicate(timeout=DEADLINE)[0] == "x\n"


# --- many -----------------------------------------------------------------------------------------------------------

WAITING = """
import os, time, urllib.request
print(urllib.request.urlopen(os.environ["API_URL"]).read().decode())
print(os.environ["DEVRUN_STACK"], os.environ["API_PORT"], os.environ["WEB_PORT"], flush=True)
while not os.path.exists("gate"):
    time.sleep(0.01)
"""


@pytest.mark.timeout(240)
def test_many_at_once_do_not_meet(runs: Runs, up: StackStarter) -> None:
    (runs.folder / "devrun.toml").write_text(TWO.format(port='"sticky"'))
    other = up(runs.folder)
    other.wait_ready()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = [runs.start("--", *python(WAITING)) for _ in range(AT_ONCE)]
        answers = list(pool.map(first_lines, started))
        (runs.folder / "gate").touch()  # until here all of them were up at the same time
        ends = list(pool.map(lambda process: process.communicate(timeout=60)[1], started))
    assert ends == [""] * AT_ONCE
    assert [process.returncode for process in started] == [0] * AT_ONCE
    assert all(answered == stack for answered, stack, *_ in answers), "each has met its own stack"
    assert len({stack for _, stack, *_ in answers}) == AT_ONCE
    ports = {port for _, _, *ports in answers for port in ports}
    assert len(ports | {other.variables()["API_PORT"], other.variables()["WEB_PORT"]}) == 2 * AT_ONCE + 2
    assert runs.states() == []
    runs.check_gone(0.1)
    assert other.get("api").status_code == 200


def first_lines(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return [*process.stdout.readline().split(), *process.stdout.readline().split()]

"""The driver of these tests must notice what it promises to notice; a stand-in plays the stack."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StackStarter
from tests.driver import SESSION, Stack, clean_environ, nothing_left_of_session, wait_until, write_files

WELL_BEHAVED = """
import signal
def stop(*_): raise SystemExit(7)
signal.signal(signal.SIGINT, stop)
print("[devrun] ready api in 1s", flush=True)
print("[devrun] ready api in 2s", flush=True)
signal.pause()
"""

LEAVES_A_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
print("child", child.pid, flush=True)
"""


def stand_in(script: str) -> tuple[str, ...]:
    return ("-c", script)


def test_gives_lines_in_order_and_the_exit_code(tmp_path: Path, up: StackStarter) -> None:
    stack = up(tmp_path, command=stand_in(WELL_BEHAVED))
    assert stack.wait_line(r"ready api in (\d)s")[1] == "1"
    assert stack.wait_line(r"ready api in (\d)s")[1] == "2"
    assert stack.wait_line(r"ready api in (\d)s", since=0)[1] == "1"
    with pytest.raises(AssertionError, match="no line 'ready' within 0.05 s"):
        stack.wait_line("ready", timeout=0.05)
    assert stack.pids() == {stack.process.pid}
    assert stack.stop() == 7
    assert not stack.pids()


def test_says_when_the_output_has_ended(tmp_path: Path, up: StackStarter) -> None:
    stack = up(tmp_path, command=stand_in("print('one')"))
    with pytest.raises(AssertionError, match="no line 'two' before the output ended"):
        stack.wait_line("two")


def test_a_process_that_is_left_over_fails_and_is_killed(tmp_path: Path) -> None:
    stack = Stack(tmp_path, command=stand_in(LEAVES_A_CHILD), patience=0.1)
    with pytest.raises(AssertionError, match="still alive"), stack:
        stack.wait_exit()
        assert stack.pids() == {int(stack.wait_line(r"child (\d+)")[1])}
    wait_until(lambda: not stack.pids())


def test_an_env_file_that_stays_fails(tmp_path: Path) -> None:
    script = "open('.env', 'w').write('# <<< devrun <<<')"
    with pytest.raises(AssertionError, match="env files are not as they were"):  # noqa: SIM117
        with Stack(tmp_path, command=stand_in(script)) as stack:
            stack.wait_exit()


def test_a_failing_test_keeps_its_own_error_and_hears_the_rest(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError) as caught,
        Stack(tmp_path, command=stand_in(LEAVES_A_CHILD), patience=0.1) as stack,
    ):
        stack.wait_exit()
        raise ZeroDivisionError
    assert "still alive" in caught.value.__notes__[0]


def test_what_was_said_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "import sys; print('out'); print('oops', file=sys.stderr)"
    with Stack(tmp_path, command=stand_in(script)) as stack:
        stack.wait_exit()
    assert capsys.readouterr().out.splitlines()[-3:] == ["out", "--- standard error", "oops"]


def test_a_kill_reaches_the_launcher_alone(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="still alive"):  # noqa: SIM117
        with Stack(tmp_path, command=stand_in(LEAVES_A_CHILD + "import signal; signal.pause()"), patience=0.1) as stack:
            stack.wait_line("child")
            stack.kill()
            assert stack.process.returncode == -signal.SIGKILL
            assert len(stack.pids()) == 1


def test_variables_are_those_of_the_env_file(tmp_path: Path, up: StackStarter) -> None:
    write_files(tmp_path, {".env": "# >>> devrun >>>\nMY_API_URL=http://127.0.0.1:1/?a=b\n# <<< devrun <<<\n"})
    stack = up(tmp_path, command=stand_in(WELL_BEHAVED))
    assert stack.variables() == {"MY_API_URL": "http://127.0.0.1:1/?a=b"}
    assert stack.url("my-api") == "http://127.0.0.1:1/?a=b"
    stack.wait_line("ready")  # the stand-in has its signal handler


def test_a_process_that_outlives_the_session_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SESSION, "")  # puts the mark of the real session back afterwards
    left: list[subprocess.Popen[bytes]] = []
    with pytest.raises(AssertionError, match="left processes behind"), nothing_left_of_session(patience=0.1):
        left.append(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]))
    assert left[0].wait() == -signal.SIGKILL


def test_clean_environ_drops_what_changes_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
        "NO_COLOR",
        "DEVRUN_STACK",
        "VIRTUAL_ENV",
        "HTTP_PROXY",
    ):
        monkeypatch.setenv(name, "1")
        assert name not in clean_environ()
    assert "PATH" in clean_environ()
    assert SESSION in clean_environ()


def test_write_files_dedents_texts_and_keeps_bytes(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/b.py": "\n    x = 1\n    y = 2\n", "c": b"\r\n  z"})
    assert (tmp_path / "a/b.py").read_text() == "x = 1\ny = 2\n"
    assert (tmp_path / "c").read_bytes() == b"\r\n  z"


def test_wait_until_says_what_did_not_come() -> None:
    assert wait_until(lambda: 5) == 5
    with pytest.raises(AssertionError, match="not within 0.02 s: the tide"):
        wait_until(lambda: None, "the tide", timeout=0.02)

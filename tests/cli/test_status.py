"""``devrun status``, ``url`` and ``port``: what they print, from where, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack, clean_environ, wait_until
from tests.live.apps import TOML, answering
from tests.live.terminals import Terminal

GOOD = {"devrun.toml": TOML, "main.py": answering("'x'"), "sub/folder/notes.txt": ""}
BROKEN = {**GOOD, "devrun.toml": TOML + "[apps.auth-service]\napp = 'bad:app'\n", "bad.py": "def app(:\n"}


def devrun(folder: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devrun", *args]
    return subprocess.run(
        command, cwd=folder, env={**clean_environ(), **environ}, capture_output=True, text=True, timeout=30
    )


def normal(text: str) -> list[str]:
    """The lines without what is different each time."""
    text = re.sub(r"\bup \d+s", "up NNs", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"\bpid \d+", "pid PID", text)
    text = re.sub(r" +\d+(?= +\d+s|$)", " PID", text, flags=re.MULTILINE)
    text = re.sub(r" +\d+s$", " NNs", text, flags=re.MULTILINE)
    return [re.sub(r"─+", "──", re.sub(r" +", " ", line)) for line in text.splitlines()]


def with_a_broken_app(project: ProjectBuilder, up: StackStarter) -> Stack:
    stack = up(project(BROKEN))
    stack.wait_line(r"^\[devrun\] ready api")
    wait_until(lambda: any(line.startswith("[devrun] broken") for line in stack.lines))
    return stack


def test_the_table(project: ProjectBuilder, up: StackStarter) -> None:
    stack = with_a_broken_app(project, up)
    done = devrun(stack.folder / "sub" / "folder", "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert normal(done.stdout) == [
        "── project ── 1 broken, 1 ready ── pid PID, up NNs ──",
        "app state url pid reloads last up",
        "api ready http://127.0.0.1:PORT PID NNs",
        "auth-service broken http://127.0.0.1:PORT PID",
        " bad.py:1: SyntaxError: invalid syntax",
    ]
    assert f"pid {stack.process.pid}, up" in done.stdout and stack.url("api") in done.stdout


def test_the_details(project: ProjectBuilder, up: StackStarter) -> None:
    stack = with_a_broken_app(project, up)
    for flag in ("-v", "--verbose"):
        done = devrun(stack.folder, "status", flag)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[lines.index("engines") + 1].split()[:1] == ["api"]
        assert any(line.startswith("memory (") for line in lines)
        assert re.fullmatch(r"  in all +\d+ processes +[\d,.]+ MiB", lines[-1])


def test_one_document_for_programs(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    for args in (["status", "--json"], ["status", "--json", "-v"]):
        done = devrun(stack.folder, *args)
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
        told = json.loads(done.stdout)
        assert (told["v"], told["pid"], told["apps"][0]["url"]) == (1, stack.process.pid, stack.url("api"))
        assert ("details" in told) == ("-v" in args)


@pytest.mark.parametrize("width", [120, 80, 40])
def test_it_fits_the_terminal(project: ProjectBuilder, up: StackStarter, width: int) -> None:
    stack = with_a_broken_app(project, up)
    env = {**clean_environ(), "TERM": "xterm-256color", "PYTHON": sys.executable}
    with Terminal(width, 24) as terminal:
        shell = f"cd '{stack.folder}' && exec '{sys.executable}' -m devrun status"
        assert terminal.run("/bin/sh", "-c", shell, env=env).wait(20) == 0
        terminal.wait_text("SyntaxError: inv")
        lines = terminal.lines()
    text = "\n".join(lines)
    assert stack.url("api") in text and stack.url("auth-service") in text
    assert ("reloads" in text, " pid " in text) == {120: (True, True), 80: (True, True), 40: (False, False)}[width]
    assert len([line for line in lines if line]) == 5, "a line has been broken"


def test_colour_is_for_terminals_and_on_demand(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    assert "\x1b" not in devrun(stack.folder, "status", "-v").stdout
    assert "\x1b[32m" in devrun(stack.folder, "status", FORCE_COLOR="1").stdout
    assert devrun(stack.folder, "status", LC_ALL="C").stdout.isascii()


def test_url_and_port(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(BROKEN))
    api, auth = stack.url("api"), stack.url("auth-service")
    for args, said in [
        (("url", "api"), api),
        (("port", "api"), api.rpartition(":")[2]),
        (("url", "auth-service"), auth),
        (("url", "--", "api"), api),
        (("url", "--config", "../../devrun.toml", "api"), api),
        (("port", "--config=../../devrun.toml", "api"), api.rpartition(":")[2]),
    ]:
        done = devrun(stack.folder / "sub" / "folder", *args)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{said}\n", "")


def test_an_app_that_is_not_there(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(BROKEN))
    stack.url("api")
    for name, said in [
        ("auth-servcie", "did you mean 'auth-service'?"),
        ("zzz", "it has api, auth-service"),
        ("API", "it has api, auth-service"),
        ("", "it has api, auth-service"),
    ]:
        done = devrun(stack.folder, "url", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"error: the running stack has no app {name!r}; {said}\n"


@pytest.mark.parametrize("args", [("url",), ("url", "api", "web"), ("port", "--jsn", "api"), ("status", "api")])
def test_wrong_usage(project: ProjectBuilder, args: tuple[str, ...]) -> None:
    done = devrun(project(GOOD), *args)
    assert (done.returncode, done.stdout) == (2, "") and "Usage: " in done.stderr


@pytest.mark.parametrize("args", [("status",), ("status", "--json", "-v"), ("url", "api"), ("port", "api")])
def test_no_stack(project: ProjectBuilder, args: tuple[str, ...]) -> None:
    folder = project(GOOD)
    done = devrun(folder, *args)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"error: no stack is running in {folder}\nhint: `devrun up` starts one\n"
    assert not (folder / ".devrun").exists()


@pytest.mark.parametrize("args", [("status",), ("url", "api")])
def test_no_project(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = devrun(tmp_path, *args)
    assert (done.returncode, done.stdout) == (2, "") and "there is no devrun.toml in" in done.stderr


@pytest.mark.parametrize("args", [("status",), ("url", "api")])
def test_after_a_kill_there_is_no_stack_and_the_env_file_is_mended(
    project: ProjectBuilder, up: StackStarter, args: tuple[str, ...]
) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    stack.kill()
    assert (stack.folder / ".env").exists()
    done = devrun(stack.folder, *args)
    assert (done.returncode, done.stdout) == (3, "") and "no stack is running in" in done.stderr
    assert not (stack.folder / ".env").exists()


def test_a_stack_that_leaves_is_told_from_one_that_cannot_answer(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    os.unlink(stack.folder / ".devrun" / "control.sock")
    done = devrun(stack.folder, "status")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"error: the stack in {stack.folder} (pid {stack.process.pid}) does not listen: it is going down\n"
        "hint: try again in a moment\n"
    )
    assert devrun(stack.folder, "url", "api").stdout == stack.url("api") + "\n"


def test_asking_while_it_goes_down_ends_in_an_answer_or_in_no_stack(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    stack.signal(signal.SIGINT)
    while (done := devrun(stack.folder, "status", "--json")).returncode == 0:
        assert json.loads(done.stdout)["stage"] in ("ready", "stopping")
    assert (done.returncode, done.stdout) == (3, "") and "no stack is running" in done.stderr


def test_help_is_complete(tmp_path: Path) -> None:
    listed = devrun(tmp_path, "--help").stdout
    for name in ("status", "url", "port"):
        assert re.search(rf"^  {name} ", listed, re.MULTILINE)
        for flag in ("--help", "-h"):
            done = devrun(tmp_path, name, flag)
            assert done.returncode == 0 and f"devrun {name}" in done.stdout and "--config" in done.stdout
    assert "3\n  no running stack" in listed or "3 no running stack" in listed


# --- light ----------------------------------------------------------------------------------------------------------

HEAVY = {
    *("asyncio", "click", "rich", "psutil", "msgspec", "uvicorn", "watchfiles", "tomllib", "tomli_w", "dotenv"),
    *("json", "socket", "subprocess", "difflib", "inspect", "dataclasses", "logging"),
}


def imported(script: str, folder: Path) -> tuple[str, set[str]]:
    """What a script prints, and the modules that it imports, all of them."""
    command = [sys.executable, "-X", "importtime", "-c", script]
    done = subprocess.run(command, cwd=folder, env=clean_environ(), capture_output=True, text=True, timeout=30)
    return done.stdout, {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("command", ["url", "port"])
def test_what_is_light_imports_nothing_heavy(project: ProjectBuilder, up: StackStarter, command: str) -> None:
    stack = up(project(GOOD))
    url = stack.url("api")
    _, bare = imported("pass", stack.folder)
    said, modules = imported(
        f"import sys; sys.argv = ['devrun', '{command}', 'api']; from devrun.cli.main import main; main()", stack.folder
    )
    assert said == (url if command == "url" else url.rpartition(":")[2]) + "\n"
    assert not modules & HEAVY - bare
    # What an empty interpreter imports for the sake of an environment (editable installs, coverage) is its own affair.
    assert {name for name in modules - bare if not name.startswith("devrun")} <= {"fcntl", "__future__"}


def test_the_client_is_light(tmp_path: Path) -> None:
    _, modules = imported("import devrun.control.client", tmp_path)
    assert "devrun.control.client" in modules
    assert not modules & {"asyncio", "click", "rich", "psutil", "msgspec", "uvicorn", "watchfiles", "tomllib"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_nobody_takes(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.url("api")
    gone = (
        "{ until [ -e left ]; do sleep 0.01; done; %s; echo $? >code; } | { exec <&-; touch left; }; exit $(cat code)"
    )
    for command in ("url api", "status", "status --json", "schema"):
        line = f'"$0" -m devrun {command}'
        for shell, code, said in [
            (f"{line} >/dev/full", 1, "error: cannot write the output: No space left on device\n"),
            (f"{line} >&-", 0, ""),
            (gone % line, 0, ""),
        ]:
            done = subprocess.run(
                ["sh", "-c", shell, sys.executable],
                cwd=stack.folder,
                env=clean_environ(),
                capture_output=True,
                text=True,
            )
            assert (done.returncode, done.stderr) == (code, said), shell

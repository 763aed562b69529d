"""Keys and Ctrl-Z, in a real shell with job control on a real terminal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from devrun.cli.keys import typed
from tests.driver import clean_environ
from tests.live.terminals import Terminal

BASH = shutil.which("bash") or ""
RULE = "── shop ──"

PROGRAM = """
import asyncio, sys, time
from devrun.cli.keys import HELP, keys
from devrun.cli.look import Look
from devrun.cli.screen import Screen
from devrun.state import Snapshot

async def main():
    done = asyncio.Event()
    screen = Screen(sys.stdout, Look(colour=True))
    def key(name):
        screen.say(HELP if name == "h" else f"key {name}")
        if name == "q":
            done.set()
    screen.log("api", ["has begun"])
    screen.update(Snapshot(0, "shop", {}, {}, {}))
    painting = asyncio.create_task(screen.run())
    try:
        with keys(key, screen, sys.stdin, sys.stdout):
            await asyncio.wait_for(done.wait(), 40)
    finally:
        painting.cancel()
        screen.close()
    print("the end")

asyncio.run(main())
"""


@pytest.fixture
def shell() -> Iterator[Terminal]:
    if not BASH:
        pytest.skip("there is no bash")
    env = {**clean_environ(), "PYTHON": sys.executable, "PROGRAM": PROGRAM, "PS1": "first> ", "TERM": "xterm"}
    with Terminal() as terminal:
        process = terminal.run(BASH, "--norc", "--noprofile", "--noediting", "-i", env=env)
        terminal.wait_text("first>")
        terminal.type('run() { "$PYTHON" -c "$PROGRAM"; }; PS1="prompt> "; clear\n')
        terminal.wait(lambda lines: lines[0] == "prompt>")
        yield terminal
        process.kill()
        process.wait(5)


def in_lines(terminal: Terminal) -> bool:
    return bool(terminal.modes() & termios.ICANON) and bool(terminal.modes() & termios.ECHO)


def drawn(terminal: Terminal) -> None:
    terminal.wait(lambda lines: RULE in "\n".join(lines) and terminal.screen.cursor.hidden and not in_lines(terminal))


def at_prompt(terminal: Terminal) -> None:
    terminal.wait(lambda lines: lines[terminal.screen.cursor.y] == "prompt>" and in_lines(terminal))
    assert not terminal.screen.cursor.hidden


def start(terminal: Terminal, command: str = '"$PYTHON" -c "$PROGRAM"') -> None:
    terminal.type(f"{command}\n")


def test_keys_are_read_one_by_one_and_the_terminal_is_as_before(shell: Terminal) -> None:
    start(shell)
    drawn(shell)
    assert shell.modes() & termios.ISIG
    shell.type("h")
    shell.wait_text("restart all apps")
    shell.type("r\x1b[A\r")
    shell.wait_text("key enter")
    shell.type("q")
    shell.wait_text("the end")
    at_prompt(shell)
    text = "\n".join(shell.everything())
    assert [line for line in text.split("\n") if line.startswith("key")] == ["key r", "key enter", "key q"]
    assert text.count(RULE) == 1


def test_ctrl_c_stays_a_signal(shell: Terminal) -> None:
    start(shell)
    drawn(shell)
    shell.type("\x03")
    shell.wait_text("KeyboardInterrupt")
    at_prompt(shell)


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(shell: Terminal) -> None:
    start(shell)
    drawn(shell)
    shell.type("\x1a")
    shell.wait_text("Stopped")
    at_prompt(shell)
    shell.type("echo in the shell\n")
    shell.wait(lambda lines: "in the shell" in lines)
    at_prompt(shell)
    shell.type("fg\n")
    drawn(shell)
    shell.type("h")
    shell.wait_text("restart all apps")
    shell.type("q")
    shell.wait_text("the end")
    at_prompt(shell)


def test_in_the_background_it_runs_on_and_draws_nothing(shell: Terminal) -> None:
    shell.type("stty tostop\n")
    at_prompt(shell)
    start(shell, '"$PYTHON" -c "$PROGRAM" &')
    shell.wait_text("api    | has begun")  # `stty tostop` stops a job that writes, unless it takes care
    shell.type("jobs; echo both seen\n")
    shell.wait(lambda lines: "both seen" in lines)
    at_prompt(shell)
    text = "\n".join(shell.lines())
    assert "Running" in text
    assert "Stopped" not in text
    assert RULE not in text
    shell.type("fg\n")
    drawn(shell)
    shell.type("q")
    shell.wait_text("the end")


def test_stopped_and_sent_to_the_background_and_back(shell: Terminal) -> None:
    start(shell)
    drawn(shell)
    shell.type("\x1a")
    at_prompt(shell)
    shell.type("bg\n")
    shell.type("sleep 1.2; jobs; echo both seen\n")
    shell.wait(lambda lines: "both seen" in lines)
    assert "Running" in "\n".join(shell.lines())
    at_prompt(shell)
    shell.type("fg\n")
    drawn(shell)
    shell.type("q")
    shell.wait_text("the end")
    at_prompt(shell)


def test_without_a_terminal_for_input_nothing_is_read(shell: Terminal) -> None:
    start(shell, '"$PYTHON" -c "$PROGRAM" < /dev/null')
    shell.wait(lambda lines: RULE in "\n".join(lines))
    assert in_lines(shell)
    shell.type("\x1a")
    shell.wait_text("Stopped")
    at_prompt(shell)


def browsed(browser: str, tmp_path: Path) -> str:
    code = "import asyncio; from devrun.cli.keys import browse; print(asyncio.run(browse('http://127.0.0.1:1/docs')))"
    env = {**clean_environ(), "BROWSER": browser, "SEEN": str(tmp_path / "seen")}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout


def test_browse_opens_the_users_browser(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\nprintf %s "$1" > "$SEEN"\n')
    browser.chmod(0o755)
    assert browsed(str(browser), tmp_path) == "True\n"
    assert (tmp_path / "seen").read_text() == "http://127.0.0.1:1/docs"


def test_browse_starts_no_browser_in_the_terminal(tmp_path: Path) -> None:
    assert browsed("w3m", tmp_path) == "False\n"


def test_a_browser_that_stays_holds_nobody_up(tmp_path: Path) -> None:
    code = """
import asyncio, os
from devrun.cli.keys import browse

async def main():
    task = asyncio.create_task(browse("http://127.0.0.1:1/docs"))
    while not os.path.exists(os.environ["SEEN"]):
        await asyncio.sleep(0.01)
    print("the end", flush=True)

asyncio.run(main())
"""
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text('#!/bin/sh\necho $$ > "$SEEN.new"; mv "$SEEN.new" "$SEEN"; exec sleep 600 <&- >&- 2>&-\n')
    browser.chmod(0o755)
    env = {**clean_environ(), "BROWSER": str(browser), "SEEN": str(seen)}
    try:
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=20)
    finally:
        os.kill(int(seen.read_text()), signal.SIGKILL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"h", ["h"]),
        (b"rq", ["r", "q"]),
        (b"\r", ["enter"]),
        (b"\n", ["enter"]),
        (b"\x1b[A", []),
        (b"\x1b[1;5C", []),
        (b"\x1bOP", []),
        (b"\x1b", []),
        (b"\x1bq", []),
        (b"q\x1b[A", ["q"]),
        ("ä".encode(), ["ä"]),
        (b"\xff", []),
        (b"cargo run and so on", []),
    ],
)
def test_typed(data: bytes, keys: list[str]) -> None:
    assert typed(data) == keys

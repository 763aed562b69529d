"""``devrun up`` as a person sees it: a real terminal, real keys, real apps."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ProjectBuilder
from tests.driver import clean_environ, wait_until, write_files
from tests.live.apps import TOML, answering
from tests.live.terminals import Terminal

FLOOD = answering(
    "'x'",
    """
import threading, time
def flood():
    while True:
        print("\\n".join("line %d" % n for n in range(1000)), flush=True)
        time.sleep(0.1)
threading.Thread(target=flood, daemon=True).start()
""",
)
SLOW_END = """
import asyncio, os
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            while kind == "shutdown" and not os.path.exists("go"):
                await asyncio.sleep(0.01)
            await send({"type": f"lifespan.{kind}.complete"})
"""


@contextmanager
def devrun_up(folder: Path, terminal: Terminal, *args: str, **env: str) -> Iterator[None]:
    """Run ``devrun up`` in the terminal; at the end it must have ended as asked."""
    environ = {**clean_environ(), "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHON": sys.executable, **env}
    before = os.getcwd()
    os.chdir(folder)
    try:
        process = terminal.run(sys.executable, "-m", "devrun", "up", *args, env=environ)
    finally:
        os.chdir(before)
    try:
        yield
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def table(terminal: Terminal) -> list[str]:
    """The rows of the apps: what stands below the heading."""
    lines = [line for line in terminal.lines() if line]
    heading = max((n for n, line in enumerate(lines) if line.split()[:2] == ["app", "state"]), default=len(lines))
    return lines[heading + 1 :]


def test_logs_above_a_table_and_the_keys(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'", "print('\\x1b[35mpurple\\x1b[0m')")})
    with Terminal(100, 30) as terminal:
        with devrun_up(folder, terminal):
            terminal.wait_text("stack ready api=")
            terminal.wait(lambda _: table(terminal) and table(terminal)[0].split()[:2] == ["api", "ready"])
            assert b"\x1b[35mpurple" in terminal.written, "the app's own colours"
            assert b"\x1b[32mINFO" in terminal.written, "uvicorn takes it for a terminal"
            terminal.type("h")
            terminal.wait_text("restart all apps")
            terminal.type("r")
            terminal.wait_text("reloading api: restart")
            terminal.wait(lambda _: table(terminal)[0].split()[3:4] == ["1"], "no reload is counted")
            terminal.type("q")
        assert any("stack down" in line for line in terminal.lines())
    assert not (folder / ".env").exists()


def test_ctrl_c_is_one_polite_end(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'")})
    with Terminal(100, 30) as terminal:
        with devrun_up(folder, terminal):
            terminal.wait_text("stack ready api=")
            terminal.type("\x03")
        said = "\n".join(terminal.everything())
    assert "Application shutdown complete" in said
    assert "Traceback" not in said


def test_why_an_app_is_broken_stands_in_the_table(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": TOML, "main.py": "import nowhere"})
    with Terminal(100, 30) as terminal, devrun_up(folder, terminal):
        terminal.wait(lambda _: "broken" in " ".join(table(terminal)) and "nowhere" in " ".join(table(terminal)))
        write_files(folder, {"main.py": answering("'x'")})
        terminal.wait(lambda _: table(terminal) and table(terminal)[0].split()[:2] == ["api", "ready"])
        assert len(table(terminal)) == 1
        terminal.type("q")


def test_the_table_follows_the_config(project: ProjectBuilder) -> None:
    """An app that is removed stands there until it has ended; what comes after that is shown, too."""
    slow = f"print('up')\n{SLOW_END}"
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'"), "other.py": slow})
    other = TOML + '[apps.other]\napp = "other:app"\ngrace = 30\n'
    with Terminal(100, 30) as terminal, devrun_up(folder, terminal):
        terminal.wait_text("stack ready api=")
        write_files(folder, {"devrun.toml": other})
        terminal.wait(lambda _: [row.split()[:2] for row in table(terminal)] == [["api", "ready"], ["other", "ready"]])
        write_files(folder, {"devrun.toml": TOML})
        terminal.wait(
            lambda _: [row.split()[:2] for row in table(terminal)] == [["api", "ready"], ["other", "stopping"]]
        )
        (folder / "go").touch()
        terminal.wait(lambda _: [row.split()[:2] for row in table(terminal)] == [["api", "ready"]])
        write_files(folder, {"main.py": "import nowhere"})
        terminal.wait(lambda _: "broken" in " ".join(table(terminal)))
        terminal.type("q")


def test_a_flood_of_lines_neither_loses_the_table_nor_stops_another_app(project: ProjectBuilder) -> None:
    """10,000 lines a second from one app. The emulator is too slow for them: the bytes have to do."""
    toml = TOML + '[apps.other]\napp = "other:app"\n'
    folder = project({"devrun.toml": toml, "main.py": FLOOD, "other.py": answering("'one'")})

    def last_frame() -> bytes:
        return bytes(terminal.written[-200_000:]).rpartition(b"\x1b[?2026h")[2]

    with Terminal(100, 30) as terminal, devrun_up(folder, terminal):
        wait_until(lambda: b"ready other http" in terminal.written and b"ready api http" in terminal.written)
        write_files(folder, {"other.py": answering("'two'")})
        wait_until(lambda: terminal.written.count(b"ready other http") == 2)
        wait_until(lambda: b"line 999" in terminal.written)
        wait_until(lambda: b"2 ready" in last_frame() and b"reloads" in last_frame() and b"line " in last_frame())
        terminal.type("q")


def test_ascii_and_no_colour(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'")})
    with Terminal(44, 20) as terminal:
        with devrun_up(folder, terminal, NO_COLOR="1", LC_ALL="C"):
            terminal.wait(
                lambda lines: any(line.startswith("http://127.0.0.1:") or "http://" in line for line in lines)
            )
            wait_until(lambda: "ready" in " ".join(table(terminal) or terminal.lines()[-4:]))
            terminal.type("q")
        assert bytes(terminal.written).isascii()
        assert b"\x1b[3" not in terminal.written


def test_a_terminal_that_cannot_redraw_gets_plain_lines(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'")})
    with Terminal(100, 30) as terminal, devrun_up(folder, terminal, TERM="dumb"):
        terminal.wait_text("[devrun] stack ready api=")
        terminal.type("\x03")


def test_a_command_has_a_terminal_where_the_launcher_has_one(project: ProjectBuilder) -> None:
    """So that it colours its lines as it would by itself; its input is none, and its lines are not broken."""
    ttys = "sys.stdout.isatty(), sys.stderr.isatty(), sys.stdin.isatty()"
    code = f"import sys; print({ttys}, flush=True); sys.stdin.read()"
    config = f"{TOML}\n[commands.web]\nrun = ['{sys.executable}', '-c', '{code}']\n"
    folder = project({"devrun.toml": config, "main.py": answering("'x'")})
    with Terminal(100, 30) as terminal, devrun_up(folder, terminal):
        terminal.wait(lambda lines: any(line.startswith("web") and "True True False" in line for line in lines))
        terminal.wait(
            lambda lines: [row.split()[:2] for row in table(terminal)] == [["api", "ready"], ["web", "running"]]
        )
        terminal.type("q")

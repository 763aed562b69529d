"""The live screen, read back from a real terminal by a terminal emulator."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from devrun.cli.look import Look
from devrun.cli.painter import SHOW_CURSOR
from devrun.cli.screen import Screen
from devrun.events import AppBroken, Failure, Run, StackStarting, Warned
from devrun.plan import Endpoint
from devrun.state import AppState, Serving, Snapshot
from tests.live.terminals import Terminal

pytestmark = pytest.mark.anyio

COLOUR = Look(colour=True)
RULE = "── shop ──"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ready(*names: str) -> Snapshot:
    apps = {name: AppState(name, Serving(Run(name, 1), 1, time.monotonic())) for name in names}
    endpoints = {name: Endpoint(name, "127.0.0.1", 41500 + index) for index, name in enumerate(names)}
    return Snapshot(1, "shop", endpoints, apps, {})


@asynccontextmanager
async def running(screen: Screen) -> AsyncIterator[Screen]:
    task = asyncio.create_task(screen.run())
    try:
        yield screen
        assert not task.done()
    finally:
        task.cancel()
        screen.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def rules(lines: list[str]) -> list[int]:
    return [index for index, line in enumerate(lines) if RULE in line]


async def test_logs_stand_above_one_table() -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.tell(StackStarting("shop", ("api", "web")))
        screen.update(ready("api", "web"))
        async with running(screen):
            screen.log("api", ["first", "second"])
            await until(lambda: "second" in "\n".join(terminal.lines()))
            screen.log("web", ["third"])
            await until(lambda: "third" in "\n".join(terminal.lines()))
            assert terminal.lines()[:5] == [
                "devrun | starting shop: 2 apps",
                "api    | first",
                "api    | second",
                "web    | third",
                "── shop ── 2 ready " + "─" * 52 + " h help ─",
            ]
            assert terminal.lines()[6].split()[:3] == ["api", "ready", "http://127.0.0.1:41500"]
            assert terminal.screen.cursor.hidden
            assert terminal.screen.cursor.y == 4
        await until(lambda: terminal.lines() and not terminal.screen.cursor.hidden)
        assert rules(terminal.everything()) == [4]
        assert terminal.screen.cursor.y == 8
        assert terminal.screen.cursor.x == 0
        assert terminal.screen.buffer[1][0].fg == "cyan"
        assert terminal.screen.buffer[3][0].fg == "magenta"


async def test_the_table_never_goes_into_the_scrollback() -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("api", "web"))
        async with running(screen):
            for number in range(20):
                screen.log("api", [f"line {number} {part}" for part in range(7)])
                await asyncio.sleep(0.06)
            await until(lambda: "line 19 6" in "\n".join(terminal.lines()))
        lines = terminal.everything()
        assert rules(lines) == [140]
        expected = [f"api    | line {number} {part}" for number in range(20) for part in range(7)]
        assert lines[:140] == expected


async def test_what_a_program_prints_cannot_break_the_table() -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("api"))
        async with running(screen):
            await until(lambda: rules(terminal.lines()))
            screen.log(
                "api",
                ["\x1b[31mred \x1b[5A\x1b[2J\x1b]0;title\x07stays", "10%\r100%", "x" * 100, "\x1b[?1049h", "after"],
            )
            await until(lambda: "after" in "\n".join(terminal.lines()))
        lines = terminal.everything()
        assert lines[0] == "api    | red stays"
        assert lines[1] == "api    | 100%"
        assert lines[2] + lines[3] == "api    | " + "x" * 100
        assert lines[4:6] == ["api    |", "api    | after"]
        assert rules(lines) == [6]
        assert terminal.screen.buffer[0][9].fg == "red"
        assert terminal.screen.buffer[1][9].fg == "default"


async def test_notices_are_one_line_each() -> None:
    failure = Failure("import", "SyntaxError: invalid syntax", "Traceback\nlong", file="shop/routes.py", line=12)
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        async with running(screen):
            screen.tell(AppBroken("api", failure))
            screen.tell(Warned("two\nlines"))
            screen.say("help\n  h  this help")
            await until(lambda: "this help" in "\n".join(terminal.lines()))
        assert terminal.everything() == [
            "devrun | broken api: shop/routes.py:12: SyntaxError: invalid syntax",
            "devrun | warning: two lines",
            "help",
            "  h  this help",
        ]
        assert terminal.screen.buffer[0][9].fg == "red"


@pytest.mark.parametrize("look", [Look(unicode=False, encoding="iso8859-1"), Look(unicode=False, encoding="ascii")])
async def test_without_colour_and_unicode(look: Look) -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, look)
        screen.update(ready("api"))
        async with running(screen):
            screen.log("api", ["\x1b[31mcost: 5 €\x1b[0m", *(["x"] * 3000)])
            screen.log("api", ["\x1b[31mcost: 5 €\x1b[0m"])
            await until(lambda: b"cost: 5 ?" in terminal.written)
        assert b"... 2,002 lines skipped" in terminal.written
        assert b"-- shop -- 1 ready ---" in terminal.written
        assert b"\x1b[3" not in terminal.written
        assert terminal.written.isascii()


async def test_resizing_leaves_no_garbage() -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("api", "web"))
        async with running(screen):
            for columns, rows in [(80, 24), (40, 24), (120, 30), (60, 30), (200, 40)]:
                terminal.resize(columns, rows)
                os.kill(os.getpid(), signal.SIGWINCH)
                screen.log("api", [f"now {columns}"])
                await until(lambda columns=columns: f"now {columns}" in "\n".join(terminal.lines()))  # type: ignore[misc]
                [at] = rules(terminal.everything())
                width = len(terminal.everything()[at])
                assert width == columns
        assert [line for line in terminal.everything() if "now" in line] == [
            f"api    | now {columns}" for columns in (80, 40, 120, 60, 200)
        ]


async def test_a_terminal_with_few_rows_still_has_lines_for_the_log() -> None:
    with Terminal(80, 9) as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready(*(f"app{number}" for number in range(500))))
        async with running(screen):
            screen.log("app1", ["hello"])
            await until(lambda: "hello" in "\n".join(terminal.lines()))
            assert terminal.lines()[1].startswith("── shop ── 500 ready ──")
            assert terminal.lines()[6] == "… 497 more: 497 ready"


async def test_clear_begins_at_the_top() -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("api"))
        async with running(screen):
            screen.log("api", ["old"])
            await until(lambda: "old" in "\n".join(terminal.lines()))
            screen.clear()
            await until(lambda: rules(terminal.lines()) == [0])
            assert "old" not in "\n".join(terminal.lines())


async def test_a_quiet_screen_writes_only_what_changes() -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR, clock=lambda: 0.0)
        snapshot = ready("api")
        screen.update(snapshot)
        async with running(screen):
            await until(lambda: rules(terminal.lines()))
            before = len(terminal.written)
            for seq in range(10):
                screen.update(replace(snapshot, seq=seq))
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert len(terminal.written) == before


async def test_pausing_leaves_the_terminal_to_the_shell() -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("api"))
        async with running(screen):
            await until(lambda: rules(terminal.lines()) == [0])
            screen.pause()
            await until(lambda: terminal.lines() and not terminal.screen.cursor.hidden)
            assert terminal.screen.cursor.y == 3
            terminal.stream.write("$ shell\n")
            terminal.stream.flush()
            screen.resume()
            await until(lambda: rules(terminal.lines()) == [0, 4])
            assert terminal.screen.cursor.hidden


async def test_a_flood_keeps_the_table_and_the_loop_alive() -> None:
    longest = 0.0
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("loud", "quiet"))
        async with running(screen):
            begin = last = time.monotonic()
            sent = 0
            while last - begin < 0.5:
                due = int((last - begin) * 12_000)
                screen.log("loud", [f"INFO: line {number}" for number in range(sent, due)])
                sent = due
                await asyncio.sleep(0.001)
                now = time.monotonic()
                longest, last = max(longest, now - last), now
            screen.log("quiet", ["still here"])
            await until(lambda: b"still here" in terminal.written)
        await until(lambda: terminal.written.endswith(SHOW_CURSOR.encode()))
        lines = terminal.everything()
        assert len(rules(lines)) == 1
        assert lines[-3:][0].startswith("app ")
        assert f"line {sent - 1}" in "\n".join(lines)
        kept = sum("| INFO: line" in line for line in lines)
        skipped = sum(int(line.split()[3].replace(",", "")) for line in lines if line.endswith(" lines skipped"))
        assert kept + skipped == sent
        assert kept > 1000
    # Far above what it takes: the machine may be busy with other tests.
    assert longest < 0.5


async def test_a_stuck_terminal_holds_neither_the_loop_nor_the_end() -> None:
    with Terminal(stuck=True) as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("api"))
        async with running(screen):
            for number in range(50):
                screen.log("api", [f"line {number} {part} " + "x" * 100 for part in range(1000)])
                await asyncio.sleep(0.001)
            begin = time.monotonic()
            screen.close()
            assert time.monotonic() - begin < 3.0


async def test_a_terminal_that_is_gone_is_no_error() -> None:
    with Terminal(stuck=True) as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("api"))
        terminal.hang_up()
        async with running(screen):
            for number in range(10):
                screen.log("api", [f"line {number}"])
                await asyncio.sleep(0.02)


async def test_after_the_end_nothing_is_written() -> None:
    with Terminal() as terminal:
        screen = Screen(terminal.stream, COLOUR)
        screen.update(ready("api"))
        async with running(screen):
            await until(lambda: rules(terminal.lines()))
            screen.close()
            screen.close()
            await until(lambda: terminal.lines() and not terminal.screen.cursor.hidden)
            before = len(terminal.written)
            screen.log("api", ["too late"])
            screen.pause()
            await asyncio.sleep(0.1)
            assert len(terminal.written) == before

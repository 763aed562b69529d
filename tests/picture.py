"""Makes the picture of README from a real run of the shop: ``python -m tests.picture > .github/terminal.svg``.

The bytes of ``devrun up`` go through a terminal emulator; rich exports what stands on its screen then.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pyte.screens
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.driver import clean_environ, wait_until
from tests.live.terminals import Terminal

PROJECT = Path(__file__).parents[1]
COLUMNS, ROWS = 96, 22
# What pyte calls some colours, in rich's words.
COLOURS = {"default": None, "brown": "yellow", "brightbrown": "bright_yellow"}


def colour(name: str) -> str | None:
    if name in COLOURS:
        return COLOURS[name]
    if name.startswith("bright"):
        return "bright_" + name.removeprefix("bright")
    return f"#{name}" if len(name) == 6 and set(name) <= set("0123456789abcdef") else name


def style(cell: pyte.screens.Char) -> Style:
    return Style(color=colour(cell.fg), bold=cell.bold or None, reverse=cell.reverse or None)


def drawn(screen: pyte.Screen) -> Text:
    """Return what stands on the screen, with its colours."""
    text = Text(no_wrap=True)
    for row in range(ROWS):
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            text.append(cell.data, style(cell))
        text.append("\n")
    text.rstrip()
    return text


def picture() -> str:
    """Run the shop, ask it for its page, save one of its files, and return the SVG of the terminal."""
    edited = PROJECT / "examples/shop/catalog/products.py"
    with Terminal(COLUMNS, ROWS) as terminal:
        shop = subprocess.Popen(
            [sys.executable, "-m", "devrun", "up"],
            cwd=PROJECT,
            env={**clean_environ(), "TERM": "xterm-256color"},
            stdin=subprocess.DEVNULL,
            stdout=terminal.slave,
            stderr=terminal.slave,
        )
        try:
            wait_until(lambda: any("stack ready" in line for line in terminal.everything()), timeout=60)
            url = next(line.split()[-3] for line in terminal.everything() if "ready web " in line)
            httpx.get(url, trust_env=False).raise_for_status()
            os.utime(edited)
            wait_until(lambda: sum("ready catalog " in line for line in terminal.everything()) == 2, timeout=60)
            # The table has caught up with the reload, and its times are no longer zero.
            wait_until(
                lambda: any(line.startswith("catalog  ready") and line.endswith("2s") for line in terminal.lines())
            )
            console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
            console.print(drawn(terminal.screen))
            return console.export_svg(title="devrun up")
        finally:
            shop.send_signal(signal.SIGINT)
            shop.wait(20)


if __name__ == "__main__":
    print(picture())

"""The text of one frame: the log lines above, the table below, and the control sequences around them.

Makes strings; must not touch a stream, a clock or a signal. Where a table stands on the screen, the cursor rests on
its *first* cell: from there "erase to the end" removes it whatever a resize has done to its lines.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style

from devrun.cli.backlog import Waiting
from devrun.cli.look import Look
from devrun.events import AppBroken, AppExited, AppReady, Notice, StackReady, Warned
from devrun.outputs.lines import words
from devrun.outputs.table import Room, colour_of, table
from devrun.outputs.text import log_text
from devrun.state import Snapshot

OURSELVES = ""
"""Whose lines are devrun's own; no app can have this name."""

_LONGEST_NAME = 20
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"  # synchronized output: terminals that know it show no half frame
_WRAP, _NO_WRAP = "\x1b[?7h", "\x1b[?7l"
_ERASE = "\r\x1b[J"
_CLEAR = "\x1b[H\x1b[2J"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def frame(lines: Sequence[str], table_lines: Sequence[str], *, clear: bool = False, park: bool = True) -> str:
    """Return a frame that begins where the last one left the cursor; without ``park`` it ends below the table."""
    parts = [_BEGIN, _CLEAR if clear else _ERASE]
    parts += [f"{line}\n" for line in lines]
    if table_lines:
        # A line that a resize in this very moment makes too long is cut, not wrapped: the count of lines stays true.
        parts += [_NO_WRAP, "\n".join(table_lines), _WRAP]
        up = f"\x1b[{len(table_lines) - 1}A" if len(table_lines) > 1 else ""
        parts += ["\r", up] if park else ["\n"]
    return "".join([*parts, _END])


def painted(what: RenderableType, look: Look, room: Room, *, crop: bool = True) -> list[str]:
    """Return the lines that show something rich can draw, none of them wrapped; those too long are cropped."""
    console = Console(
        file=io.StringIO(),
        color_system="standard" if look.colour else None,
        force_terminal=True,
        no_color=not look.colour,
        legacy_windows=False,
        width=room.width,
        height=room.height or 100,
    )
    with console.capture() as capture:
        console.print(what, no_wrap=True, overflow=None if crop else "ignore", crop=crop)
    return capture.get().rstrip("\n").split("\n")


class Painter:
    """Knows the colours and the widths of the apps' names."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._names: dict[str, int] = {}
        self._prefixes: dict[str, str] = {}

    def know(self, names: Iterable[str]) -> None:
        """Give each app its colour: the first to be known has the first one, as in the table."""
        new = [name for name in names if name not in self._names]
        if new:
            self._names |= {name: len(self._names) + index for index, name in enumerate(new)}
            self._prefixes.clear()

    def notice(self, notice: Notice) -> str:
        """Return the log line of a notice."""
        text = words(notice)
        match notice:
            case AppBroken() | AppExited():
                style = "red"
            case Warned():
                style = "yellow"
            case AppReady() | StackReady():
                style = "green"
            case _:
                style = ""
        return self._prefix(OURSELVES) + self._styled(text, style)

    def lines(self, entries: Iterable[Waiting]) -> list[str]:
        """Return the log lines of a frame."""
        lines: list[str] = []
        for entry in entries:
            prefix = "" if entry.app == OURSELVES else self._prefix(entry.app)
            if entry.skipped:
                ellipsis = "…" if self._look.unicode else "..."
                lines.append(prefix + self._styled(f"{ellipsis} {entry.skipped:,} lines skipped", "dim"))
            if prefix:
                lines += [prefix + log_text(line, colour=self._look.colour) for line in entry.lines]
            else:
                lines += entry.lines
        return lines

    def table(self, snapshot: Snapshot, now: float, room: Room, hint: str) -> list[str]:
        """Return the lines of the table."""
        return painted(table(snapshot, now, room, hint=hint), self._look, room)

    def _prefix(self, app: str) -> str:
        if app not in self._prefixes:
            if app != OURSELVES:
                self.know([app])
            name = app or "devrun"
            width = min(max(map(len, ("devrun", *self._names))), _LONGEST_NAME)
            if len(name) > width:
                name = Room(width, unicode=self._look.unicode).crop(name, width)
            style = colour_of(self._names[app]) if app else "bold"
            self._prefixes[app] = self._styled(f"{name:<{width}} |", style) + " "
        return self._prefixes[app]

    def _styled(self, text: str, style: str) -> str:
        if not self._look.colour:
            return text
        return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)

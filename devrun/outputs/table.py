"""The tables of ``up`` and ``status``: one row an app, the reason of trouble below it, for any width and encoding.

Pure. Knows no terminal and no clock: ``now`` is the same monotonic time as in the snapshot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace
from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from devrun.outputs.rows import URGENCY, Row, age, row_of
from devrun.outputs.status import StackStatus, part_status, word_of, word_of_command
from devrun.outputs.text import one_line
from devrun.state import Snapshot

COLOURS = ("cyan", "magenta", "yellow", "bright_blue", "green", "bright_cyan", "bright_magenta", "bright_yellow")

_STYLES = {
    "waiting": "dim",
    "importing": "cyan",
    "starting": "cyan",
    "reloading": "yellow",
    "ready": "green",
    "running": "green",
    "done": "dim",
    "broken": "bold red",
    "paused": "bold yellow",
    "failed": "bold red",
    "restarting": "magenta",
    "stopping": "yellow",
    "stopped": "dim",
    "external": "dim",
}
_GAP = "  "
_SHORTEST_NAME = 8
_LONGEST_NAME = 24
_ROOMY = 60
"""Cells from which on the columns need not be as narrow as they can."""


class Room(Struct, frozen=True):
    """What the table may use: cells across, lines down (None: as many as it needs), and the signs that can be shown."""

    width: int
    height: int | None = None
    unicode: bool = True

    @property
    def rule(self) -> str:
        return "─" if self.unicode else "-"

    @property
    def ellipsis(self) -> str:
        return "…" if self.unicode else "..."

    def crop(self, text: str, width: int) -> str:
        """Return ``text`` in at most ``width`` cells, with an ellipsis where something is missing."""
        if cell_len(text) <= width:
            return text
        room = width - len(self.ellipsis)
        return set_cell_size(text, room) + self.ellipsis if room > 0 else set_cell_size(text, max(width, 0))


@dataclass(frozen=True)
class Column:
    """``least`` cells are kept free, so that the table does not jump whenever a word changes."""

    title: str
    values: Sequence[str]
    right: bool = False
    least: int = 0
    style: str = ""

    @cached_property
    def width(self) -> int:
        return max(self.least, *map(cell_len, (self.title, *self.values)))


def colour_of(position: int) -> str:
    """Return the rich style of the app at ``position``: stable as long as the config's order is."""
    return COLOURS[position % len(COLOURS)]


def table(snapshot: Snapshot, now: float, room: Room, *, hint: str = "") -> Group:
    """Return the live table, at most ``room.width`` cells wide; ``hint`` ends its first line where there is room."""
    words = _words(snapshot)
    lines = [_rule(snapshot.stack, _census(words.values()), room, hint)]
    if room.height is None or room.height > 1:
        shown = _choose(snapshot, words, now, room)
        lines += _grid(shown, room)
        lines += _rest(Counter(words.values()) - Counter(row.word for row in shown), room)
    return Group(*lines[: room.height])


def listing(status: StackStatus, room: Room) -> list[Text]:
    """Return the table of a stack once and for all, with process ids, no wider than it must be."""
    rows = [row_of(app, position) for position, app in enumerate(status.apps)]
    grid = _grid(rows, room, pids=True)
    width = min(room.width, max([_ROOMY, *(line.cell_len for line in grid)]))
    hint = f"pid {status.pid}, up {age(status.up_seconds)}"
    return [_rule(status.stack, _census(row.word for row in rows), replace(room, width=width), hint), *grid]


def _words(snapshot: Snapshot) -> dict[str, str]:
    """The word for each row. (Cheaper than the rows: of hundreds of apps few are shown.)"""
    return {
        **{state.name: word_of(state) for state in snapshot.apps.values()},
        **{
            name: word_of_command(state, snapshot.endpoints.get(name))
            for name, state in snapshot.commands.items()
            if name not in snapshot.apps  # it took the name of an app that is not gone yet
        },
        **dict.fromkeys(snapshot.externals, "external"),
    }


# --- which rows -----------------------------------------------------------------------------------------------------


def _choose(snapshot: Snapshot, words: Mapping[str, str], now: float, room: Room) -> list[Row]:
    """Return the rows that fit, in the order of the config; the apps that need attention are the first to be taken."""
    urgent = sorted(enumerate(words), key=lambda item: URGENCY.index(words[item[1]]))
    rows = [row_of(part_status(snapshot, name, now), position) for position, name in urgent[: room.height]]
    each = 2 if _columns(rows, room) is None else 1
    lines = [each + bool(row.why) for row in rows]
    fits = room.height is None or (len(rows) == len(words) and sum(lines) + 2 <= room.height)
    if room.height is not None and not fits:
        free = room.height - 3  # less the rule, the titles, the count of the others
        rows = [kept for kept, end in zip(rows, accumulate(lines), strict=True) if end <= free]
    return sorted(rows, key=lambda shown: shown.position)


def _rest(hidden: Counter[str], room: Room) -> list[Text]:
    if not hidden:
        return []
    text = f"{room.ellipsis} {hidden.total():,} more: {_census(hidden.elements())}"
    return [Text(room.crop(text, room.width), style="dim", no_wrap=True)]


def _census(words: Iterable[str]) -> str:
    counts = Counter(words)
    return ", ".join(f"{counts[word]:,} {word}" for word in URGENCY if counts[word])


# --- lines ----------------------------------------------------------------------------------------------------------


def _rule(stack: str, census: str, room: Room, hint: str) -> Text:
    """The line that parts the log from the table: the stack's name and how its apps are."""
    name = room.crop(one_line(stack), max(room.width // 3, _SHORTEST_NAME))
    census = room.crop(census, room.width - cell_len(name) - 8)
    text = Text(no_wrap=True).append(f"{room.rule * 2} ", style="dim").append(name, style="bold")
    text.append(f" {room.rule * 2} ", style="dim").append(f"{census} ")
    free = room.width - text.cell_len
    tail = f" {hint} {room.rule}" if hint and free > cell_len(hint) + 4 else ""
    text.append(room.rule * (free - cell_len(tail)) + tail, style="dim")
    text.truncate(room.width)
    return text


def _columns(rows: list[Row], room: Room, pids: bool = False) -> list[Column] | None:
    """Return as many columns as fit; None when not even name, state and URL fit beside each other."""
    if not rows:
        return []
    pid = [Column("pid", [row.pid for row in rows], right=True)] if pids else []
    extra = [
        Column("reloads", [row.reloads for row in rows], right=True),
        Column("last", [row.last for row in rows], right=True, least=len("999 ms")),
        Column("up", [row.up for row in rows], right=True, least=len("59m59s"), style="dim"),
    ]
    state = Column("state", [row.state for row in rows], least=len("importing") if room.width >= _ROOMY else 0)
    url = Column("url", [row.url for row in rows])
    gaps = 2 * len(_GAP)
    longest = min(Column("app", [row.name for row in rows]).width, _LONGEST_NAME)
    for kept in (pid + extra, pid + extra[:2], pid + extra[1:2], pid, []):
        free = room.width - state.width - url.width - gaps - sum(column.width + len(_GAP) for column in kept)
        if free >= longest or (not kept and free >= _SHORTEST_NAME):
            names = [room.crop(row.name, min(free, longest)) for row in rows]
            return [Column("app", names), state, url, *kept]
    return None


def _grid(rows: list[Row], room: Room, pids: bool = False) -> list[Text]:
    columns = _columns(rows, room, pids)
    lines = [] if not columns else [_cells([column.title for column in columns], columns, ["dim"] * len(columns))]
    for index, row in enumerate(rows):
        if columns is None:
            lines += _stacked(row, room)
        else:
            styles = [colour_of(row.position), _STYLES.get(row.word, ""), *(column.style for column in columns[2:])]
            lines.append(_cells([column.values[index] for column in columns], columns, styles))
        if row.why:
            fits = len(_GAP) + cell_len(row.why) <= room.width
            why = room.crop(row.why if fits else row.short_why, room.width - len(_GAP))
            lines.append(Text(_GAP + why, style="dim", no_wrap=True))
    return lines


def _cells(values: list[str], columns: list[Column], styles: list[str]) -> Text:
    text = Text(no_wrap=True)
    for index, (value, column, style) in enumerate(zip(values, columns, styles, strict=True)):
        padding = " " * (column.width - cell_len(value))
        text.append(_GAP if index else "")
        text.append(padding if column.right else "").append(value, style=style)
        text.append("" if column.right else padding)
    text.rstrip()
    return text


def _stacked(row: Row, room: Room) -> list[Text]:
    """A row for a very narrow terminal: the URL, which must stay whole, on a line of its own."""
    first = Text(no_wrap=True)
    first.append(room.crop(row.name, max(room.width - len(_GAP) - len(row.state), 1)), style=colour_of(row.position))
    first.append(_GAP).append(row.state, style=_STYLES.get(row.word, ""))
    first.truncate(room.width)
    return [first, Text(f"{_GAP}{row.url}", no_wrap=True)]

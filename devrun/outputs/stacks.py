"""All stacks of a user: the table and the document of ``devrun status --all``.

Pure. Knows no terminal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from rich.cells import cell_len
from rich.text import Text

from devrun.outputs.rows import URGENCY, age
from devrun.outputs.status import AppStatus
from devrun.outputs.text import one_line

VERSION = 1
_TITLES = ("stack", "branch", "apps", "pid", "up", "folder")
_STYLES = ("bold", "cyan", "", "", "dim", "")
_RIGHT = ("pid", "up")
_GAP = "  "


class StackLine(Struct, frozen=True):
    """One stack. ``branch`` is None outside of git; ``apps`` is None when its launcher does not answer."""

    stack: str
    folder: str
    branch: str | None
    pid: int
    up_seconds: float
    apps: tuple[AppStatus, ...] | None = None


def document(stacks: Sequence[StackLine]) -> Mapping[str, Any]:
    """Return what ``--json`` prints."""
    return {"v": VERSION, "stacks": msgspec.to_builtins(list(stacks))}


def listing(stacks: Sequence[StackLine]) -> list[Text]:
    """Return a line for each stack below the titles; the folder is last and whole, to be copied."""
    rows = [_row(stack) for stack in stacks]
    widths = [max(map(cell_len, column)) for column in zip(_TITLES, *rows, strict=True)]
    return [_line(_TITLES, widths, ["dim"] * len(_TITLES)), *(_line(row, widths, _STYLES) for row in rows)]


def _row(stack: StackLine) -> tuple[str, ...]:
    apps = "does not answer" if stack.apps is None else _census([app.state for app in stack.apps])
    branch = "" if stack.branch is None else stack.branch
    words = (stack.stack, branch, apps, str(stack.pid), age(stack.up_seconds), stack.folder)
    return tuple(map(one_line, words))


def _census(states: Sequence[str]) -> str:
    counts = Counter(states)
    return ", ".join(f"{counts[word]:,} {word}" for word in URGENCY if counts[word])


def _line(values: Sequence[str], widths: Sequence[int], styles: Sequence[str]) -> Text:
    text = Text(no_wrap=True)
    for title, value, width, style in zip(_TITLES, values, widths, styles, strict=True):
        padding = " " * (width - cell_len(value))
        text.append(_GAP if text else "")
        text.append(padding if title in _RIGHT else "").append(value, style=style)
        text.append("" if title in _RIGHT else padding)
    text.rstrip()
    return text

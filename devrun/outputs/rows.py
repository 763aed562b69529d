"""An app in words, as the tables and their readers say it: state, times, and why it is in trouble.

Pure. Knows no width and no colour.
"""

from __future__ import annotations

import math
from pathlib import PurePath

from msgspec import Struct

from devrun.events import Failure
from devrun.outputs.lines import place
from devrun.outputs.status import AppStatus, Trouble

URGENCY = (
    *("paused", "broken", "failed", "restarting", "reloading", "starting", "importing", "waiting", "stopping"),
    *("ready", "running", "done", "stopped", "external"),
)
"""All words for a state; the first ones need a person's attention most."""


class Row(Struct, frozen=True):
    """One app in words. ``why`` is empty when all is well."""

    name: str
    position: int
    word: str
    state: str
    url: str
    pid: str
    reloads: str
    last: str
    up: str
    why: str
    short_why: str


def duration(seconds: float) -> str:
    """Return how long a reload took: ``42 ms``, ``1.2 s``, ``75 s``."""
    if seconds < 0.9995:
        return f"{max(round(seconds * 1000), 0)} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def age(seconds: float) -> str:
    """Return how long something is up, in its two largest units: ``7s``, ``3m05s``, ``2h10m``, ``4d01h``."""
    whole = max(int(seconds), 0)
    for large, small, units in ((86400, 3600, "dh"), (3600, 60, "hm"), (60, 1, "ms")):
        if whole >= large:
            return f"{whole // large}{units[0]}{whole % large // small:02}{units[1]}"
    return f"{whole}s"


def row_of(app: AppStatus, position: int) -> Row:
    """Return an app in words."""
    retry = app.retry_seconds
    return Row(
        name=app.name,
        position=position,
        word=app.state,
        state=app.state if retry is None else f"{app.state} in {max(math.ceil(retry), 1)}s",
        url=app.url or "",
        pid="" if app.pid is None else str(app.pid),
        reloads=str(app.reloads) if app.reloads else "",
        last="" if app.reload_seconds is None else duration(app.reload_seconds),
        up="" if app.up_seconds is None else age(app.up_seconds),
        why=app.why,
        short_why=app.why if app.trouble is None or app.retry_seconds is not None else _shortly(app.trouble),
    )


def _shortly(trouble: Trouble) -> str:
    """Where and what, without the folders."""
    file = None if trouble.file is None else PurePath(trouble.file).name
    return place(Failure(trouble.kind, trouble.summary, "", file, trouble.line))

"""An app in words, as the table and its readers say it: state, times, and why it is in trouble.

Pure. Knows no width and no colour; ``now`` is the same monotonic time as in the snapshot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import assert_never

from devrun.outputs.lines import place
from devrun.outputs.text import one_line
from devrun.state import (
    AppState,
    Backoff,
    Beginning,
    Blocked,
    Broken,
    Cycle,
    Doubtful,
    Holding,
    Importing,
    Probing,
    Serving,
    Snapshot,
    Stopped,
    Waiting,
)

URGENCY = ("broken", "restarting", "reloading", "starting", "importing", "waiting", "stopping", "ready", "stopped")
"""All words for a state; the first ones need a person's attention most."""

_REMEMBERED = 60.0
"""Seconds for which a row still says why the worker before died."""


@dataclass(frozen=True, slots=True)
class Row:
    """One app in words. ``why`` is empty when all is well."""

    name: str
    position: int
    word: str
    state: str
    url: str
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


def row_of(snapshot: Snapshot, name: str, position: int, now: float) -> Row:
    """Return the app ``name`` of the snapshot in words, as of ``now``."""
    state = snapshot.apps[name]
    phase, now_is = state.phase, word_of(state)
    why, short = _why(state, now)
    return Row(
        name=name,
        position=position,
        word=now_is,
        state=f"{now_is} in {max(math.ceil(phase.retry_at - now), 1)}s" if isinstance(phase, Backoff) else now_is,
        url=snapshot.endpoints[name].url,
        reloads=str(state.reloads) if state.reloads else "",
        last="" if state.reload_seconds is None else duration(state.reload_seconds),
        up=age(now - phase.since) if isinstance(phase, Serving) else "",
        why=one_line(why),
        short_why=one_line(short),
    )


def word_of(state: AppState) -> str:
    """Return the one word for what an app does."""
    match state.phase:
        case Waiting() | Blocked():
            return "waiting"
        case Importing(cycle=cycle) | Doubtful(cycle=cycle) | Holding(cycle=cycle):
            return _word_of_start(cycle, "importing")
        case Beginning(cycle=cycle) | Probing(cycle=cycle):
            return _word_of_start(cycle, "starting")
        case Serving():
            return "ready"
        case Broken():
            return "broken"
        case Backoff():
            return "restarting"
        case Stopped():
            return "stopping" if state.leaving else "stopped"
        case _:
            assert_never(state.phase)


def _word_of_start(cycle: Cycle, first: str) -> str:
    return {"start": first, "reload": "reloading", "death": "restarting"}[cycle.cause]


def _why(state: AppState, now: float) -> tuple[str, str]:
    """Say what is wrong, in full and in short."""
    match state.phase:
        case Waiting(on=on) | Blocked(on=on) if on:
            text = f"waits for {', '.join(on)}"
        case Broken(failure=failure):
            file = None if failure.file is None else PurePath(failure.file).name
            return place(failure), place(replace(failure, file=file))
        case Backoff():
            text = f"died {state.deaths} times: {state.last_death}"
        case Serving(since=since) if state.deaths and now - since < _REMEMBERED:
            text = f"restarted after {state.last_death}"
        case Importing(cycle=cycle) | Holding(cycle=cycle) | Beginning(cycle=cycle) if cycle.cause == "death":
            text = f"died: {state.last_death}"
        case _:
            text = ""
    return text, text

"""How ``devrun logs`` shows an entry that the launcher has sent: as text, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from devrun.cli.look import Look
from devrun.events import Warned
from devrun.outputs.jsonl import event, log_event
from devrun.outputs.lines import line, log_line


class Form(Protocol):
    def lines(self, entry: Mapping[str, Any]) -> Iterator[str]: ...

    def missed(self, app: str | None, count: int) -> Iterator[str]: ...


class TextForm:
    """The lines of ``up --plain``, with the time in front on demand."""

    def __init__(self, look: Look, *, timestamps: bool) -> None:
        self._look = look
        self._timestamps = timestamps

    def lines(self, entry: Mapping[str, Any]) -> Iterator[str]:
        app = entry["app"]
        stamp = f"{_local(entry['at'])} " if self._timestamps else ""
        for text in entry["lines"]:
            yield stamp + (f"[devrun] {text}" if app is None else log_line(app, text, colour=self._look.colour))

    def missed(self, app: str | None, count: int) -> Iterator[str]:
        yield line(_missed(app, count))


class JsonForm:
    """The objects of ``up --json`` with ``at``, in seconds since 1970."""

    def lines(self, entry: Mapping[str, Any]) -> Iterator[str]:
        app, at = entry["app"], entry["at"]
        if app is None:
            yield _object({**entry["event"], "at": at})
            return
        for text in entry["lines"]:
            yield _object({**json.loads(log_event(app, text)), "at": at})

    def missed(self, app: str | None, count: int) -> Iterator[str]:
        yield event(_missed(app, count))


def _missed(app: str | None, count: int) -> Warned:
    return Warned(f"{count:,} lines skipped: they are no longer in memory (see .devrun/logs)", app)


def _object(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _local(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds")

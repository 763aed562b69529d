"""Tells an asker of lines: those that are there, and those that come. Knows no sockets."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from devrun.control.fields import RefusedError
from devrun.control.protocol import AskLogs
from devrun.history import Entry, History, TooSlowError
from devrun.outputs.jsonl import event


async def tell_entries(
    request: AskLogs, history: History, stack: str, more: Callable[[Mapping[str, Any]], Awaitable[None]]
) -> None:
    """Send the name of the stack and then the entries that are asked for, one a part. Raises RefusedError."""

    def wanted(app: str | None) -> bool:
        return request.notices if app is None else request.apps is None or app in request.apps

    after = request.after or 0 if request.stack == stack else 0
    with history.followed(wanted) as follower:  # from before the first word: nothing is lost in between
        there = history.entries(wanted, last=request.last, after=after)
        await more({"stack": stack})
        for entry in there:
            await more(line_of(entry))
        if not request.follow:
            return
        try:
            while True:
                await more(line_of(await follower.take()))
        except TooSlowError:
            raise RefusedError("too-slow", "too many lines came while nobody read them") from None


def line_of(entry: Entry) -> dict[str, Any]:
    """Return an entry as it is sent."""
    fields = {
        "order": entry.order,
        "app": entry.app,
        "first": entry.first,
        "at": round(entry.at, 3),
        "lines": list(entry.lines),
    }
    return fields if entry.notice is None else {**fields, "event": json.loads(event(entry.notice))}

"""The event streams that an app has open: ended at a stop, they do not hold the old worker.

uvicorn's own requests are asked at the stop. What every message pays for that is a look at a flag: a wrapper around the
app took 5 % of a small app's requests a second. Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

PROTOCOLS = "uvicorn.protocols.http"
FINISH_SECONDS = 0.1
"""How long the last words to all clients may take: one that does not read is not waited for."""

_MUTE = logging.Logger("devrun.mute", logging.CRITICAL + 1)


def watch() -> None:
    """Have the requests of uvicorn's HTTP protocols keep the message that starts their response.

    A protocol that is not uvicorn's own has no such requests: its streams get ``grace``, as all others.
    """
    modules = [one for one in vars(sys.modules[PROTOCOLS]).values() if isinstance(one, ModuleType)]
    for request in {vars(module).get("RequestResponseCycle") for module in modules} - {None}:
        _keep_start(request)


def _keep_start(request: Any) -> None:
    send = request.send

    # Not a coroutine of its own: it is on the way of every message.
    def watched(self: Any, message: Any) -> Any:
        if not self.response_started:
            self.response_start = message
        return send(self, message)

    request.send = watched


async def end(tasks: Iterable[asyncio.Task[Any]], ended: set[asyncio.Task[Any]]) -> None:
    """Finish the event streams among uvicorn's ``tasks`` for their clients, and cancel what feeds them.

    Those that are ``ended`` already are left alone, and these become so: one may begin only after a stop was asked for.

    https://html.spec.whatwg.org/multipage/server-sent-events.html: a client connects again when a stream ends.
    """
    streams = {task: request for task in tasks if task not in ended and is_open_stream(request := _request(task))}
    if not streams:
        return
    ended.update(streams)
    words = [asyncio.ensure_future(_finish(request)) for request in streams.values()]
    await asyncio.wait(words, timeout=FINISH_SECONDS)
    for word in words:
        word.cancel()
    for task, request in streams.items():
        request.disconnected = True  # uvicorn's own: what the app sends now goes nowhere
        request.logger = _MUTE  # it would tell of the cancelling as of an app's error
        task.cancel()


def _request(task: asyncio.Task[Any]) -> Any:
    """Return the request whose ``run_asgi`` is what the task runs."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return None if frame is None else frame.f_locals.get("self")


async def _finish(request: Any) -> None:
    with contextlib.suppress(Exception):  # the client left meanwhile: each uvicorn says so in its own way
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})


def is_open_stream(request: Any) -> bool:
    """Say whether a response has begun and not ended that is ``text/event-stream``."""
    start = getattr(request, "response_start", None)
    return start is not None and not request.response_complete and is_event_stream(start)


def is_event_stream(message: Any) -> bool:
    for name, value in message.get("headers", ()):
        if bytes(name).lower() == b"content-type":
            return bytes(value).lower().startswith(b"text/event-stream")
    return False

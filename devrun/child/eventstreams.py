"""The event streams that an app has open: ended at a stop, they do not hold the old worker.

On the way of every message of the app: what is here costs time with each request. Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


class EventStreams:
    """Ends open event streams at a stop, so that a browser's EventSource does not hold the old worker.

    https://html.spec.whatwg.org/multipage/server-sent-events.html: a client connects again when a stream ends.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._open: dict[Any, Any] = {}
        self._ended: set[Any] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        # Not a coroutine of its own: it is on the way of every message.
        def watched(message: Any) -> Any:
            if message["type"] == "http.response.start" and is_event_stream(message):
                self._open[send] = asyncio.current_task()
            return nothing() if self._ended and send in self._ended else send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if send not in self._ended:
                raise
        finally:
            if self._open:
                self._open.pop(send, None)
                self._ended.discard(send)

    async def end(self) -> None:
        """Finish every open stream for its client, and cancel what feeds it."""
        for send, task in list(self._open.items()):
            self._ended.add(send)
            with contextlib.suppress(Exception):  # the client left meanwhile: each uvicorn says so in its own way
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            task.cancel()


def is_event_stream(message: Any) -> bool:
    for name, value in message.get("headers", ()):
        if len(name) == len(b"content-type") and bytes(name).lower() == b"content-type":
            return bytes(value).lower().startswith(b"text/event-stream")
    return False


async def nothing() -> None:
    """Be what ``send`` returns, for a message that nobody is to get."""

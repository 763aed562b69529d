"""Whether a stack has come up: what somebody waits for who needs all of it, and cannot go on without a part.

A view like any other: it hears notices, sees snapshots, and asks nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from devrun.errors import BrokenAppError
from devrun.events import AppBroken, AppExited, Notice
from devrun.outputs.lines import place
from devrun.outputs.status import WELL, statuses
from devrun.phases import ending
from devrun.plan import Endpoint
from devrun.state import Snapshot


class Readiness:
    """To be made inside the running loop. ``outcome`` has the endpoints, or raises BrokenAppError."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[Mapping[str, Endpoint]] = asyncio.get_running_loop().create_future()
        self._snapshot: Snapshot | None = None

    def tell(self, notice: Notice) -> None:
        if isinstance(notice, AppBroken):
            message = f"{notice.app} cannot be started: {place(notice.failure)}"
            self._fail(message, notice.failure.text)
        elif isinstance(notice, AppExited) and notice.code and notice.retry is None:
            self._fail(f"{notice.app} ended with {ending(notice.code)}", "\n".join(notice.tail))

    def _fail(self, message: str, text: str) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(BrokenAppError(message, text))
            self.outcome.exception()  # that nobody may ask for it any more is no mistake

    def update(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        if snapshot.stage == "ready" and not self.outcome.done():
            self.outcome.set_result(snapshot.endpoints)

    def missing(self) -> str:
        """Say which apps are not ready, and what they do: ``api is importing, web waits for api``."""
        if self._snapshot is None:
            return "it is only just starting"
        parts = [part for part in statuses(self._snapshot, 0.0) if part.kind != "external" and part.state not in WELL]
        return ", ".join(f"{part.name} {part.why or f'is {part.state}'}" for part in parts)

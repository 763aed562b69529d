"""A private stack inside a program: in a thread of its own with a loop of its own, whatever the program does meanwhile.

A program that blocks, or whose loop rests between two tests, must not hold up its stack. Takes no signal.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from msgspec import Struct

from devrun.api import Stack
from devrun.control.asking import Answer, refusal
from devrun.control.fields import RefusedError
from devrun.control.protocol import Request
from devrun.errors import NoStackError
from devrun.events import AppExited, Notice, Warned
from devrun.handles import Places
from devrun.outputs.lines import words
from devrun.plan import Endpoint, Plan
from devrun.planning import stack_variables
from devrun.private import freed_ports, private_plan, private_state
from devrun.project import Project
from devrun.readiness import Readiness
from devrun.state import Snapshot

__tracebackhide__ = True
"""For pytest: what went wrong went wrong in the test, or in the app."""

LOG = logging.getLogger("devrun")
LOUD = (Warned, AppExited)
"""What a person should know at once."""


class Order(Struct, frozen=True):
    """What is to be run. ``plan``: as it would be for `up`."""

    plan: Plan
    project: Project
    reload: bool = False


class Host:
    """Runs the stack that ``read`` orders, from ``start`` to ``end``. To be used from any thread but its own.

    ``ready`` is done when all of the stack was ready once, or holds what has come in between; ``ended`` is done when
    nothing of it is left.
    """

    def __init__(self, read: Callable[[], Order]) -> None:
        self.ready: Future[None] = Future()
        self.ended: Future[None] = Future()
        self._read = read
        self._loop = asyncio.new_event_loop()
        self._guest = _Guest(self.ready)
        self._open = True
        self._opening = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="devrun-stack", daemon=True)

    def start(self) -> None:
        """Begin to bring the stack up. Returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the stack to go down; a second time: at once. Returns before it has."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._guest.stop)

    def end(self) -> None:
        """Take the stack down and wait until nothing of it is left. Interrupted: at once."""
        self.stop()
        try:
            wait([self.ended])
        except BaseException:  # Ctrl-C, or what another signal's handler raises
            self.stop()
            wait([self.ended])
            raise
        finally:
            self._thread.join()

    def missing(self) -> str:
        """Say what is not ready yet."""
        return self._guest.missing()

    @property
    def places(self) -> Places:
        """Where everything is, once the stack is ready; true until its end."""
        return self._guest

    def ask(self, request: Request) -> Future[Answer]:
        """Return what will hold the answer. Raises NoStackError."""
        with self._opening:
            if not self._open:
                raise down()
            return asyncio.run_coroutine_threadsafe(self._guest.answer(request), self._loop)

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except BaseException as reason:  # whatever it is, it is for whoever waits
            error = reason
        if not self.ready.done():
            self.ready.set_exception(error or down())
            error = None
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    async def _main(self) -> None:
        try:
            await self._guest.run(self._read())
        finally:
            with self._opening:
                self._open = False
            await asyncio.sleep(0)  # who has asked just before becomes a task, and is cancelled with the others


class _Guest:
    """The stack, seen from its own loop. A view like any other."""

    def __init__(self, ready: Future[None]) -> None:
        self._ready = ready
        self._order: Order | None = None
        self._stack: Stack | None = None
        self._readiness: Readiness | None = None
        self._snapshot: Snapshot | None = None
        self._stopped = False

    async def run(self, order: Order) -> None:
        """Bring the stack up, and return when it is down. Raises DevrunError."""
        for note in freed_ports(order.plan):
            LOG.info("%s", note)
        with private_state(order.project, order.plan.stack) as own:
            self._order, self._readiness = order, Readiness()
            self._stack = Stack(private_plan(order.plan, reload=order.reload), own, self, [self._readiness])
            running = asyncio.create_task(self._stack.run())
            if self._stopped:
                self._stack.stop()
            first: list[asyncio.Future[Any]] = [running, self._readiness.outcome]
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if self._readiness.outcome.done():
                _hand_on(self._readiness.outcome, self._ready)
            await running

    def stop(self) -> None:
        self._stopped = True
        if self._stack is not None:
            self._stack.stop()

    async def answer(self, request: Request) -> Answer:
        """Answer a request. Raises DevrunError."""
        assert self._stack is not None
        parts: list[Mapping[str, Any]] = []

        async def more(part: Mapping[str, Any]) -> None:
            parts.append(part)

        try:
            return Answer(parts, await self._stack.answer(request, more))
        except RefusedError as error:
            raise refusal(error.code, error.message) from None

    @property
    def names(self) -> tuple[str, ...]:
        plan = self._ordered.plan
        return (*plan.apps, *plan.commands, *plan.externals)

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        return {} if self._snapshot is None else self._snapshot.endpoints

    @property
    def variables(self) -> dict[str, str]:
        return stack_variables(self._ordered.plan, self.endpoints)

    @property
    def _ordered(self) -> Order:
        assert self._order is not None, "the stack has not been ready"
        return self._order

    def missing(self) -> str:
        return "it is only just starting" if self._readiness is None else self._readiness.missing()

    def update(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def tell(self, notice: Notice) -> None:
        LOG.log(logging.WARNING if isinstance(notice, LOUD) else logging.INFO, "%s", words(notice))

    def log(self, app: str, lines: Sequence[str]) -> None:
        """Do nothing: the stack keeps them, for whoever asks."""


def _hand_on(outcome: asyncio.Future[Any], ready: Future[None]) -> None:
    error = outcome.exception()
    if error is None:
        ready.set_result(None)
    else:
        ready.set_exception(error)


def down() -> NoStackError:
    """Return the error for who asks a stack that is not there any more."""
    return NoStackError("the stack is down")

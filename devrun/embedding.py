"""``devrun.running``: a private stack for a program, from before a block of code until after it.

A door like the command line: it reads the environment and the working directory of the program it is in.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from msgspec import Struct

from devrun.control.asking import Answer
from devrun.control.protocol import Request
from devrun.errors import DevrunError, NotReadyError, UsageError
from devrun.handles import PATIENCE, App, AsyncApp, AsyncStack, Stack
from devrun.hosting import Host, Order, down
from devrun.planning import Choices
from devrun.project import find
from devrun.reading import plan_of

__tracebackhide__ = True
"""For pytest: what went wrong went wrong in the test, or in the app."""

__all__ = ["App", "AsyncApp", "AsyncStack", "Running", "Stack", "running"]


class _Wish(Struct, frozen=True):
    names: tuple[str, ...]
    config: Path | None
    cwd: Path | None
    env: Mapping[str, str | None]
    reload: bool

    def read(self) -> Order:
        """Return what is to be run. Raises DevrunError."""
        try:
            start = Path.cwd() if self.cwd is None else Path.cwd() / self.cwd
        except OSError as error:
            raise UsageError(f"the working directory is gone: {error.strerror}") from None
        project = find(start, self.config)
        environ = {key: value for key, value in {**os.environ, **self.env}.items() if value is not None}
        return Order(plan_of(project, Choices(self.names), environ), project, self.reload)


class Running:
    """What ``running`` returns: to be entered with ``with`` or ``async with``, again and again, one at a time."""

    def __init__(self, wish: _Wish, timeout: float | None) -> None:
        self._wish = wish
        self._timeout = timeout
        self._host: Host | None = None

    def __enter__(self) -> Stack:
        host = self._start()
        try:
            wait([host.ready], self._timeout)
            self._check(host)
        except BaseException:
            self._taken().end()
            raise
        return Stack(_Blocking(host))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        host = self._taken()
        host.end()
        host.ended.result()

    async def __aenter__(self) -> AsyncStack:
        _check_loop()
        host = self._start()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    await _until_done(host.ready)
            self._check(host)
        except BaseException:
            await _end(self._taken())
            raise
        return AsyncStack(_Awaited(host))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        host = self._taken()
        await _end(host)
        host.ended.result()

    def _start(self) -> Host:
        if self._host is not None:
            raise UsageError("this stack is up already", hint="each call of devrun.running() is for another one")
        self._host = Host(self._wish.read)
        self._host.start()
        return self._host

    def _taken(self) -> Host:
        assert self._host is not None
        host, self._host = self._host, None
        return host

    def _check(self, host: Host) -> None:
        """Raise what keeps the stack from being ready."""
        if not host.ready.done():
            raise NotReadyError(f"the stack is not ready within {self._timeout:g} s: {host.missing()}")
        error = host.ready.exception()
        if error is not None:  # where in devrun it was noticed explains nothing
            raise error.with_traceback(None) if isinstance(error, DevrunError) else error


def running(
    *names: str,
    config: str | os.PathLike[str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str | None] | None = None,
    reload: bool = False,
    timeout: float | None = PATIENCE,
) -> Running:
    """Run a private stack for a block of code, which begins when all of it is ready; nothing of it is left after that.

    ``with devrun.running() as stack`` gives a ``Stack``, ``async with devrun.running() as stack`` an ``AsyncStack``.
    The stack runs in a thread of its own in either case, on free ports, beside any other, and writes no env file. The
    blocking form works anywhere, in any thread and inside a running loop; the other one in any loop of asyncio.

    ``names``: only these apps, commands and compounds, and what they depend on. The project is that of the nearest
    devrun.toml from ``cwd`` (the working directory) upward, or ``config`` names the file. ``env``: variables for the
    apps besides those of this process; None takes one away. ``reload``: restart apps when their files are saved.
    ``timeout``: seconds until the stack must be ready.

    Raises DevrunError when entered: ConfigError and NoProjectError for what is wrong with the project, BrokenAppError
    with the app's traceback for an app that cannot be served, NotReadyError for a stack that is not ready in time.
    """
    given = None if config is None else Path(config)
    return Running(_Wish(names, given, None if cwd is None else Path(cwd), env or {}, reload), timeout)


class _Blocking:
    """The way to a host for threads that may wait (``handles.Line``)."""

    def __init__(self, host: Host) -> None:
        self.places = host.places
        self._host = host

    def answer(self, request: Request) -> Answer:
        answer = self._host.ask(request)
        try:
            wait([answer])
        except BaseException:
            answer.cancel()
            raise
        return _result(answer)


class _Awaited:
    """The way to a host from within a loop (``handles.AsyncLine``)."""

    def __init__(self, host: Host) -> None:
        self.places = host.places
        self._host = host

    async def answer(self, request: Request) -> Answer:
        answer = self._host.ask(request)
        try:
            await _until_done(answer)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        return _result(answer)


def _result(answer: Future[Answer]) -> Answer:
    try:
        return answer.result(0)
    except CancelledError:
        raise down() from None
    except DevrunError as error:  # where in devrun it was noticed explains nothing
        raise error.with_traceback(None) from None


async def _until_done(future: Future[Any]) -> None:
    """Wait in the running loop, which may end before the future is done: ``wrap_future`` would complain then."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(tell)
    await done.wait()


async def _end(host: Host) -> None:
    """Take the stack down, however often this task is cancelled meanwhile: by anyio in every turn of the loop."""
    host.stop()
    ended = asyncio.ensure_future(_until_done(host.ended))
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _check_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "`async with devrun.running()` needs a loop of asyncio",
            hint="elsewhere, as in trio, use the blocking form: `with devrun.running() as stack`",
        ) from None

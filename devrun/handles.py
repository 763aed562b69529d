"""What a program holds of a stack that runs: ``Stack`` and, to be awaited, ``AsyncStack``; and of each part an app.

Asks a launcher, near or far, and puts its answers into Python. Starts and ends nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from devrun.control.asking import Answer
from devrun.control.protocol import AskLogs, AskRestart, AskWait, Request
from devrun.errors import UnknownNameError
from devrun.firsts import ONE_AT_A_TIME
from devrun.outcomes import check_well
from devrun.outputs.lines import log_line
from devrun.outputs.text import plain_text
from devrun.plan import Endpoint

__tracebackhide__ = True
"""For pytest: what went wrong went wrong in the test, or in the app."""

PATIENCE = 60.0
"""Seconds until something that should be ready is given up."""


class Places(Protocol):
    """Where a stack is. ``names``: of its apps, its commands and what it refers to."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def endpoints(self) -> Mapping[str, Endpoint]: ...

    @property
    def variables(self) -> dict[str, str]: ...


class Line(Protocol):
    """The way to a launcher, for a thread that may wait. Raises DevrunError."""

    @property
    def places(self) -> Places: ...

    def answer(self, request: Request) -> Answer: ...


class AsyncLine(Protocol):
    """The way to a launcher, from within a loop. Raises DevrunError."""

    @property
    def places(self) -> Places: ...

    async def answer(self, request: Request) -> Answer: ...


_Line = TypeVar("_Line", Line, AsyncLine)


class _Place(Generic[_Line]):
    def __init__(self, name: str, line: _Line) -> None:
        self.name = name
        self._line: _Line = line

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def url(self) -> str:
        """Where it is reached, without a slash at the end: ``http://127.0.0.1:41507``."""
        return self._endpoint.url

    @property
    def ws_url(self) -> str:
        """The same for a WebSocket: ``ws://127.0.0.1:41507``."""
        return self._endpoint.ws_url

    @property
    def host(self) -> str:
        """An address that a client can connect to."""
        return self._endpoint.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._endpoint.port

    @property
    def _endpoint(self) -> Endpoint:
        endpoint = self._line.places.endpoints.get(self.name)
        if endpoint is None:
            raise UnknownNameError(f"{self.name} listens nowhere")
        return endpoint


class _Parts(Generic[_Line]):
    def __init__(self, line: _Line) -> None:
        self._line: _Line = line

    @property
    def env(self) -> dict[str, str]:
        """The stack's variables: ``<NAME>_URL``, ``_HOST`` and ``_PORT`` of each part, and what its env files hold.

        A process that gets them, ``env={**os.environ, **stack.env}``, means this stack with all devrun commands.
        """
        return self._line.places.variables

    def __iter__(self) -> Iterator[str]:
        """The names of its apps, its commands and what it refers to."""
        return iter(self._line.places.names)

    def __contains__(self, name: object) -> bool:
        return name in self._line.places.names

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self)}>"

    def _check(self, name: str) -> str:
        names = self._line.places.names
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            known = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"
            raise UnknownNameError(f"the stack has no app {name!r}; {known}")
        return name


class LogReader:
    """Reads what has come since it was last asked."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._id: str | None = None
        self._order = 0

    def news(self) -> list[tuple[str | None, float, list[str]]]:
        """Return new lines, each batch with its app (None: devrun) and its time. Raises DevrunError."""
        answer = self._line.answer(AskLogs(after=self._order, stack=self._id))
        entries = [part for part in answer.parts if "lines" in part]
        self._id = answer.parts[0]["stack"]
        self._order = max([self._order, *(part["order"] for part in entries)])
        return [(part["app"], part["at"], [plain_text(line) for line in part["lines"]]) for part in entries]


class App(_Place[Line]):
    """An app or a command of a stack, or an external that it refers to."""

    def restart(self, *, timeout: float = PATIENCE) -> None:
        """Restart it and wait until it is ready. Raises as ``Stack.restart``."""
        Stack(self._line).restart(self.name, timeout=timeout)

    def wait_ready(self, *, timeout: float = PATIENCE) -> None:
        """Wait until it is ready. Raises as ``Stack.wait_ready``."""
        Stack(self._line).wait_ready(self.name, timeout=timeout)

    def logs(self, *, last: int | None = None) -> list[str]:
        """Return what it has printed so far, without colours; ``last``: only so many lines."""
        return _printed(self._line.answer(_own_lines(self.name, last)))


class Stack(_Parts[Line]):
    """A stack that is up: ``stack["api"].url``. Its methods wait; any thread may call them."""

    def __getitem__(self, name: str) -> App:
        """The part of this name. Raises UnknownNameError, which is a KeyError, with the nearest name."""
        return App(self._check(name), self._line)

    def restart(self, *names: str, timeout: float = PATIENCE) -> None:
        """Restart these apps and commands (none: all apps) and wait until they are ready.

        Raises BrokenAppError with the app's traceback if one cannot be served, NotReadyError after ``timeout`` seconds.
        """
        _check_well(self._line.answer(AskRestart(names, timeout)).data, timeout)

    def wait_ready(self, *names: str, timeout: float = PATIENCE) -> None:
        """Wait until these apps and commands (none: all) are ready.

        Raises BrokenAppError with the app's traceback if one cannot be served, NotReadyError after ``timeout`` seconds.
        """
        _check_well(self._line.answer(AskWait(names, timeout, or_broken=True)).data, timeout)

    def logs(self, *names: str, last: int | None = None) -> list[str]:
        """Return the lines of these apps (none: of all, and of devrun) as `devrun up --plain` prints them."""
        return _named(self._line.answer(_lines(names, last)))

    def log_reader(self) -> LogReader:
        """Return a reader for somebody who asks again and again."""
        return LogReader(self._line)


class AsyncApp(_Place[AsyncLine]):
    """As ``App``, with methods to be awaited."""

    async def restart(self, *, timeout: float = PATIENCE) -> None:
        """Restart it and wait until it is ready. Raises as ``AsyncStack.restart``."""
        await AsyncStack(self._line).restart(self.name, timeout=timeout)

    async def wait_ready(self, *, timeout: float = PATIENCE) -> None:
        """Wait until it is ready. Raises as ``AsyncStack.wait_ready``."""
        await AsyncStack(self._line).wait_ready(self.name, timeout=timeout)

    async def logs(self, *, last: int | None = None) -> list[str]:
        """Return what it has printed so far, without colours; ``last``: only so many lines."""
        return _printed(await self._line.answer(_own_lines(self.name, last)))


class AsyncStack(_Parts[AsyncLine]):
    """As ``Stack``, with methods to be awaited, in any loop of asyncio."""

    def __getitem__(self, name: str) -> AsyncApp:
        """The part of this name. Raises UnknownNameError, which is a KeyError, with the nearest name."""
        return AsyncApp(self._check(name), self._line)

    async def restart(self, *names: str, timeout: float = PATIENCE) -> None:
        """Restart these apps and commands (none: all apps) and wait until they are ready.

        Raises BrokenAppError with the app's traceback if one cannot be served, NotReadyError after ``timeout`` seconds.
        """
        _check_well((await self._line.answer(AskRestart(names, timeout))).data, timeout)

    async def wait_ready(self, *names: str, timeout: float = PATIENCE) -> None:
        """Wait until these apps and commands (none: all) are ready.

        Raises BrokenAppError with the app's traceback if one cannot be served, NotReadyError after ``timeout`` seconds.
        """
        _check_well((await self._line.answer(AskWait(names, timeout, or_broken=True))).data, timeout)

    async def logs(self, *names: str, last: int | None = None) -> list[str]:
        """Return the lines of these apps (none: of all, and of devrun) as `devrun up --plain` prints them."""
        return _named(await self._line.answer(_lines(names, last)))


def _check_well(answer: Mapping[str, Any], seconds: float) -> None:
    with ONE_AT_A_TIME:
        check_well(answer, seconds)


def _own_lines(name: str, last: int | None) -> AskLogs:
    return AskLogs((name,), notices=False, last=last)


def _lines(names: tuple[str, ...], last: int | None) -> AskLogs:
    return AskLogs(names or None, notices=not names, last=last)


def _printed(answer: Answer) -> list[str]:
    return [plain_text(line) for part in answer.parts if "lines" in part for line in part["lines"]]


def _named(answer: Answer) -> list[str]:
    return [
        log_line(part["app"] or "devrun", line) for part in answer.parts if "lines" in part for line in part["lines"]
    ]

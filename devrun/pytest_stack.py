"""What the pytest plugin does once a fixture is used: brings or finds the stack, and tells people what went wrong.

A door like the command line. Knows pytest's public names alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from devrun.borrowing import borrowed
from devrun.control.asking import running_in
from devrun.embedding import running
from devrun.errors import DevrunError, NoProjectError, NoStackError, UsageError
from devrun.handles import PATIENCE, LogReader, Stack
from devrun.project import Project, addressed, find

__tracebackhide__ = True
"""For pytest: what went wrong went wrong in the test, or in the app."""

QUIET_SECONDS = 0.2
"""An app answers before it prints the traceback: all is there when nothing has come for so long."""
MOST_SECONDS = 1.0
POLL_SECONDS = 0.02

_NOT_FOR_APPS = {"PYTEST_CURRENT_TEST": None}
"""They see many tests."""


@contextmanager
def stack_of(config: pytest.Config, options: Mapping[str, Any]) -> Generator[Stack]:
    """Have the stack that pytest's options and the fixture's ask for. What goes wrong is an outcome of pytest's."""
    with ExitStack() as opened:
        try:
            project = _project(config)
            stack = opened.enter_context((_reused if _reuses(config) else _fresh)(project, **options))
        except DevrunError as error:
            _give_up(config, error)
        config.pluginmanager.register(_LogSections(stack.log_reader()))
        yield stack


def check_up(config: pytest.Config) -> None:
    """Raise pytest.UsageError if there is no stack to reuse."""
    try:
        running_in(_addressed(_project(config)))
    except DevrunError as error:
        raise pytest.UsageError(_reuse_text(error)) from None


def url_in(stack: Stack, name: str | None) -> str:
    """Return the URL of an app, or of the only one. Raises UsageError."""
    if name is not None:
        return stack[name].url
    names = tuple(stack)
    if len(names) != 1:
        raise UsageError(f"the stack has more than one app: devrun_url({names[0]!r}), or {', '.join(names[1:])}")
    return stack[names[0]].url


@contextmanager
def _fresh(
    project: Project, *, names: tuple[str, ...] = (), env: Mapping[str, str | None] | None = None, **options: Any
) -> Generator[Stack]:
    with running(*names, config=project.config, env={**_NOT_FOR_APPS, **(env or {})}, **options) as stack:
        yield stack


@contextmanager
def _reused(
    project: Project, *, env: Mapping[str, str | None] | None = None, timeout: float = PATIENCE, **options: Any
) -> Generator[Stack]:
    """Have a stack that somebody else has started, with options of his."""
    environ = {name: value for name, value in {**os.environ, **(env or {})}.items() if value is not None}
    yield borrowed(_addressed(project), environ, timeout)


def _addressed(project: Project) -> Project:
    """Within `devrun run` that stack is meant."""
    return addressed(project, os.environ.get("DEVRUN_STACK", ""))


def _reuses(config: pytest.Config) -> bool:
    return bool(config.getoption("devrun") == "reuse")


def _project(config: pytest.Config) -> Project:
    """The project of the folder that pytest was started in, if its tests are there; of its root folder otherwise."""
    here, root = config.invocation_params.dir, config.rootpath
    given = config.getoption("devrun_config")
    if given is not None:
        return find(here, Path(given))
    inside = here.is_relative_to(root)
    with suppress(NoProjectError):
        return find(here if inside else root)
    return find(root if inside else here)


def _give_up(config: pytest.Config, error: DevrunError) -> NoReturn:
    """End the run where a stack that was asked for by name is not there; fail the tests that need it otherwise."""
    missing = _reuses(config) and isinstance(error, NoStackError | NoProjectError)
    if missing and not hasattr(config, "workerinput"):  # a worker of xdist ends no run
        pytest.exit(_reuse_text(error), returncode=pytest.ExitCode.USAGE_ERROR)
    failure = pytest.fail.Exception("\n".join(filter(None, (f"devrun: {error}", error.hint))), pytrace=False)

    def shorten() -> None:
        failure.msg = f"devrun: {error.message} (as told above)"

    config.pluginmanager.register(_Once(failure, shorten))
    raise failure from None


def _reuse_text(error: DevrunError) -> str:
    return f"--devrun=reuse: {'; '.join(filter(None, (error.message, error.hint)))}"


class _Once:
    """Shortens a failure that has been told: every test that needs the stack ends with the same one."""

    def __init__(self, failure: BaseException, shorten: Callable[[], None]) -> None:
        self._failure = failure
        self._shorten = shorten
        self._told = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None and call.excinfo.value is self._failure:
            if self._told:
                self._shorten()
            self._told = True


class _LogSections:
    """Puts what the apps have printed during a test into its report when it fails."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._since = time.time()

    def pytest_runtest_logstart(self) -> None:
        self._since = time.time()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is None or call.excinfo.errisinstance((pytest.skip.Exception, pytest.xfail.Exception)):
            return
        lines: dict[str | None, list[str]] = {}
        with suppress(DevrunError):  # the stack is down by now
            for app, at, texts in self._news():
                if at >= self._since:
                    lines.setdefault(app, []).extend(texts)
        for app, texts in lines.items():
            name = "devrun" if app is None else f"devrun {app}"
            item.add_report_section(call.when, name, "".join(f"{text}\n" for text in texts))
        self._since = time.time()

    def _news(self) -> Iterator[tuple[str | None, float, list[str]]]:
        begun = quiet = time.monotonic()
        while (now := time.monotonic()) < min(begun + MOST_SECONDS, quiet + QUIET_SECONDS):
            news = self._reader.news()
            yield from news
            if news:
                quiet = now
            time.sleep(POLL_SECONDS)

"""Fixtures for tests with real processes; the driver itself is in ``tests/driver.py``."""

from __future__ import annotations

import contextlib
import signal
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.driver import Stack, clean_environ, nothing_left_of_session, write_files

pytest_plugins = ["pytester"]

ProjectBuilder = Callable[[Mapping[str, str | bytes]], Path]
StackStarter = Callable[..., Stack]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine", choices=("auto", "fork", "spawn"), default="auto", help="the engine of stacks that name none"
    )


def pytest_configure() -> None:
    """Under nohup, or in the background of a script, signals are ignored, and what is started inherits that."""
    for signum, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, usual)


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Fails the run when a process that a test started is alive after the last test."""
    with nothing_left_of_session():
        yield


@pytest.fixture
def clean_env() -> dict[str, str]:
    """The environment as on a user's machine: no settings of Python, colours or proxies."""
    return clean_environ()


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> ProjectBuilder:
    """``project({"devrun.toml": ..., "app.py": ...})`` writes a project and gives its folder."""
    engine = request.config.getoption("--engine")

    def build(files: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        config = files.get("devrun.toml")
        if engine != "auto" and isinstance(config, str) and "[reload]" not in config:
            files = {**files, "devrun.toml": f'{textwrap.dedent(config)}\n[reload]\nengine = "{engine}"\n'}
        return write_files(folder, files)

    return build


@pytest.fixture
def up() -> Iterator[StackStarter]:
    """``up(folder, *args, env=..., ...)`` starts a stack that ends with the test; several are ended last first."""
    with contextlib.ExitStack() as stacks:

        def start(folder: Path, *args: str, **options: Any) -> Stack:
            return stacks.enter_context(Stack(folder, *args, **options))

        yield start

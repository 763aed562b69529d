"""Fixtures for tests with real processes; the driver itself is in ``tests/driver.py``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.driver import Stack, clean_environ, nothing_left_of_session, write_files

ProjectBuilder = Callable[[Mapping[str, str | bytes]], Path]
StackStarter = Callable[..., Stack]


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
def project(tmp_path: Path) -> ProjectBuilder:
    """``project({"devrun.toml": ..., "app.py": ...})`` writes a project and gives its folder."""

    def build(files: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        return write_files(folder, files)

    return build


@pytest.fixture
def up() -> Iterator[StackStarter]:
    """``up(folder, *args, env=..., ...)`` starts a stack that ends with the test; several are ended last first."""
    with contextlib.ExitStack() as stacks:

        def start(folder: Path, *args: str, **options: Any) -> Stack:
            return stacks.enter_context(Stack(folder, *args, **options))

        yield start

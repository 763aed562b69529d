"""The pytest plugin: options, fixtures and hooks. Imports nothing of devrun's before a fixture is used.

What they do is in ``pytest_stack``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from devrun.handles import Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("devrun", "stacks of ASGI apps")
    group.addoption(
        "--devrun",
        choices=("fresh", "reuse"),
        default="fresh",
        help="The stack of the tests. fresh (default): a private one for each process of pytest. "
        "reuse: the one that `devrun up` has up in this project.",
    )
    group.addoption("--devrun-config", metavar="FILE", help="Another file than the nearest devrun.toml.")


@pytest.fixture(scope="session")
def devrun_stack(pytestconfig: pytest.Config) -> Iterator[Stack]:
    """The stack of the tests, with all of it ready: ``devrun_stack["api"].url``; see ``devrun.Stack``.

    A private one for each process of pytest; with ``--devrun=reuse`` the one that `devrun up` has up.
    """
    from devrun.pytest_stack import stack_of

    yield from stack_of(pytestconfig)


@pytest.fixture(scope="session")
def devrun_url(devrun_stack: Stack) -> Callable[..., str]:
    """The URL of an app of the stack: ``devrun_url("api")``; without a name that of the only app."""
    from devrun.pytest_stack import url_in

    def url(name: str | None = None) -> str:
        return url_in(devrun_stack, name)

    return url

"""The pytest plugin: options and fixtures. Loaded into every run of pytest, so it imports nothing before it is used.

What happens then is in ``pytest_stack``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from devrun.handles import Stack

__tracebackhide__ = True
"""For pytest: what went wrong went wrong in the test, or in the app."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("devrun", "the stack of the ASGI apps under test")
    group.addoption(
        "--devrun",
        choices=("fresh", "reuse"),
        default="fresh",
        help="fresh (default): a private stack for each process of pytest. reuse: the stack that `devrun up` has up "
        "in this project.",
    )
    group.addoption("--devrun-config", metavar="FILE", help="Another file than the nearest devrun.toml.")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Look for the stack to reuse before there are workers: none of them could end the run."""
    if config.getoption("devrun") == "reuse" and not config.getoption("collectonly"):
        from devrun.pytest_stack import check_up

        check_up(config)


@pytest.fixture(scope="session")
def devrun_options() -> Mapping[str, Any]:
    """What ``devrun_stack`` hands to ``devrun.running``: ``env``, ``names``, ``reload``, ``timeout``.

    For a conftest.py to define anew, with ``scope="session"``.
    """
    return {}


@pytest.fixture(scope="session")
def devrun_stack(pytestconfig: pytest.Config, devrun_options: Mapping[str, Any]) -> Iterator[Stack]:
    """The stack of the tests, all of it ready: ``devrun_stack["api"].url``. See ``devrun.Stack``.

    A private one for each process of pytest, or with ``--devrun=reuse`` the one that `devrun up` has up.
    """
    from devrun.pytest_stack import stack_of

    with stack_of(pytestconfig, devrun_options) as stack:
        yield stack


@pytest.fixture(scope="session")
def devrun_url(devrun_stack: Stack) -> Callable[..., str]:
    """The URL of an app of the stack: ``devrun_url("api")``; without a name, of the only one."""
    from devrun.pytest_stack import url_in

    def url(name: str | None = None) -> str:
        return url_in(devrun_stack, name)

    return url

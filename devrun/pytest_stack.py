"""What the pytest plugin does when a fixture is used: runs or finds the stack, and says what goes wrong to people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devrun.embedding import running
from devrun.errors import DevrunError, UsageError
from devrun.handles import Stack


def stack_of(config: pytest.Config) -> Iterator[Stack]:
    """Yield the stack that the options ask for."""
    try:
        with running(config=_config(config), cwd=_start(config)) as stack:
            yield stack
    except DevrunError as error:
        pytest.fail(f"devrun: {error}", pytrace=False)


def url_in(stack: Stack, name: str | None) -> str:
    """Return the URL of an app, or of the only one. Raises UsageError."""
    if name is not None:
        return stack[name].url
    names = tuple(stack)
    if len(names) != 1:
        raise UsageError(f"which app? the stack has {', '.join(names)}")
    return stack[names[0]].url


def _config(config: pytest.Config) -> Path | None:
    given = config.getoption("devrun_config")
    return None if given is None else config.invocation_params.dir / given


def _start(config: pytest.Config) -> Path:
    return config.invocation_params.dir

"""Stands for the running event loop while an app is imported ahead of it.

uvicorn before 0.47 imports the app inside the running loop. A process with a loop cannot be forked in the middle of an
import (its epoll instance would be shared by both), so a forked worker imports before the loop is made. An import that
uses the loop is noticed here, and done over in a process of its own.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, NoReturn


class LoopStandIn:
    """What ``asyncio.get_running_loop()`` returns during the import. ``unfit`` is told of the first use.

    Code that keeps it (as locks of Python 3.9 do) reaches the real loop through it later.
    """

    def __init__(self, unfit: Callable[[str], NoReturn]) -> None:
        self._unfit = unfit
        self._importing = False

    def __getattr__(self, name: str) -> Any:
        if self._importing:
            if name.startswith("__"):
                raise AttributeError(name)
            self._unfit(f"its import uses the event loop ({name})")
        return getattr(asyncio.get_running_loop(), name)

    def __enter__(self) -> LoopStandIn:
        self._importing = True
        self._install()
        return self

    def __exit__(self, *_: object) -> None:
        self._importing = False
        asyncio._set_running_loop(None)

    def renew(self) -> None:
        """Be the running loop again: asyncio forgets it at a fork."""
        if self._importing:
            self._install()

    def _install(self) -> None:
        asyncio._set_running_loop(self)  # type: ignore[arg-type]

"""Which variable of the environment the app's own code changes while it is imported.

``os.putenv`` and ``os.unsetenv`` are replaced meanwhile: ``os.environ`` calls them. There are audit events of both, but
an audit hook stays for the life of a process, and makes each request of a running app dearer.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from typing import Any, Callable

from .loading import asked_by
from .replaced import Replaced

_NAMES = ("putenv", "unsetenv")


class EnvironChanges:
    """``hear`` is told the name of the first variable before it is changed."""

    def __init__(self, own: Callable[[str], bool], hear: Callable[[str], None] | None = None) -> None:
        self._own = own
        self._hear = hear
        self.first: str | None = None
        """The variable that own code was the first to change."""

    @contextlib.contextmanager
    def heard(self) -> Generator[None, None, None]:
        """Hear of what is changed in this context."""
        replaced = [Replaced(name, self._about_to_change).install() for name in _NAMES]
        try:
            yield
        finally:
            for one in replaced:
                one.remove()

    def _about_to_change(self, *args: Any) -> None:
        with contextlib.suppress(Exception):  # it would come out of the app's own call
            name, value = (*map(os.fsdecode, args), None)[:2]
            # An installed module that does so while it is imported will do the same when it is preloaded.
            if name is not None and self.first is None and os.environ.get(name) != value and asked_by(self._own):
                self.first = name
                if self._hear is not None:
                    self._hear(name)

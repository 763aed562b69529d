"""Functions of ``os`` that are replaced for a while, so that somebody hears of their calls.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import copy
from typing import Any, Callable


class Replaced:
    """A function of ``os``; ``hear`` is told before, with its arguments.

    An object, for a Python function in its place would become a method where a class keeps it, as pathlib's does.
    """

    def __init__(self, name: str, hear: Callable[..., None]) -> None:
        self._function = getattr(os, name)
        self._hear = hear
        self.__name__ = self.__qualname__ = name
        self.__doc__ = self._function.__doc__

    def __call__(self, *args: Any, **options: Any) -> Any:
        self._hear(*args, **options)
        return self._function(*args, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return copy, (self._function,)  # a pickle of it means the function itself

    def install(self) -> Replaced:
        """Take its place, also in the sets that say what it can do. Return itself."""
        setattr(os, self.__name__, self)
        for abilities in _abilities():
            if self._function in abilities:
                abilities.add(self)
        return self

    def remove(self) -> None:
        """Give the place back, unless somebody else has it by now."""
        if getattr(os, self.__name__) is self:
            setattr(os, self.__name__, self._function)


def _abilities() -> Iterator[set[Any]]:
    for name in ("supports_dir_fd", "supports_effective_ids", "supports_fd", "supports_follow_symlinks"):
        found = getattr(os, name, None)
        if isinstance(found, set):
            yield found

"""The random generators that packages make for themselves while they are imported ahead of the apps.

``random`` seeds its own one anew in every forked process, and no other: what ``random.Random()`` has made at the top of
a package would give all workers the same numbers. One that was given a seed, or a state, is meant to.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import weakref
from collections.abc import Container, Generator
from typing import Any


class Generators:
    """Those that were made while they were ``heard``, and that nobody has given a seed. Each has a number.

    What a class derived from ``Random`` keeps besides the state of that is left alone.
    """

    def __init__(self) -> None:
        # Weak: one that is given up has to end, and whoever waits for that has to hear of it.
        self._unseeded: dict[int, weakref.ref[Any]] = {}
        self._kind: Any = None
        self._listening = False

    @contextlib.contextmanager
    def heard(self) -> Generator[None, None, None]:
        """Hear in this context of each generator that is made or seeded."""
        kind = self._kind = importlib.import_module("random").Random
        before: dict[str, Any] = {name: vars(kind)[name] for name in ("seed", "setstate")}
        heard = {name: self._hearing(function) for name, function in before.items()}
        for name, function in heard.items():
            setattr(kind, name, function)
        self._listening = True
        try:
            yield
        finally:
            self._listening = False
            for name, function in heard.items():
                if vars(kind)[name] is function:
                    setattr(kind, name, before[name])
            self._unseeded = {number: one for number, one in self._unseeded.items() if one() is not None}

    def _hearing(self, function: Any) -> Any:
        @functools.wraps(function)
        def hearing(one: Any, *args: Any, **options: Any) -> None:
            function(one, *args, **options)
            if self._listening:  # else somebody has kept this one, as a method
                given = args[0] if args else options.get("a", options.get("state"))
                if given is None:
                    self._unseeded[id(one)] = weakref.ref(one)
                else:
                    self._unseeded.pop(id(one), None)

        return hearing

    def states(self) -> dict[object, Any]:
        """Return the state of each, by its number."""
        return {number: self._kind.getstate(one) for number, one in self._there()}

    def seed(self, kept: Container[object] = ()) -> None:
        """Seed each anew, except those whose number is in ``kept``."""
        for number, one in self._there():
            if number not in kept:
                self._kind.seed(one)

    def _there(self) -> list[tuple[int, Any]]:
        found = ((number, reference()) for number, reference in self._unseeded.items())
        return [(number, one) for number, one in found if one is not None]

"""The global random generators of a process that is forked: neither the same numbers twice, nor a seed forgotten.

``random`` seeds itself anew in every forked child, numpy does not. A generator that the app's own code has used or
seeded keeps its state in a resumed checkpoint: it is as it would be after a fresh import.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import sys
from typing import Any


class Chance:
    """Made in a worker before the app is imported."""

    def __init__(self) -> None:
        _seed_numpy()
        self._fresh = _states()
        self._kept: dict[str, Any] = {}

    def park(self) -> None:
        """Before a fork in the middle of the import: keep what is not as it was at the start."""
        self._kept = {name: state for name, state in _states().items() if state != self._fresh.get(name)}

    def resume(self) -> None:
        """After that fork, in the child."""
        _seed_numpy()
        for name, state in self._kept.items():
            _generator(name).set_state(state) if name == "numpy.random" else _generator(name).setstate(state)
        self._fresh = {name: state for name, state in _states().items() if name not in self._kept}


def _generator(name: str) -> Any:
    return sys.modules.get(name)


def _states() -> dict[str, Any]:
    states: dict[str, Any] = {}
    if _generator("random") is not None:
        states["random"] = _generator("random").getstate()
    if _generator("numpy.random") is not None:
        name, key, *rest = _generator("numpy.random").get_state()
        states["numpy.random"] = (name, tuple(key.tolist()), *rest)
    return states


def _seed_numpy() -> None:
    if _generator("numpy.random") is not None:
        _generator("numpy.random").seed()

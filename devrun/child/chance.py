"""The random generators of a process that is forked: neither the same numbers twice, nor a seed forgotten.

``random`` seeds itself anew in every forked child; numpy does not, nor do the ``Generators`` of packages. One that the
app's own code has used or seeded keeps its state in a resumed checkpoint: it is as it would be after a fresh import.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import sys
from typing import Any

from .generators import Generators


class Chance:
    """Made in a worker before the app is imported."""

    def __init__(self, generators: Generators) -> None:
        self._generators = generators
        _seed_numpy()
        generators.seed()
        self._fresh = self._states()
        self._kept: dict[object, Any] = {}

    def park(self) -> None:
        """Before a fork in the middle of the import: keep what is not as it was at the start."""
        self._kept = {key: state for key, state in self._states().items() if state != self._fresh.get(key)}

    def resume(self) -> None:
        """After that fork, in the child."""
        _seed_numpy()
        self._generators.seed(self._kept)  # those that are kept have their state still
        for name, state in self._kept.items():
            if isinstance(name, str):
                _generator(name).set_state(state) if name == "numpy.random" else _generator(name).setstate(state)
        self._fresh = {key: state for key, state in self._states().items() if key not in self._kept}

    def _states(self) -> dict[object, Any]:
        return {**_global_states(), **self._generators.states()}


def _generator(name: str) -> Any:
    return sys.modules.get(name)


def _global_states() -> dict[object, Any]:
    states: dict[object, Any] = {}
    if _generator("random") is not None:
        states["random"] = _generator("random").getstate()
    if _generator("numpy.random") is not None:
        name, key, *rest = _generator("numpy.random").get_state()
        states["numpy.random"] = (name, tuple(key.tolist()), *rest)
    return states


def _seed_numpy() -> None:
    if _generator("numpy.random") is not None:
        _generator("numpy.random").seed()

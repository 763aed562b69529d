"""How long a pause ends a burst of changes: a save, a formatter at work, a checkout of another branch.

Pure: times are given. Knows no files and no watcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

# A save is at most SAVE_PATHS (backup, temporary file, the file itself); more at once are a checkout or a formatter,
# which are over after a pause. BURST_QUIET is longer than an opener may hold back a stream of changes (watchfiles:
# DEBOUNCE_MS and a step).
SAVE_PATHS = 4
SOME_QUIET = 0.025
BURST_PATHS = 10
BURST_QUIET = 0.1
BURST_MOST = 1.0
# Other files within FOLLOW of the last that were told, or the same while the app is not up again, are a slow
# formatter: to start anew for each would be in vain. It is done when it pauses for SOME_QUIET.
FOLLOW = 0.1


class Pace:
    """Which of the changes that are told belong together."""

    def __init__(self) -> None:
        self._told_at = -FOLLOW
        self._told: Set[str] = frozenset()
        self._starting: set[str] = set()

    def told(self, now: float, keys: Set[str], apps: Iterable[str]) -> None:
        """These apps are about to start anew."""
        self._told_at = now
        self._told = keys
        self._starting.update(apps)

    def settled(self, app: str) -> None:
        self._starting.discard(app)

    def quiet(self, began: float, at_once: int, keys: Set[str]) -> float:
        """The pause in seconds, when up to ``at_once`` paths are heard together and ``keys`` concern an app."""
        if at_once >= BURST_PATHS:
            return BURST_QUIET
        follows = bool(keys) and began < self._told_at + FOLLOW
        follows = follows and bool(self._starting or keys - self._told)
        return SOME_QUIET if follows or at_once > SAVE_PATHS else 0.0

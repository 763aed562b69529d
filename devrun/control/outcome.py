"""When what was asked for has happened, seen in a snapshot. Pure."""

from __future__ import annotations

from devrun.state import AppState, Backoff, Blocked, Broken, Halted, Serving


def has_arrived(state: AppState) -> bool:
    """A start or restart has come to its end, good or bad."""
    return is_ready(state) or is_broken(state) or isinstance(state.phase, Halted)


def is_ready(state: AppState) -> bool:
    return isinstance(state.phase, Serving)


def is_broken(state: AppState) -> bool:
    """It is not ready, and will not be unless somebody mends something."""
    return isinstance(state.phase, (Broken, Backoff, Blocked))


def is_gone(state: AppState) -> bool:
    """Nothing of it runs."""
    return isinstance(state.phase, Halted) and not state.leaving

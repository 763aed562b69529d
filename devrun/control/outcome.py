"""When what was asked for has happened, seen in a snapshot. Pure."""

from __future__ import annotations

from devrun import command
from devrun.state import AppState, Backoff, Blocked, Broken, CommandState, Ended, Halted, Off, Resting, Serving

Part = AppState | CommandState


def has_arrived(state: Part) -> bool:
    """A start or restart has come to its end, good or bad."""
    return is_ready(state) or is_broken(state) or isinstance(state.phase, (Halted, Off))


def is_ready(state: Part) -> bool:
    """It serves, and not in a debugger, where no save is applied; of a command: it runs, or has done its work."""
    if isinstance(state, CommandState):
        return command.is_ready(state.phase)
    return isinstance(state.phase, Serving) and state.pause is None


def is_broken(state: Part) -> bool:
    """It is not ready, and will not be unless somebody mends something, or lets it run on from a `breakpoint()`."""
    if isinstance(state, AppState) and state.pause is not None:
        return True
    if isinstance(state.phase, Ended):
        return state.phase.code != 0
    return isinstance(state.phase, (Broken, Backoff, Blocked, Resting))


def is_gone(state: Part) -> bool:
    """Nothing of it runs."""
    return isinstance(state.phase, (Halted, Off)) and not state.leaving

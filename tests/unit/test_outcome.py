"""When what was asked for has happened: to an app, and to a command."""

from __future__ import annotations

import msgspec
import pytest

from devrun.control.outcome import has_arrived, is_broken, is_gone, is_ready
from devrun.events import Failure, Run
from devrun.outputs.status import AppStatus, Outcome, read_outcome
from devrun.state import (
    AppState,
    Broken,
    CommandPhase,
    CommandState,
    Cycle,
    Ended,
    Halted,
    Importing,
    Launching,
    Off,
    Pause,
    Phase,
    Resting,
    Running,
    Serving,
    Waiting,
)

RUN = Run("x", 1)
CYCLE = Cycle("start", 0.0)


@pytest.mark.parametrize(
    ("phase", "ready", "broken", "gone"),
    [
        (Waiting(()), False, False, False),
        (Serving(RUN, 7, 1.0), True, False, False),
        (Broken(RUN, 7, Failure("import", "oops", "oops"), 1.0), False, True, False),
        (Halted(RUN, 7), False, False, True),
    ],
)
def test_an_app(phase: Phase, ready: bool, broken: bool, gone: bool) -> None:
    state = AppState("x", phase)
    assert (is_ready(state), is_broken(state), is_gone(state)) == (ready, broken, gone)
    assert has_arrived(state) == (ready or broken or gone)
    assert not is_gone(AppState("x", phase, leaving=(RUN,)))


def test_an_app_in_a_debugger_needs_somebody() -> None:
    for phase in (Serving(RUN, 7, 1.0), Importing(RUN, 7, CYCLE)):
        state = AppState("x", phase, pause=Pause("main.py:3"))
        assert (is_ready(state), is_broken(state), has_arrived(state)) == (False, True, True)


@pytest.mark.parametrize(
    ("phase", "ready", "broken", "gone"),
    [
        (Launching(RUN, 7, CYCLE), False, False, False),
        (Running(RUN, 7, CYCLE, 1.0), True, False, False),
        (Ended(0, 1.0), True, False, False),
        (Ended(3, 1.0), False, True, False),
        (Resting(RUN, 1, 1.0, 2.0), False, True, False),
        (Off(), False, False, True),
    ],
)
def test_a_command(phase: CommandPhase, ready: bool, broken: bool, gone: bool) -> None:
    state = CommandState("x", phase)
    assert (is_ready(state), is_broken(state), is_gone(state)) == (ready, broken, gone)
    assert has_arrived(state) == (ready or broken or gone)


def test_an_outcome_is_read_back() -> None:
    outcome = Outcome(0.5, (AppStatus("web", "running", None, None, None, kind="command"),))
    assert read_outcome(msgspec.to_builtins(outcome)) == outcome

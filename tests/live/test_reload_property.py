"""After every reload an app shows exactly what a fresh interpreter shows of the same files.

Random projects and random edits, each on a real stack; ``tests/live/reload`` says of what kinds. This is the short
form, the same in every run. The long form takes other examples each time:

    python -m tests.live.reload --steps 2000 --engine fork

``RELOAD_ENGINE=spawn`` in the environment tries another engine than the default.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.live.reload.examples import Tally, explore, run_example

EXAMPLES, STEPS = 7, 12


@pytest.mark.timeout(600)
def test_every_reload_is_as_good_as_a_fresh_start() -> None:
    tally = Tally()
    how = settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    engine = os.environ.get("RELOAD_ENGINE")
    explore(how, lambda source: run_example(source, (STEPS, STEPS), tally, engine))
    print(tally.summary())
    assert tally.steps >= 60
    assert len(tally.kinds) >= 10, "the edits are too much alike"

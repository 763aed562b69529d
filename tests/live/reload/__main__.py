"""The long form of the property test: ``python -m tests.live.reload --steps 2000 --seed 1 --engine fork``.

Goes on until so many edit steps are done, then prints what they were. A failing example is shrunk and told in full.
"""

from __future__ import annotations

import argparse
import random
import time

from hypothesis import HealthCheck, Phase, settings

from tests.driver import nothing_left_of_session
from tests.live.reload.examples import Tally, explore, run_example


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.live.reload", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="edit steps to do at least")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--engine", choices=("auto", "fork", "spawn"), default=None)
    parser.add_argument("--length", type=int, default=40, help="edit steps of one example at most")
    parser.add_argument("--no-shrink", action="store_true", help="show the first failure as it is")
    options = parser.parse_args()
    chosen = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {chosen}, engine {options.engine or 'as by default'}", flush=True)
    tally, begun = Tally(), time.monotonic()
    try:
        with nothing_left_of_session():
            _run(tally, options, chosen)
    finally:
        print(f"{tally.summary()}\nall of it took {time.monotonic() - begun:.0f} s", flush=True)


def _run(tally: Tally, options: argparse.Namespace, chosen: int) -> None:
    how = settings(
        max_examples=options.steps,
        deadline=None,
        database=None,
        phases=(Phase.generate,) if options.no_shrink else (Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )

    def example(source: random.Random) -> None:
        run_example(source, (1, options.length), tally, options.engine)

    explore(how, example, chosen=chosen, enough=lambda: tally.steps >= options.steps)


if __name__ == "__main__":
    main()

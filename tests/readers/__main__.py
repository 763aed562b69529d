"""``python -m tests.readers [VALUES] [CHOICES]``: many random values through every reader, then for choices of readers.

Prints the readers with their versions, and every value that one of them misread; the exit code is 1 then.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devrun.consumers import EVERYBODY, Consumers
from tests.readers.packages import bring
from tests.readers.reading import Bench, accepted
from tests.readers.roster import roster
from tests.readers.values import choices, values

BATCH = 400


def main() -> int:
    amount, rounds = (int(text) for text in [*sys.argv[1:3], "8000", "100"][:2])
    packages = bring(Path(tempfile.gettempdir(), "devrun-readers"))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        readers = roster(packages, home)
        for reader in readers:
            print(f"{reader.label}{f': SKIPPED: {reader.missing}' if reader.read is None else ''}")
        bench = Bench(Path(folder), readers)
        wrong = [
            *_round(bench, st.just(EVERYBODY), -(-amount // BATCH)),
            *_round(bench, choices, rounds),
        ]
    print("\n".join(wrong) or "every value that was not refused came back")
    return 1 if wrong else 0


def _round(bench: Bench, who: st.SearchStrategy[Consumers], examples: int) -> list[str]:
    wrong: list[str] = []
    taken = given_count = 0

    @settings(
        deadline=None,
        max_examples=examples,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.lists(values, min_size=BATCH, max_size=BATCH), who)
    def run(texts: list[str], consumers: Consumers) -> None:
        nonlocal taken, given_count
        written = accepted(texts, consumers)
        taken, given_count = taken + len(written), given_count + len(set(texts))
        wrong.extend(bench.misread(written, consumers))

    run()
    print(f"{examples} files, {taken} values written of {given_count}, {len(wrong)} misread")
    return wrong


sys.exit(main())

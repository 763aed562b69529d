"""From a save to the first answer of the new code: devrun against uvicorn, granian, hypercorn, fastapi, uvicorn-hmr.

    python -m tests.benchmarks.reload
    python -m tests.benchmarks.reload --rounds 1 --edits 2 --apps bare,small --sides devrun,uvicorn
    python -m tests.benchmarks.reload --engines fork,spawn --json

The clock starts just before the write and stops when the answer of the new code is read. Meanwhile a client asks
without rest, each time over a new connection; every connection that is refused, reset or left hanging is counted, and
so is every 5xx. Only the servers of the side whose turn it is are alive. A turn is: start, wait until all answer, then
for each file the warm-up edits and the measured ones. In each round every side has its turn for an app, before the next
round begins; one app comes after the other.
"""

from __future__ import annotations

import random
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.benchmarks.asking import Change, NotReadyError, Versions, change
from tests.benchmarks.environment import prepare
from tests.benchmarks.projects import SAMPLES, Place, Sample
from tests.benchmarks.reports import (
    Goal,
    Series,
    circumstances,
    parser,
    positive,
    publish,
    ratio,
    say,
    scratch,
    show_ratio,
    turned,
)
from tests.benchmarks.servers import Running, Side, sides, started, write_project

BASE = "uvicorn --reload"
SETTLED = 1.0
"""Seconds between the first answer and the first edit: granian begins to watch a little after it answers."""
JITTER = 0.25
"""Seconds by which a pause may be longer, so that no edit keeps step with the ticks of a tool that polls."""
LOST = 2
"""Edits in a row that bring no new answer until a turn is given up."""


class Results:
    """Every edit that was measured, by app, place and side."""

    def __init__(self) -> None:
        self.changes: dict[tuple[str, str, str], list[Change]] = {}
        self.warmups: dict[tuple[str, str, str], list[Change]] = {}
        self.failures: list[str] = []

    def series(self, sample: str, place: str, side: str) -> Series:
        """Seconds of the edits that were answered."""
        found = self.changes.get((sample, place, side), [])
        return Series([one.seconds for one in found if one.seconds is not None])

    def errors(self, sample: str, side: str, place: str | None = None) -> Counter[str]:
        """What went wrong on the connections, the warm-up edits included."""
        total: Counter[str] = Counter()
        for kept in (self.changes, self.warmups):
            for (in_sample, at, of), changes in kept.items():
                if (in_sample, of) == (sample, side) and place in (None, at):
                    for one in changes:
                        total += one.errors
        return total

    def lost(self, sample: str, side: str, place: str | None = None) -> int:
        """Edits after which the new code never answered."""
        keys = [key for key in self.changes if key[0] == sample and key[2] == side and place in (None, key[1])]
        return sum(one.seconds is None for key in keys for one in (*self.changes[key], *self.warmups[key]))


def main() -> None:
    """Measure and print."""
    options = _options()
    environment = prepare(options.venv)
    engines = options.engines or [options.engine]
    chosen = [side for side in sides(environment, engines) if _wanted(side, options.sides)]
    results = Results()
    samples = [SAMPLES[name]() for name in options.apps]
    with scratch() as folder:
        for sample in samples:
            able = [side for side in chosen if sample.fastapi or not side.fastapi_only]
            for side in able:
                write_project(Path(folder, sample.name, side.name), sample, environment, side.engine)
            versions = Versions()
            for number in range(options.rounds):
                for side in turned(able, number):
                    say(f"{sample.name}, round {number + 1} of {options.rounds}: {side.name}")
                    _turn(Path(folder, sample.name, side.name), sample, side, versions, options, results)
    goals = list(_goals(results, samples, chosen))
    document = {
        "benchmark": "reload",
        **circumstances(environment),
        "settings": {key: getattr(options, key) for key in ("rounds", "edits", "warmups", "pause", "alternate")},
        "results": list(_rows(results, samples, chosen)),
        "failures": results.failures,
    }
    tables = [_table(results, sample, chosen) for sample in samples]
    publish(document, tables, _caption(options), goals, options.json)


def _options() -> Namespace:
    options: ArgumentParser = parser(__doc__, rounds=3)
    options.add_argument("--edits", type=positive, default=5, help="measured edits of a file in a turn (%(default)s)")
    options.add_argument("--warmups", type=int, default=2, help="edits of a file before those (%(default)s)")
    options.add_argument("--pause", type=float, default=1.0, help="seconds between an answer and a save (%(default)s)")
    options.add_argument("--patience", type=float, default=20.0, help="seconds until an edit is lost (%(default)s)")
    options.add_argument("--alternate", action="store_true", help="edit the files in turn, not one after the other")
    options.add_argument("--apps", type=_names, default=list(SAMPLES), help=f"of {','.join(SAMPLES)}")
    options.add_argument("--sides", type=_names, default=[], help="devrun, uvicorn, granian, ... (all)")
    options.add_argument("--engines", type=_names, default=[], help="devrun with each of these: auto,fork,spawn")
    found = options.parse_args()
    if unknown := [name for name in found.apps if name not in SAMPLES]:
        options.error(f"no app is named {unknown[0]!r}; known: {', '.join(SAMPLES)}")
    return found


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _wanted(side: Side, names: Sequence[str]) -> bool:
    return not names or side.name in names or side.name.split()[0] in names


def _turn(folder: Path, sample: Sample, side: Side, versions: Versions, options: Namespace, results: Results) -> None:
    """Start one side, edit all its places, stop it. What goes wrong is noted; the others still have their turn."""
    try:
        with started(lambda: side.make(folder, sample), sample.places[0].path) as running:
            time.sleep(SETTLED)
            _edit(folder, sample, side, running, versions, options, results)
    except NotReadyError as error:
        results.failures.append(f"{sample.name}, {side.name}: {error}")
        say(f"{side.name} failed: {error}")


def _edit(
    folder: Path,
    sample: Sample,
    side: Side,
    running: Running,
    versions: Versions,
    options: Namespace,
    results: Results,
) -> None:
    lost = 0
    for place, warming in _order(sample.places, options):
        time.sleep(options.pause + random.uniform(0, JITTER))
        found = change(folder / place.file, versions.next(), running.ports, place.path, options.patience)
        key = (sample.name, place.name, side.name)
        results.changes.setdefault(key, [])
        results.warmups.setdefault(key, [])
        (results.warmups if warming else results.changes)[key].append(found)
        lost = lost + 1 if found.seconds is None else 0
        if lost == LOST:
            raise NotReadyError(f"{lost} edits of {place.file} brought nothing new\n{running.last_words()}")


def _order(places: Sequence[Place], options: Namespace) -> Iterator[tuple[Place, bool]]:
    """Each place to edit, and whether that is a warm-up."""
    if options.alternate:
        for number in range(options.warmups + options.edits):
            yield from ((place, number < options.warmups) for place in places)
    else:
        for place in places:
            yield from ((place, number < options.warmups) for number in range(options.warmups + options.edits))


def _rows(results: Results, samples: Sequence[Sample], chosen: Sequence[Side]) -> Iterator[dict[str, Any]]:
    for sample in samples:
        for place in sample.places:
            base = results.series(sample.name, place.name, BASE)
            for side in chosen:
                if (sample.name, place.name, side.name) in results.changes:
                    seconds = results.series(sample.name, place.name, side.name)
                    yield {
                        "app": sample.name,
                        "edit": place.name,
                        "side": side.name,
                        "seconds": seconds.json(),
                        "times_faster_than_uvicorn": ratio(base, seconds),
                        "errors": dict(results.errors(sample.name, side.name, place.name)),
                        "lost": results.lost(sample.name, side.name, place.name),
                    }


def _caption(options: Namespace) -> str:
    order = "in turn" if options.alternate else "one file after the other"
    return (
        f"ms from save to new answer: median (min-max) of {options.rounds} turns of {options.edits} edits a file, "
        f"{order}, {options.pause:g} s apart, after {options.warmups} warm-up edits of each file on every side. Only "
        f"the measured side is alive. x: times faster than {BASE}. Errors and lost edits: those of the warm-up too."
    )


def _table(results: Results, sample: Sample, chosen: Sequence[Side]) -> Table:
    table = Table(title=f"Save to new answer: {sample.title}", title_justify="left")
    table.add_column("")
    for place in sample.places:
        table.add_column(f"{place.name} [ms]", justify="right")
        table.add_column("x", justify="right")
    table.add_column("connection errors", justify="right")
    table.add_column("lost edits", justify="right")
    for side in chosen:
        if not any((sample.name, place.name, side.name) in results.changes for place in sample.places):
            continue
        cells: list[str] = []
        for place in sample.places:
            seconds = results.series(sample.name, place.name, side.name)
            faster = ratio(results.series(sample.name, place.name, BASE), seconds)
            cells += [seconds.show(1000), show_ratio(faster)]
        errors = results.errors(sample.name, side.name)
        told = ", ".join(f"{count} {name}" for name, count in sorted(errors.items())) or "0"
        table.add_row(side.name, *cells, told, str(results.lost(sample.name, side.name)))
    return table


def _goals(results: Results, samples: Sequence[Sample], chosen: Sequence[Side]) -> Iterator[Goal]:
    """What a run is to show of devrun; of the spawn engine only that it loses nothing."""
    for side in (side for side in chosen if side.engine):
        for sample in samples:
            for place in sample.places if side.engine != "spawn" else ():
                yield from _speed_goals(results, sample, place, side)
            wrong = results.errors(sample.name, side.name).total() + results.lost(sample.name, side.name)
            measured = any((sample.name, place.name, side.name) in results.changes for place in sample.places)
            text = f"{side.name}, {sample.name}: no connection error, no lost edit"
            yield Goal(text, wrong if measured else None, wrong == 0)


def _speed_goals(results: Results, sample: Sample, place: Place, side: Side) -> Iterator[Goal]:
    wanted = {"leaf": [(BASE, 10.0), ("granian --reload", 4.0)], "middle": [(BASE, 3.0)]}.get(place.name, [])
    if sample.name in ("bare", "small"):
        wanted = [*wanted, ("uvicorn-hmr", 1.0)]
    own = results.series(sample.name, place.name, side.name)
    for other, least in wanted:
        faster = ratio(results.series(sample.name, place.name, other), own)
        text = f"{side.name}, {sample.name}, {place.name}: at least {least:g} times faster than {other}"
        yield Goal(text, faster, faster is not None and faster >= least)


if __name__ == "__main__":
    main()

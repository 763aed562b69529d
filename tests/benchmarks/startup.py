"""``devrun up`` against honcho with as many ``uvicorn --reload``: how soon all is there, and what it costs when idle.

    python -m tests.benchmarks.startup
    python -m tests.benchmarks.startup --rounds 1 --counts 1,5 --idle 3

Measured from the start of the command: until ``.env`` is on disk (devrun), and until every app has answered 200. "cold"
is devrun without what it remembers of earlier runs (no ``.devrun/cache``), "with the record" the run after that; byte
code is there for all, from one start of each side that is not measured. Then nobody asks anything: the proportional
memory (PSS) and the processor time of all processes of the side together. One side is alive at a time; in each round,
every side has its turn.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.table import Table

from tests.benchmarks.asking import NotReadyError
from tests.benchmarks.environment import Environment, prepare
from tests.benchmarks.projects import Sample, many
from tests.benchmarks.reports import (
    Goal,
    Series,
    circumstances,
    parser,
    publish,
    ratio,
    say,
    scratch,
    show_ratio,
    turned,
)
from tests.benchmarks.servers import Honcho, Running, Stack, write_project

COLD, RECORD, HONCHO = "devrun, cold", "devrun, with the record", "honcho, uvicorn --reload"
PATH = "/imported"
SETTLED = 3.0
"""Seconds between the last first answer and the idle time: what follows a start is over then."""
EXTRA = 5
"""Most milliseconds by which ``.env`` may be later with 20 apps than with 1, besides a quarter."""


@dataclass(slots=True)
class Figures:
    """What was measured of one side with one number of apps. Seconds, bytes; processor time is a share of one CPU."""

    told: Series = field(default_factory=Series)
    ahead: Series = field(default_factory=Series)
    """From ``.env`` to the begin of the first import; negative if that was before."""
    ready: Series = field(default_factory=Series)
    memory: Series = field(default_factory=Series)
    processor: Series = field(default_factory=Series)
    processes: Series = field(default_factory=Series)

    def json(self) -> dict[str, Any]:
        """All figures by name."""
        return {name: getattr(self, name).json() for name in self.__dataclass_fields__}


Key = tuple[int, str]


def main() -> None:
    """Measure and print."""
    options = _options()
    environment = prepare(options.venv)
    figures: dict[Key, Figures] = {}
    failures: list[str] = []
    with scratch() as folder:
        for count in options.counts:
            sample = many(count)
            ours = write_project(Path(folder, f"devrun-{count}"), sample, environment, options.engine)
            theirs = write_project(Path(folder, f"honcho-{count}"), sample, environment)
            for number in range(-1, options.rounds):  # the first turn is not counted
                kept = figures if number >= 0 else {}
                for group in turned([[COLD, RECORD], [HONCHO]], max(number, 0)):
                    for side in group:
                        say(f"{count} apps, round {number + 1} of {options.rounds}: {side}")
                        at = kept.setdefault((count, side), Figures())
                        idle = options.idle if number >= 0 else 0
                        with _noted(failures, f"{count} apps, {side}"):
                            _turn(side, theirs if side == HONCHO else ours, sample, environment, at, idle)
    document = {
        "benchmark": "startup",
        **circumstances(environment),
        "settings": {"rounds": options.rounds, "counts": options.counts, "idle": options.idle},
        "results": [{"apps": count, "side": side, **found.json()} for (count, side), found in figures.items()],
        "failures": failures,
    }
    tables = [_table(figures, options.counts)]
    publish(document, tables, _caption(options), list(_goals(figures, options.counts)), options.json)


def _options() -> Namespace:
    options: ArgumentParser = parser(__doc__, rounds=3)
    options.add_argument("--counts", type=_numbers, default=[1, 5, 10, 20], help="numbers of apps (1,5,10,20)")
    options.add_argument("--idle", type=float, default=10.0, help="seconds of the idle time (%(default)s); 0: none")
    return options.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


@contextlib.contextmanager
def _noted(failures: list[str], what: str) -> Iterator[None]:
    """Note a side that did not come up, and go on."""
    try:
        yield
    except NotReadyError as error:
        failures.append(f"{what}: {error}")
        say(f"{what} failed: {error}")


def _turn(side: str, folder: Path, sample: Sample, environment: Environment, figures: Figures, idle: float) -> None:
    if side == COLD:
        shutil.rmtree(folder / ".devrun" / "cache", ignore_errors=True)
    running = Honcho(folder, sample, environment) if side == HONCHO else Stack(folder, sample, "--plain")
    with running:
        if isinstance(running, Stack):
            running.wait_told()
            written = (folder / ".env").stat().st_mtime
        answers = running.wait_ready(PATH)
        figures.ready.values.append(time.perf_counter() - running.begun)
        if isinstance(running, Stack):
            figures.told.values.append(running.told - running.begun)
            figures.ahead.values.append(min(float(answer) for answer in answers.values()) - written)
        if idle:
            time.sleep(SETTLED)
            _rest(running, figures, idle)


def _rest(running: Running, figures: Figures, idle: float) -> None:
    """Measure what the side takes while nobody asks anything."""
    processes = running.tree()
    before = {process.pid: cpu_seconds(process) for process in processes}
    begun = time.perf_counter()
    time.sleep(idle)
    after = {process.pid: cpu_seconds(process) for process in running.tree()}
    passed = time.perf_counter() - begun
    used = sum(spent - before.get(pid, 0.0) for pid, spent in after.items())
    figures.processor.values.append(used / passed)
    figures.processes.values.append(len(processes))
    figures.memory.values.append(sum(proportional_memory(process) for process in processes))


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time that a process has used so far, user and system; 0 when it has gone."""
    try:
        # In nanoseconds, a file for each thread; the times of ps are counted in hundredths of a second.
        tasks = list(Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
        if tasks:
            return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    except OSError:  # a thread ended
        pass
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def proportional_memory(process: psutil.Process) -> int:
    """Bytes of a process, where a page that several share counts in part (PSS); Linux only, elsewhere its own pages."""
    with contextlib.suppress(psutil.Error):
        found = process.memory_full_info()
        return int(getattr(found, "pss", found.uss))
    return 0


def _caption(options: Namespace) -> str:
    return (
        f"Median (min-max) of {options.rounds} starts, after one that is not counted; one side alive at a time. ready: "
        "every app has answered 200. ahead: from .env on disk to the first line of the first app. Memory (PSS) and "
        f"processor time (of one CPU) of all processes of the side, over {options.idle:g} s in which nobody asks. "
        "x: honcho's figure over this."
    )


def _table(figures: dict[Key, Figures], counts: Sequence[int]) -> Table:
    table = Table(title="From the command to all ready, and what it costs when idle", title_justify="left")
    table.add_column("apps", justify="right")
    table.add_column("side")
    for heading in (".env [ms]", "ahead [ms]", "ready [s]", "x", "memory [MiB]", "x", "CPU idle [%]", "x", "processes"):
        table.add_column(heading, justify="right")
    for count in counts:
        base = figures.get((count, HONCHO), Figures())
        for side in (COLD, RECORD, HONCHO):
            found = figures.get((count, side), Figures())
            table.add_row(
                str(count),
                side,
                found.told.show(1000),
                found.ahead.show(1000),
                found.ready.show(1, 2),
                show_ratio(ratio(base.ready, found.ready)),
                found.memory.show(1 / 2**20),
                show_ratio(ratio(base.memory, found.memory)),
                found.processor.show(100, 2),
                show_ratio(ratio(base.processor, found.processor)),
                str(int(found.processes.median or 0)),
            )
        table.add_section()
    return table


def _goals(figures: dict[Key, Figures], counts: Sequence[int]) -> Iterator[Goal]:
    if 10 in counts:
        own, base = figures[10, RECORD], figures[10, HONCHO]
        yield _at_least("10 apps with the record: ready 3 times sooner than honcho", ratio(base.ready, own.ready), 3)
        yield _at_least("10 apps with the record: a quarter of the memory", ratio(base.memory, own.memory), 4)
        yield _at_least("10 apps with the record: less idle processor time", ratio(base.processor, own.processor), 1)
    for (count, side), found in figures.items():
        if found.ahead.values:
            least = min(found.ahead.values) * 1000
            yield Goal(f"{count} apps, {side}: .env is there before the first app imports [ms ahead]", least, least > 0)
    few, lots = min(counts), max(counts)
    one, many_ = figures[few, RECORD].told.median, figures[lots, RECORD].told.median
    if few != lots and one and many_:
        text = f".env with {lots} apps as soon as with {few} (at most a quarter and {EXTRA} ms later) [times]"
        yield Goal(text, many_ / one, many_ <= one * 1.25 + EXTRA / 1000)


def _at_least(text: str, value: float | None, least: float) -> Goal:
    return Goal(text, value, value is not None and value >= least)


if __name__ == "__main__":
    main()

"""Requests a second through a devrun worker against plain uvicorn, with the same app, packages and settings.

    python -m tests.benchmarks.throughput
    python -m tests.benchmarks.throughput --starts 2 --seconds 1 --apps bare

Both servers are asked in turn, the one that is first changing from pair to pair; and started several times, for where
a process happens to have its objects makes it up to 2 % faster or slower, for all of its life. Keep-alive
connections, from ``wrk`` (Debian: apt-get install wrk) where it is there, else from a small Python program. uvicorn's
access log is measured both on and off: on, every line goes through a pipe, which for uvicorn this program reads, and
for devrun the launcher, which passes it on to this program.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.benchmarks import load
from tests.benchmarks.asking import Versions, change
from tests.benchmarks.environment import Environment, prepare
from tests.benchmarks.projects import SAMPLES, Sample
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
)
from tests.benchmarks.servers import Peers, Running, Stack, started, write_project

DEVRUN, PLAIN = "devrun", "uvicorn"
LEAST = 0.98
PATIENCE = 30.0
"""Seconds that a save may take to be answered."""

Key = tuple[str, bool]
"""An app, and whether the access log is on."""


def main() -> None:
    """Measure and print."""
    options = _options()
    environment = prepare(options.venv)
    generator = None if options.python else shutil.which("wrk")
    pairs: dict[Key, dict[str, Series]] = {}
    with scratch() as folder:
        for name in options.apps:
            for log in (True, False):
                at = pairs.setdefault((name, log), {DEVRUN: Series(), PLAIN: Series()})
                where = Path(folder, f"{name}-{'log' if log else 'quiet'}")
                _measure(where, SAMPLES[name](), log, environment, generator, options, at)
    document = {
        "benchmark": "throughput",
        **circumstances(environment),
        "settings": {name: getattr(options, name) for name in ("starts", "edits", "rounds", "seconds", "connections")},
        "generator": "wrk" if generator else "python",
        "results": [_row(key, found) for key, found in pairs.items()],
    }
    caption = (
        f"Requests a second: median (min-max) of {options.rounds} pairs of {options.seconds} s each, in turn, "
        f"of each of {options.starts} starts of both, {options.edits} edits before, over "
        f"{options.connections} keep-alive connections, asked by {document['generator']}; ratio of the medians; pairs: "
        "the median (min-max) of the ratios within a pair."
    )
    publish(document, [_table(pairs)], caption, list(_goals(pairs)), options.json)


def _options() -> Namespace:
    options: ArgumentParser = parser(__doc__, rounds=2)
    options.add_argument("--starts", type=positive, default=6, help="of both sides (%(default)s)")
    options.add_argument("--seconds", type=positive, default=2, help="of one block (%(default)s)")
    options.add_argument("--edits", type=int, default=0, help="saved before: a worker then goes on from a checkpoint")
    options.add_argument("--connections", type=positive, default=16, help="kept alive (%(default)s)")
    options.add_argument("--python", action="store_true", help="ask with the Python program, also where wrk is there")
    options.add_argument("--apps", type=lambda text: text.split(","), default=["bare", "small"], help="(bare,small)")
    return options.parse_args()


def _measure(
    folder: Path,
    sample: Sample,
    log: bool,
    environment: Environment,
    generator: str | None,
    options: Namespace,
    found: dict[str, Series],
) -> None:
    settings: dict[str, bool | str] = {} if log else {"access_log": False}
    ours = write_project(folder / "devrun", sample, environment, options.engine, settings)
    theirs = write_project(folder / "uvicorn", sample, environment)
    flags = [] if log else ["--no-access-log"]

    def plain() -> Running:
        command = [environment.program("uvicorn")]
        return Peers(theirs, sample, lambda app, port: [*command, app, "--port", str(port), *flags], environment.bin)

    place = sample.places[0]
    versions = Versions()
    for start in range(options.starts):
        say(f"{sample.name}, access log {'on' if log else 'off'}: start {start + 1} of {options.starts}")
        with ExitStack() as stack:
            running = {
                DEVRUN: stack.enter_context(started(lambda: Stack(ours, sample, "--plain"), place.path)),
                PLAIN: stack.enter_context(started(plain, place.path)),
            }
            for _ in range(options.edits):
                change(ours / place.file, versions.next(), running[DEVRUN].ports, place.path, PATIENCE)
            ports = {side: next(iter(up.ports.values())) for side, up in running.items()}
            for number in range(-1, options.rounds):  # the first pair warms up
                for side in [DEVRUN, PLAIN] if (start + number) % 2 else [PLAIN, DEVRUN]:
                    rate = _rate(generator, ports[side], place.path, options)
                    if number >= 0:
                        found[side].values.append(rate)


def _rate(generator: str | None, port: int, path: str, options: Namespace) -> float:
    """Answers a second of one block. Raises RuntimeError when an answer was not 200 or a connection broke."""
    if generator is None:
        command = [sys.executable, load.__file__, str(port), path, str(options.connections), str(options.seconds)]
        return float(subprocess.check_output(command, text=True))
    url = f"http://127.0.0.1:{port}{path}"
    command = [generator, "-t1", f"-c{options.connections}", f"-d{options.seconds}s", url]
    said = subprocess.check_output(command, text=True)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"not everything was answered:\n{said}")
    return float(rate[1])


def _quotients(found: dict[str, Series]) -> Series:
    return Series([one / other for one, other in zip(found[DEVRUN].values, found[PLAIN].values, strict=True)])


def _row(key: Key, found: dict[str, Series]) -> dict[str, Any]:
    app, log = key
    return {
        "app": app,
        "access_log": log,
        **{side: series.json() for side, series in found.items()},
        "ratio": ratio(found[DEVRUN], found[PLAIN]),
        "ratio_of_pairs": statistics.median(_quotients(found).values),
    }


def _table(pairs: dict[Key, dict[str, Series]]) -> Table:
    table = Table(title="Requests a second", title_justify="left")
    for heading in ("app", "access log", "devrun", "uvicorn", "ratio", "pairs"):
        table.add_column(heading, justify="left" if heading in ("app", "access log") else "right")
    for (app, log), found in pairs.items():
        shown = show_ratio(ratio(found[DEVRUN], found[PLAIN]), 3)
        rates = [found[side].show() for side in (DEVRUN, PLAIN)]
        table.add_row(SAMPLES[app]().title, "on" if log else "off", *rates, shown, _quotients(found).show(1, 3))
    return table


def _goals(pairs: dict[Key, dict[str, Series]]) -> Iterator[Goal]:
    for (app, log), found in pairs.items():
        value = ratio(found[DEVRUN], found[PLAIN])
        text = f"{app}, access log {'on' if log else 'off'}: at least {LEAST} of plain uvicorn"
        yield Goal(text, value, value is not None and value >= LEAST)


if __name__ == "__main__":
    main()

"""How long the light commands take: ``devrun url api`` of a running stack against ``python -c pass``.

    python -m tests.benchmarks.light

Both with the interpreter that runs the benchmark, in turn, the one that is first changing from pair to pair.
Exits with 2 when this devrun has no such command.
"""

from __future__ import annotations

import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

from rich.table import Table

from tests.benchmarks.environment import prepare
from tests.benchmarks.projects import bare
from tests.benchmarks.reports import Goal, Series, circumstances, parser, publish, ratio, scratch, show_ratio
from tests.benchmarks.servers import Stack, started, write_project
from tests.driver import clean_environ

MOST = 3.0


def main() -> None:
    """Measure and print."""
    options: Namespace = parser(__doc__, rounds=30).parse_args()
    # The command that a user types, without the cost of running a module.
    program = Path(sys.executable).with_name("devrun")
    light = [str(program), "url", "api"]
    nothing = [sys.executable, "-c", "pass"]
    _require(program)
    environment = prepare(options.venv)
    ours, theirs = Series(), Series()
    with scratch() as folder:
        sample = bare()
        project = write_project(Path(folder, "project"), sample, environment, options.engine)
        with started(lambda: Stack(project, sample, "--plain"), sample.places[0].path) as running:
            url = f"http://127.0.0.1:{running.ports['api']}\n"
            for number in range(-2, options.rounds):  # two pairs to warm up
                pair = [(light, ours, url), (nothing, theirs, "")]
                for command, series, expected in pair if number % 2 else reversed(pair):
                    seconds = _run(command, project, expected)
                    if number >= 0:
                        series.values.append(seconds)
    value = ratio(ours, theirs)
    document = {
        "benchmark": "light",
        **circumstances(None),
        "settings": {"rounds": options.rounds},
        "results": {"devrun url api": ours.json(), "python -c pass": theirs.json(), "ratio": value},
    }
    table = Table(title="Start of a light command", title_justify="left")
    table.add_column("")
    table.add_column("ms", justify="right")
    table.add_column("x", justify="right")
    table.add_row("python -c pass", theirs.show(1000, 1), show_ratio(1.0, 2))
    table.add_row("devrun url api", ours.show(1000, 1), show_ratio(value, 2))
    caption = f"Median (min-max) of {options.rounds} runs each, in turn, after two that are not counted."
    goal = Goal(f"devrun url api takes at most {MOST:g} times as long", value, value is not None and value <= MOST)
    publish(document, [table], caption, [goal], options.json)


def _require(program: Path) -> None:
    """End with 2 when there is nothing to measure."""
    if not program.exists():
        print(f"there is no {program}: install devrun where this interpreter finds it", file=sys.stderr)
        raise SystemExit(2)
    tried = subprocess.run([program, "url", "--help"], env=clean_environ(), capture_output=True, text=True)
    if tried.returncode != 0:
        print(f"this devrun has no command `url` yet; nothing is measured: {tried.stderr.strip()}", file=sys.stderr)
        raise SystemExit(2)


def _run(command: list[str], folder: Path, expected: str) -> float:
    """Seconds of one run. Raises RuntimeError when it does not print what it should."""
    environ = clean_environ()
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode != 0 or done.stdout != expected:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}, {done.stdout!r}, {done.stderr!r}")
    return seconds


if __name__ == "__main__":
    main()

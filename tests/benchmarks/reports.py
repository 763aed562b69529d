"""What all benchmarks have in common at both ends: options, where and when it was measured, tables, JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psutil
from rich.console import Console
from rich.table import Table

from devrun import __version__
from tests.benchmarks.environment import Environment, default_path

T = TypeVar("T")

WIDTH = 160
"""Columns of a table where standard output is no terminal."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that the run was to show. ``value`` is the figure that it showed; None when it was not measured."""

    text: str
    value: float | None
    reached: bool

    @property
    def verdict(self) -> bool | None:
        """Whether it was reached; None when it was not measured."""
        return None if self.value is None else self.reached


class Series:
    """The figures of one cell."""

    def __init__(self, values: Sequence[float] = ()) -> None:
        self.values = list(values)

    @property
    def median(self) -> float | None:
        """The middle; None when nothing was measured."""
        return statistics.median(self.values) if self.values else None

    def show(self, scale: float = 1.0, digits: int = 0) -> str:
        """Median and range, each times ``scale``."""
        if not self.values:
            return "-"
        low, middle, high = (
            f"{value * scale:,.{digits}f}" for value in (min(self.values), self.median or 0.0, max(self.values))
        )
        return f"{middle} ({low}-{high})"

    def json(self) -> dict[str, Any]:
        """All figures and what is made of them."""
        values = [round(value, 6) for value in self.values]
        if not values:
            return {"median": None, "min": None, "max": None, "values": []}
        return {"median": statistics.median(values), "min": min(values), "max": max(values), "values": values}


def ratio(one: Series, other: Series) -> float | None:
    """The median of one side over that of the other."""
    if one.median is None or not other.median:
        return None
    return one.median / other.median


def show_ratio(value: float | None, digits: int = 1) -> str:
    """``4.2x``."""
    return "-" if value is None else f"{value:.{digits}f}x"


def parser(doc: str | None, rounds: int) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true", help="print one JSON document")
    options.add_argument("--rounds", type=positive, default=rounds, help="turns of every side (%(default)s)")
    options.add_argument(
        "--venv", type=Path, default=default_path(), help="environment of the peers, made if need be (%(default)s)"
    )
    options.add_argument("--engine", choices=["auto", "fork", "spawn"], default="auto", help="of devrun (%(default)s)")
    return options


def positive(text: str) -> int:
    """An option's whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def say(text: str) -> None:
    """Tell on standard error how far it is."""
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for the projects of one run."""
    return tempfile.TemporaryDirectory(prefix="devrun-benchmark-", ignore_cleanup_errors=True)


def turned(items: Sequence[T], by: int) -> list[T]:
    """The same order, begun ``by`` items later, so that no side is always the first."""
    at = by % len(items)
    return [*items[at:], *items[:at]]


def circumstances(environment: Environment | None) -> dict[str, Any]:
    """The machine, the versions, the command and the day."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": command(),
        "machine": {
            "cpus": os.cpu_count(),
            "cpu": _cpu(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
            "load": os.getloadavg()[0],
        },
        "versions": {
            "python": platform.python_version(),
            "devrun": __version__,
            **(environment.versions() if environment else {}),
        },
    }


def command() -> str:
    """How this run was asked for."""
    spec = sys.modules["__main__"].__spec__
    return " ".join(["python", "-m", spec.name if spec else sys.argv[0], *sys.argv[1:]])


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def publish(
    document: dict[str, Any], tables: Sequence[Table], caption: str, goals: Sequence[Goal], as_json: bool
) -> None:
    """Print the result: one JSON document, or the tables and what they mean."""
    if as_json:
        rows = [{"goal": goal.text, "value": goal.value, "reached": goal.verdict} for goal in goals]
        print(json.dumps({**document, "caption": caption, "goals": rows}, indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
    for table in tables:
        console.print(table)
    console.print(f"{caption}\n")
    for goal in goals:
        if goal.value is not None:
            console.print(f"{'reached' if goal.reached else 'MISSED '}  {goal.text}: {goal.value:.2f}")
    machine, versions = document["machine"], document["versions"]
    console.print(
        f"\n$ {document['command']}\n{document['date']}, {machine['cpus']} CPUs ({machine['cpu']}), "
        f"{machine['memory_gib']} GiB, {machine['system']}, load {machine['load']:.1f} at the end; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
    )

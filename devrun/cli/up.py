"""``devrun up``: the stack in the foreground."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from devrun.api import Stack, Terminal
from devrun.cli.reading import read_plan
from devrun.plan import Plan
from devrun.planning import Choices
from devrun.project import Project, find


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
@click.option("--no-reload", is_flag=True, help="Do not restart apps when their files change.")
@click.option("--json", "json_lines", is_flag=True, help="Print one JSON object a line.")
@click.option("--plain", is_flag=True, help="Print plain lines, also on a terminal.")
def up(names: tuple[str, ...], config: Path | None, no_reload: bool, json_lines: bool, plain: bool) -> int:
    """Start the stack, or the named apps and compounds and what they depend on.

    \b
    devrun up              everything in devrun.toml
    devrun up api          the app api, and what it depends on
    devrun up --plain      one line an event, for scripts and editors
    """
    if json_lines and plain:
        raise click.UsageError("--json and --plain exclude each other")
    project = find(Path.cwd(), config)
    plan = read_plan(project, Choices(names, reload=not no_reload))
    mode = "json" if json_lines else "plain" if plain else "auto"
    return asyncio.run(run(plan, project, mode))

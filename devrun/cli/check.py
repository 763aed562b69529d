"""``devrun check``: says all that is wrong with devrun.toml and starts nothing."""

from __future__ import annotations

from pathlib import Path

import click

from devrun.cli.reading import here, read_plan
from devrun.lock import repair
from devrun.planning import Choices
from devrun.project import find


@click.command(short_help="Say all that is wrong with devrun.toml.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def check(config: Path | None) -> None:
    """Read devrun.toml and say all that is wrong with it, without starting anything.

    The mistakes go to standard error, one a line, and the exit code is 2.
    """
    project = find(here(), config)
    for complaint in repair(project):
        click.echo(f"warning: {complaint}", err=True)
    plan = read_plan(project, Choices())
    count = len(plan.apps)
    click.echo(f"{project.config.name}: no mistakes: {count} {'app' if count == 1 else 'apps'}")

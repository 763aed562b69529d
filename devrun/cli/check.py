"""``devrun check``: says all that is wrong with devrun.toml and starts nothing."""

from __future__ import annotations

from pathlib import Path

import click

from devrun.cautions import cautions
from devrun.cli.reading import here, read_plan
from devrun.lock import repair
from devrun.plan import Endpoint
from devrun.planning import Choices, command_environments
from devrun.project import find
from devrun.publishing import wanted


@click.command(short_help="Say all that is wrong with devrun.toml.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def check(config: Path | None) -> None:
    """Read devrun.toml and say all that is wrong with it, without starting anything.

    The mistakes go to standard error, one a line, and the exit code is 2. What is no mistake, but would keep a program
    from seeing the right address, is a warning.

    \b
    devrun check && git commit
    """
    project = find(here(), config)
    for complaint in repair(project):
        click.echo(f"warning: {complaint}", err=True)
    plan = read_plan(project, Choices())
    for warning in plan.warnings:
        click.echo(f"warning: {warning}", err=True)
    # What the addresses will be is not known yet; that they are the same here and there is.
    endpoints = {name: Endpoint(name, "127.0.0.1", 0) for name in (*plan.apps, *plan.commands, *plan.externals)}
    environments = command_environments(plan, endpoints)
    for caution in cautions(wanted(plan, endpoints), project, plan.environ, environments):
        click.echo(f"warning: {caution}", err=True)
    counts = [(len(plan.apps), "app"), (len(plan.commands), "command"), (len(plan.externals), "external")]
    found = ", ".join(f"{count} {noun if count == 1 else noun + 's'}" for count, noun in counts if count)
    click.echo(f"{project.config.name}: no mistakes: {found}")

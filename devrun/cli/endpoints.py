"""``devrun url`` and ``devrun port`` with their help and their errors; ``light`` answers when all is well."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from devrun.cli.asking import running_stack
from devrun.cli.completing import stack_names
from devrun.errors import UsageError
from devrun.outputs.writer import shown
from devrun.plan import Endpoint

_CONFIG = click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")


@click.command(short_help="Print the URL of an app.")
@click.argument("name", shell_complete=stack_names)
@_CONFIG
def url(name: str, config: Path | None) -> None:
    """Print the URL of an app of the running stack, and nothing else.

    \b
    curl "$(devrun url api)/items"
    """
    click.echo(_endpoint(name, config).url)


@click.command(short_help="Print the port of an app.")
@click.argument("name", shell_complete=stack_names)
@_CONFIG
def port(name: str, config: Path | None) -> None:
    """Print the port of an app of the running stack, and nothing else.

    \b
    npm run dev -- --port "$(devrun port web)"
    """
    click.echo(_endpoint(name, config).port)


def _endpoint(name: str, config: Path | None) -> Endpoint:
    _, stack = running_stack(config)
    endpoints = {endpoint.name: endpoint for endpoint in stack.endpoints}
    if name in endpoints:
        return endpoints[name]
    near = difflib.get_close_matches(name, endpoints, 1)
    known = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(endpoints)}"
    raise UsageError(f"the running stack has no app {shown(repr(name))}; {known}")

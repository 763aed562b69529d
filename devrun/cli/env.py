"""``devrun env``: prints the variables of the running stack, for shells and other programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import click

from devrun.cli.asking import running_stack
from devrun.errors import UsageError
from devrun.naming import refuses_name
from devrun.outputs.shells import Format, render
from devrun.variables import injected

_FORMATS = get_args(Format)


@click.command(short_help="Print the variables of the running stack.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="dotenv", help="Default: dotenv.")
@click.option("--prefix", default="", metavar="P", help="Put in front of every name: VITE_ gives VITE_API_URL.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def env(form: Format, prefix: str, config: Path | None) -> None:
    """Print NAME_URL, NAME_HOST and NAME_PORT of every app of the running stack.

    The exit code is 3 when no stack is running.

    \b
    eval "$(devrun env --format shell)"                                 sh, bash, zsh
    devrun env --format fish | source                                   fish
    devrun env --format powershell | Out-String | Invoke-Expression     PowerShell
    devrun env --prefix VITE_ > frontend/.env.local                     a file of your own
    devrun env --format json | jq -r .API_URL                           a program
    """
    if prefix and refuses_name(prefix):
        raise UsageError(f"--prefix {prefix!r} cannot begin a name", hint="letters, digits and _, no digit first")
    _, stack = running_stack(config)
    variables = injected({endpoint.name: endpoint for endpoint in stack.endpoints})
    text = render({prefix + name: value for name, value in variables.items()}, form)
    click.echo(os.fsencode(text), nl=False)

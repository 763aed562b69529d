"""``devrun schema``: prints the JSON Schema of devrun.toml."""

from __future__ import annotations

import click

from devrun.schema import schema_text


@click.command(short_help="Print the JSON Schema of devrun.toml.")
def schema() -> None:
    """Print the JSON Schema of devrun.toml, for editors and other tools.

    \b
    devrun schema > devrun.schema.json
    """
    click.echo(schema_text(), nl=False)

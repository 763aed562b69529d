"""``devrun status``: how the running stack is."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Group

from devrun.cli.asking import ask_stack
from devrun.cli.everywhere import show_all
from devrun.cli.look import is_terminal, look
from devrun.cli.painter import painted
from devrun.cli.strange import strangers_of
from devrun.errors import DevrunError, NoStackError
from devrun.outputs.details import details
from devrun.outputs.status import read
from devrun.outputs.table import Room, listing

PIPE_WIDTH = 1000
"""Cells of a line where nobody's screen bounds it: what a program or an agent reads is not cut."""
WRAP_WIDTH = 120
"""Cells after which lists are wrapped all the same."""


@click.command(short_help="Show how the running stack is.")
@click.option("-v", "--verbose", is_flag=True, help="Tell of engines, preloaded modules, checkpoints and memory, too.")
@click.option("--all", "every", is_flag=True, help="Show every stack of yours on this machine, by folder and branch.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def status(verbose: bool, every: bool, as_json: bool, config: Path | None) -> None:
    """Show the state, the URL and the process of every app of the running stack.

    Found from any folder inside the project. The exit code is 3 when no stack is running.

    \b
    devrun status          the table
    devrun status -v       how workers are started, and what takes how much memory
    devrun status --json   for programs
    devrun status --all    every stack of yours on this machine
    """
    if every:
        if verbose or config is not None:
            raise click.UsageError("--all goes with --json alone")
        show_all(as_json=as_json)
        return
    try:
        answer = ask_stack(config, "status", verbose=verbose)
    except NoStackError as error:
        told = [str(stranger) for stranger in strangers_of(config)]
        raise NoStackError("\n".join([error.message, *told]), hint=error.hint) from None
    found = strangers_of(config)
    if as_json:
        rest = {"strangers": [{**msgspec.to_builtins(one.claim), "found": one.found} for one in found]}
        click.echo(json.dumps({**answer, **rest}, separators=(",", ":")))
        return
    for stranger in found:
        click.echo(f"warning: {stranger}", err=True)
    try:
        stack = read(answer)
    except ValueError as error:
        raise DevrunError(
            f"the launcher tells its status in a way that is not known here: {error}",
            hint="is it another version of devrun? restart it",
        ) from None
    how = look(sys.stdout, os.environ)
    width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else PIPE_WIDTH
    room = Room(width, unicode=how.unicode)
    lines = listing(stack, room)
    if stack.details is not None:
        ports = {app.name: app.debug_port for app in stack.apps if app.debug_port is not None}
        lines += details(stack.details, ports, stack.folder, min(width, WRAP_WIDTH))
    for line in painted(Group(*lines), how, room, crop=False):
        click.echo(line.encode(how.encoding, "replace"))  # of bytes it takes no colour away

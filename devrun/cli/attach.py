"""``devrun attach``: the prompt of the debugger that an app has stopped in."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from devrun.cli.asking import running_stack
from devrun.cli.completing import stack_names
from devrun.cli.debugging import Conversation
from devrun.control.asking import refusal
from devrun.control.client import LauncherError, NobodyListensError, attach_to
from devrun.errors import NoStackError


@click.command(short_help="Open the debugger of an app that has stopped at a breakpoint().")
@click.argument("name", shell_complete=stack_names)
@click.option("--stack", metavar="ID", help="The private stack of a `devrun run`: its DEVRUN_STACK.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def attach(name: str, stack: str | None, config: Path | None) -> None:
    """Open the debugger (pdb) of an app whose code has come to a `breakpoint()`.

    c lets the app go on, q, Ctrl-D and closing the terminal leave the debugger: the app runs on after all of them.
    Saves wait until then. The exit code is 1 when the app has not stopped, or somebody else is attached.

    \b
    devrun attach api
    """
    project, _ = running_stack(config, stack)
    try:
        data, console = attach_to(str(project.state_dir), name)
    except LauncherError as error:
        raise refusal(error.code, error.said) from None
    except NobodyListensError:
        raise NoStackError("the stack is going down", hint="try again in a moment") from None
    with console:
        click.echo(f"{name} has stopped at {data['place']}; c goes on, q or Ctrl-D leaves", err=True)
        Conversation(console, sys.stdout).hold()
    click.echo(f"{name} runs on", err=True)

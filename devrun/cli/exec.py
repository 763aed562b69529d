"""``devrun exec``: a command with the variables of the running stack."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import click

from devrun.cli.asking import running_stack
from devrun.cli.child_command import ChildCommand, check
from devrun.cli.restarting import Restarting
from devrun.plan import Endpoint
from devrun.variables import injected


@click.command(
    "exec",
    short_help="Run a command with the variables of the running stack.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--restart", is_flag=True, help="Restart CMD when the addresses of the stack change.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
def execute(restart: bool, config: Path | None, command: tuple[str, ...]) -> int:
    """Run CMD with NAME_URL, NAME_HOST and NAME_PORT of every app of the running stack in its environment.

    CMD takes the place of devrun: signals and the terminal are its own, and the exit code is CMD's. With --restart
    devrun stays, and starts CMD anew when the stack has come up again elsewhere. The exit code is 3 when no stack is
    running.

    \b
    devrun exec -- pytest tests/e2e
    devrun exec --restart -- npm run dev
    """
    project, record = running_stack(config)
    environ = variables(os.environ, record.endpoints)
    check(command, environ)
    if restart:
        return asyncio.run(
            Restarting(project, command, lambda found: variables(os.environ, found)).run(record.endpoints)
        )
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with suppress(OSError):  # the other way finds it again, and tells what is wrong
        os.execvpe(command[0], command, environ)
    return asyncio.run(ChildCommand(command, environ).run())


def variables(environ: Mapping[str, str], endpoints: Iterable[Endpoint]) -> dict[str, str]:
    """Return ``environ`` with the variables of these endpoints.

    Without DEVRUN_STACK, by which the guard knows what is to end with the stack: the command is none of it.
    """
    return {**environ, **injected({endpoint.name: endpoint for endpoint in endpoints}), "DEVRUN": "1"}

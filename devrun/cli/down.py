"""``devrun down``: the running stack goes down, and the command returns when all of it is gone."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import click

from devrun.cli.asking import running_stack
from devrun.control.asking import ask_launcher
from devrun.errors import NoStackError
from devrun.events import StackDown
from devrun.lock import is_alive, is_held
from devrun.outputs.lines import line
from devrun.outputs.statefile import StackRecord
from devrun.project import Project


@click.command(short_help="Take the running stack down.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def down(config: Path | None) -> None:
    """Take the running stack down, and wait until all of it is gone: its processes, its lines in env files, its lock.

    Apps get their grace to end. The exit code is 3 when no stack is running.

    \b
    devrun down && devrun up -d
    """
    project, record = running_stack(config)
    _ask(project, record)
    while is_held(project) or is_alive(record):
        time.sleep(0.01)
    click.echo(line(StackDown()))


def _ask(project: Project, record: StackRecord) -> None:
    try:
        ask_launcher(project, record, "down", {})
    except NoStackError:
        # It goes down already, or there could be no socket where it is. Whoever holds the lock began when the record
        # says: no other process that has got its number since is meant.
        if is_held(project) and is_alive(record):
            with suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGTERM)

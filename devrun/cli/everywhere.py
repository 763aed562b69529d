"""``devrun status --all``: every stack of this user on this machine."""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from rich.console import Group

from devrun.cli.look import look
from devrun.cli.painter import painted
from devrun.control.client import NobodyListensError, ask
from devrun.errors import DevrunError
from devrun.outputs.stacks import StackLine, document, listing
from devrun.outputs.statefile import StackRecord
from devrun.outputs.status import AppStatus, read
from devrun.outputs.table import Room
from devrun.registry import stacks
from devrun.worktree import branch_of

PATIENCE = 2.0
"""Seconds that a launcher may take for its answer: one that hangs must not hide the others."""
WIDTH = 10_000
"""Cells of a line: no folder is cut."""


def show_all(*, as_json: bool) -> None:
    """Print them."""
    found = stacks(os.environ)
    with ThreadPoolExecutor(max(len(found), 1)) as pool:
        lines = list(pool.map(_line, *zip(*found, strict=True))) if found else []
    if as_json:
        click.echo(json.dumps(document(lines), separators=(",", ":")))
    elif not lines:
        click.echo("no stack is running", err=True)
    else:
        how = look(sys.stdout, os.environ)
        for line in painted(Group(*listing(lines)), how, Room(WIDTH, unicode=how.unicode), crop=False):
            click.echo(line.encode(how.encoding, "replace"))


def _line(state_dir: Path, record: StackRecord) -> StackLine:
    return StackLine(
        stack=record.name,
        folder=str(record.folder),
        branch=branch_of(record.folder),
        pid=record.pid,
        up_seconds=max(time.time() - record.started, 0.0),
        apps=_apps(state_dir),
    )


def _apps(state_dir: Path) -> tuple[AppStatus, ...] | None:
    try:
        return read(ask(str(state_dir), "status", {}, PATIENCE)).apps
    except (NobodyListensError, DevrunError, ValueError):
        return None

"""Prints what has come of a request, where all is well, in the lines of ``up --plain``."""

from __future__ import annotations

import click

from devrun.events import AppReady, AppStopped, Notice
from devrun.outputs.lines import line
from devrun.outputs.status import WELL, AppStatus, Outcome


def tell(outcome: Outcome) -> None:
    """Print a line for each app or command that is well or stopped."""
    for app in outcome.apps:
        notice = _notice(app, outcome.seconds)
        if notice is not None:
            click.echo(line(notice))


def _notice(app: AppStatus, seconds: float) -> Notice | None:
    match app.state:
        case well if well in WELL:
            return AppReady(app.name, app.url, seconds, first=False)
        case "stopped":
            return AppStopped(app.name)
        case _:
            return None

"""``devrun restart``, ``stop``, ``start``: single parts of the running stack. Each returns when it has happened."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click

from devrun.cli.asking import ask_stack
from devrun.cli.completing import stack_names
from devrun.cli.outcomes import tell
from devrun.outcomes import failure_of, outcome_in
from devrun.outputs.status import WELL

_CONFIG = click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")


@click.command(short_help="Restart apps of the running stack.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=stack_names)
@_CONFIG
def restart(names: tuple[str, ...], config: Path | None) -> None:
    """Restart the named apps and commands, or all apps that are not stopped, and wait until they are ready.

    The exit code is 1 when one is broken then: the failure is printed.

    \b
    devrun restart api
    devrun restart && npm test
    """
    _have("restart", names, config, WELL)


@click.command(short_help="Stop apps of the running stack.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=stack_names)
@_CONFIG
def stop(names: tuple[str, ...], config: Path | None) -> None:
    """Stop the named apps and commands, and wait until they are gone. The rest of the stack stays up.

    The URLs of apps answer 503 until `devrun start`; a save does not wake them.

    \b
    devrun stop worker
    """
    _have("stop", names, config, {"stopped"})


@click.command(short_help="Start apps that were stopped.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=stack_names)
@_CONFIG
def start(names: tuple[str, ...], config: Path | None) -> None:
    """Start the named apps and commands of the running stack that were stopped, and wait until they are ready.

    The exit code is 1 when one is broken then: the failure is printed.

    \b
    devrun start worker
    """
    _have("start", names, config, WELL)


def _have(kind: str, names: tuple[str, ...], config: Path | None, wanted: Collection[str]) -> None:
    outcome = outcome_in(ask_stack(config, kind, apps=names))
    tell(outcome)
    others = [app for app in outcome.apps if app.state not in wanted]
    if others:
        raise failure_of(others)

"""``devrun wait``: until apps of the running stack are ready."""

from __future__ import annotations

from pathlib import Path

import click

from devrun.cli.asking import ask_stack
from devrun.cli.completing import stack_names
from devrun.cli.outcomes import tell
from devrun.errors import NotReadyError
from devrun.outcomes import failure_of, is_broken, outcome_in, reasons
from devrun.outputs.status import WELL


@click.command(short_help="Wait until apps of the running stack are ready.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=stack_names)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Give up after S seconds: exit code 5.")
@click.option(
    "--or-broken", is_flag=True, help="Give up when one of them is broken, or stands at a breakpoint(): exit code 1."
)
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def wait(names: tuple[str, ...], timeout: float | None, or_broken: bool, config: Path | None) -> None:
    """Wait until the named apps and commands, or all that are not stopped, are ready.

    Whatever was saved before counts, also if the watcher has yet to notice it. A broken app may be mended meanwhile by
    a save, so that one is waited for, too, unless --or-broken is given. The exit code is 3 when no stack is running.

    \b
    devrun wait --timeout 30
    devrun wait api --or-broken && npm test
    """
    outcome = outcome_in(ask_stack(config, "wait", apps=names, seconds=timeout, or_broken=or_broken))
    tell(outcome)
    missing = [app for app in outcome.apps if app.state not in WELL]
    broken = [app for app in missing if is_broken(app) or app.state == "paused"]
    if or_broken and broken:
        raise failure_of(broken)
    if missing:
        raise NotReadyError(f"not ready within {timeout or 0:g} s: {reasons(missing)}")

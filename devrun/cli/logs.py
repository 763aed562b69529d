"""``devrun logs``: the lines of the running stack so far, and with ``-f`` those that come, also of the next stack."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from devrun.cli.asking import running_stack
from devrun.cli.completing import stack_names
from devrun.cli.logform import Form, JsonForm, TextForm
from devrun.cli.look import look
from devrun.control.asking import refusal
from devrun.control.client import LauncherError, NobodyListensError, stream
from devrun.errors import NoStackError
from devrun.lock import running
from devrun.project import Project

POLL = 0.1
"""Seconds between two looks for the next stack."""


@click.command(short_help="Print the lines of the running stack.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=stack_names)
@click.option("-f", "--follow", is_flag=True, help="Go on with the lines to come, also when the stack is restarted.")
@click.option("-n", "last", type=click.IntRange(min=0), metavar="N", help="Begin with the last N lines.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time in front of each line.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a line, as `devrun up --json`, with times."
)
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def logs(
    names: tuple[str, ...], follow: bool, last: int | None, timestamps: bool, as_json: bool, config: Path | None
) -> None:
    """Print what the apps of the running stack printed, or the named ones, and without names what devrun told.

    About 1 MB of each app is kept in memory; .devrun/logs holds more. The exit code is 3 when no stack is running.

    \b
    devrun logs api -n 50
    devrun logs -f --timestamps
    devrun logs --json | jq -r 'select(.event == "broken") | .traceback'
    """
    project, _ = running_stack(config)
    how = look(sys.stdout, os.environ)
    form = JsonForm() if as_json else TextForm(how, timestamps=timestamps)
    reader = _Reader(project, form, {"apps": names or None, "last": last})
    if follow:
        reader.follow()
    else:
        reader.print_all()


class _Reader:
    """Prints entries; knows where it has got to, so that it can go on there and say what it has missed."""

    def __init__(self, project: Project, form: Form, options: Mapping[str, object]) -> None:
        self._project = project
        self._form = form
        self._options = options
        self._stack: str | None = None
        self._order = 0
        self._next: dict[str | None, int] = {}

    def print_all(self) -> None:
        try:
            self._print(self._options)
        except NobodyListensError:
            raise NoStackError("the stack went down", hint="its lines are in .devrun/logs") from None

    def follow(self) -> None:
        """Print until somebody has enough."""
        options = {**self._options, "follow": True}
        while True:
            try:
                self._print({**options, "stack": self._stack, "after": self._order})
            except NobodyListensError:
                self._await_next()
            if self._stack is not None:  # of what comes now all is wanted
                options["last"] = None

    def _print(self, options: Mapping[str, object]) -> None:
        try:
            for part in stream(str(self._project.state_dir), "logs", options):
                self._take(part)
        except LauncherError as error:
            if error.code != "too-slow":
                raise refusal(error.code, error.said) from None

    def _take(self, part: Mapping[str, Any]) -> None:
        if "stack" in part:
            if part["stack"] != self._stack:
                self._stack, self._order, self._next = part["stack"], 0, {}
            return
        self._order, app, first = part["order"], part["app"], part["first"]
        missed = first - self._next.get(app, 1 if self._options["last"] is None else first)
        self._next[app] = first + len(part["lines"])
        _write([*(self._form.missed(app, missed) if missed > 0 else ()), *self._form.lines(part)])

    def _await_next(self) -> None:
        """Wait for a stack that can be asked: this one, or the next."""
        told = False
        while running(self._project) is None:
            if not told:
                click.echo("[devrun] the stack is down; waiting for the next one", err=True)
                told = True
            time.sleep(POLL)
        if told:
            click.echo("[devrun] a stack is up again", err=True)
        else:
            time.sleep(POLL)


def _write(lines: Iterator[str] | list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.buffer.write(text.encode(sys.stdout.encoding, "replace"))
    sys.stdout.buffer.flush()

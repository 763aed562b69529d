"""``devrun run``: a command with a stack of its own, from before its start until after its end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
from msgspec import Struct

from devrun.api import Stack
from devrun.cli.child_command import PASSED, ChildCommand, check, hear_signals
from devrun.cli.completing import config_names
from devrun.cli.look import look
from devrun.cli.quiet import Quiet
from devrun.cli.reading import here, read_plan
from devrun.cli.signals import go_deaf
from devrun.errors import BrokenAppError, NotReadyError
from devrun.events import Warned
from devrun.plan import Endpoint, Plan
from devrun.planning import Choices, command_environment
from devrun.private import freed_ports, private_plan, private_state
from devrun.project import Project, find
from devrun.readiness import Readiness

DIED = 128
"""Exit codes from here on are those of commands that died of a signal."""


@click.command(
    short_help="Run a command with a private stack of its own.",
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "--with",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=config_names,
    help="Start only this app or compound; may be repeated.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Seconds until the stack must be ready.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the stack's messages and the apps' lines on standard error.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
def run(
    names: tuple[str, ...], timeout: float | None, verbose: bool, config: Path | None, command: tuple[str, ...]
) -> int:
    """Start a private stack, run CMD with its variables once all is ready, and take the stack down.

    Every run has free ports and a state of its own and writes no env file: any number of them may run at once in one
    folder, beside a `devrun up`. What would stand in the env files is in CMD's environment. devrun prints nothing while
    all goes well. The exit code is CMD's; 1 when the stack cannot start, 5 when it is not ready in time.

    \b
    devrun run -- pytest -x
    devrun run --with api --timeout 60 -- npx playwright test
    """
    project = find(here(), config)
    plan = read_plan(project, Choices(names))
    check(command, plan.environ)
    view = Quiet(sys.stderr, look(sys.stderr, os.environ), plan.stack, verbose=verbose)
    return asyncio.run(_run(_Order(plan, command, timeout), project, view))


class _Order(Struct, frozen=True):
    """What is to be run. ``plan``: as it would be for `up`."""

    plan: Plan
    command: tuple[str, ...]
    timeout: float | None


async def _run(order: _Order, project: Project, view: Quiet) -> int:
    try:
        for note in freed_ports(order.plan):
            view.tell(Warned(note))
        with private_state(project, order.plan.stack) as own:
            return await _Run(order, own, view).run()
    finally:
        view.close()
        go_deaf(PASSED)


class _Run:
    """The stack and the command."""

    def __init__(self, order: _Order, project: Project, view: Quiet) -> None:
        self._order = order
        self._view = view
        self._readiness = Readiness()
        self._stack = Stack(private_plan(order.plan), project, view, [self._readiness])
        self._child: ChildCommand | None = None

    async def run(self) -> int:
        """Return the exit code, when all is down. Raises DevrunError."""
        stack = asyncio.create_task(self._stack.run())
        hear_signals(self._hear)
        try:
            endpoints = await self._ready(stack)
            if endpoints is None:  # it has ended before: interrupted
                return await stack
            return await self._follow(endpoints)
        except BrokenAppError as error:
            self._view.say(error.traceback)
            raise
        finally:
            self._child = None
            self._stack.stop()
            await asyncio.wait([stack])

    async def _ready(self, stack: asyncio.Task[int]) -> Mapping[str, Endpoint] | None:
        """Wait for the stack; None if it has ended. Raises BrokenAppError or NotReadyError."""
        outcome = self._readiness.outcome
        first: list[asyncio.Future[Any]] = [stack, outcome]
        await asyncio.wait(first, timeout=self._order.timeout, return_when=asyncio.FIRST_COMPLETED)
        if outcome.done():
            return outcome.result()
        if not stack.done():
            self._give_up()
        return None

    def _give_up(self) -> NoReturn:
        self._view.show_kept("the last lines of the apps:")
        raise NotReadyError(f"the stack is not ready within {self._order.timeout:g} s: {self._readiness.missing()}")

    async def _follow(self, endpoints: Mapping[str, Endpoint]) -> int:
        self._child = ChildCommand(self._order.command, command_environment(self._order.plan, endpoints))
        code = await self._child.run()
        if 0 < code < DIED:
            self._view.show_kept(f"{self._order.command[0]} ended with {code}; the last lines of the apps:")
        return code

    def _hear(self, signum: int) -> None:
        """A signal is the command's once there is one; before and after that it hurries the stack down."""
        if self._child is None:
            self._stack.stop()
        else:
            self._child.signal(signum)

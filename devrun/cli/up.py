"""``devrun up``: the stack in the foreground."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Literal

import click

from devrun.api import Stack
from devrun.cli.completing import config_names
from devrun.cli.detach import up_detached
from devrun.cli.keys import HELP, browse, keys
from devrun.cli.reading import here, read_plan
from devrun.cli.signals import go_deaf
from devrun.cli.view import Interactive, choose
from devrun.errors import FileError
from devrun.events import AppReady, Notice, StackReady
from devrun.plan import Endpoint, Plan
from devrun.planning import Choices
from devrun.project import Project, find, write_schema
from devrun.state import Snapshot

Mode = Literal["auto", "plain", "json", "quiet"]
_MODES: Mapping[str, Mode] = {"quiet": "quiet", "json_lines": "json", "plain": "plain"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(short_help="Start the stack.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=config_names)
@click.option("-d", "--detach", is_flag=True, help="In the background: return when the stack is ready, or has failed.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
@click.option("--no-reload", is_flag=True, help="Do not restart apps when their files change.")
@click.option("--json", "json_lines", is_flag=True, help="Print one JSON object a line.")
@click.option("--plain", is_flag=True, help="Print plain lines, also on a terminal.")
@click.option("--in-background", "quiet", is_flag=True, hidden=True)
def up(names: tuple[str, ...], config: Path | None, detach: bool, no_reload: bool, **output: bool) -> int:
    """Start the stack, or the named apps and compounds and what they depend on.

    \b
    devrun up              everything in devrun.toml
    devrun up api          the app api, and what it depends on
    devrun up --plain      one line an event, for scripts and editors
    devrun up -d           in the background; then `devrun logs -f`, `devrun down`
    """
    if output["json_lines"] and output["plain"]:
        raise click.UsageError("--json and --plain exclude each other")
    project = find(here(), config)
    choices = Choices(names, reload=not no_reload)
    plan = read_plan(project, choices)
    if detach:
        arguments = [*names, f"--config={project.config}", *(["--no-reload"] if no_reload else [])]
        return up_detached(project, arguments, as_json=output["json_lines"])
    modes: list[Mode] = [mode for flag, mode in _MODES.items() if output[flag]]
    read = None if no_reload else partial(read_plan, project, choices)
    return asyncio.run(run(plan, project, modes[0] if modes else "auto", read))


async def run(plan: Plan, project: Project, mode: Mode, read: Callable[[], Plan] | None) -> int:
    """Show the stack until it has ended; return the exit code. ``read`` reads the plan anew."""
    view = choose(mode, sys.stdout, os.environ)
    screen = view if isinstance(view, Interactive) else None
    browser = Browser(plan, screen)
    size = None if screen is None else terminal()
    stack = Stack(plan, project, view, [browser, SchemaFile(project)], size, read)
    loop = asyncio.get_running_loop()
    for signum in SIGNALS:
        if signum != signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(signum, stack.stop)
    painting = asyncio.create_task(view.run())
    painting.add_done_callback(lambda _: stack.stop())  # it fails by a mistake of ours: better loud than frozen
    try:
        with nullcontext() if screen is None else keyboard(screen, stack, browser):
            code = await stack.run()
    finally:
        painting.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await painting
        finally:
            view.close()
    go_deaf(SIGNALS)
    return code


def terminal() -> tuple[int, int]:
    size = os.get_terminal_size(sys.stdout.fileno())
    return size.lines, size.columns


def keyboard(screen: Interactive, stack: Stack, browser: Browser) -> AbstractContextManager[None]:
    """Let the keys of Vite work: h, r, o, c, q and Enter."""
    actions: dict[str, Callable[[], None]] = {
        "h": lambda: screen.say(HELP),
        "r": stack.restart,
        "o": browser.open,
        "c": screen.clear,
        "q": stack.stop,
        "enter": lambda: screen.say(""),
    }

    def on_key(key: str) -> None:
        if key in actions:
            actions[key]()

    return keys(on_key, screen, sys.stdin, sys.stdout)


class Browser:
    """Opens an app in the browser when it is first ready, where the plan says so, and on demand."""

    def __init__(self, plan: Plan, screen: Interactive | None) -> None:
        self._paths = {name: app.open for name, app in plan.apps.items() if app.open is not None}
        self._endpoints: Mapping[str, Endpoint] = {}
        self._screen = screen
        self._opening: set[asyncio.Task[None]] = set()

    def update(self, snapshot: Snapshot) -> None:
        self._endpoints = snapshot.endpoints

    def tell(self, notice: Notice) -> None:
        if isinstance(notice, AppReady) and notice.first and notice.app in self._paths and self._screen is not None:
            self._open(f"{notice.url}{self._paths[notice.app]}")

    def open(self) -> None:
        """Open the apps that the plan marks; the first one when it marks none."""
        for name in self._paths or list(self._endpoints)[:1]:
            if name in self._endpoints:
                self._open(self._endpoints[name].url + self._paths.get(name, ""))

    def _open(self, url: str) -> None:
        task = asyncio.create_task(self._browse(url))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _browse(self, url: str) -> None:
        if not await browse(url) and self._screen is not None:
            self._screen.say(f"there is no browser to open {url} in")


class SchemaFile:
    """Keeps the JSON Schema that editors read beside the state, once the stack is up and there is time for it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._writing: asyncio.Task[None] | None = None

    def update(self, snapshot: Snapshot) -> None:
        """Do nothing: the schema is the same whatever runs."""

    def tell(self, notice: Notice) -> None:
        if isinstance(notice, StackReady) and self._writing is None:
            self._writing = asyncio.create_task(asyncio.to_thread(self._write))

    def _write(self) -> None:
        with suppress(FileError):  # an editor's comfort is not worth a warning
            write_schema(self._project)

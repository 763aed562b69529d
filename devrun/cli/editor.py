"""``devrun editor``: writes the editor's task and debug files, or says which of them are out of date."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from msgspec.structs import replace

from devrun.cli.reading import here
from devrun.editors import jetbrains, vscode, zed
from devrun.editors.jsonc import JsoncError
from devrun.editors.setup import FOLDER, Change, Files, Setup
from devrun.errors import BindError, FileError, UsageError
from devrun.listen import V4, CannotListen, listen
from devrun.lock import is_held
from devrun.outputs import writer
from devrun.parse import load
from devrun.project import Project, debug_ports, find, make_state_dir, remember_debug_ports, write_schema

EDITORS: Mapping[str, Callable[[Setup], Files]] = {
    "vscode": vscode.files,
    "zed": zed.files,
    "jetbrains": jetbrains.files,
}
PORTS: Mapping[str, tuple[str, Callable[[bytes | None], dict[str, int]]]] = {
    "vscode": (".vscode/launch.json", vscode.ports_in),
    "zed": (".zed/debug.json", zed.ports_in),
}
"""The file in which an editor is told of debug ports, and what it tells."""
PORT_RANGE = range(20000, 32768)
"""Ports that no system gives away by itself: what is chosen here is to be free next year, too."""
TRIES = 64
OUT_OF_DATE = 1


@click.command(short_help="Write the editor's task and debug files.")
@click.argument("name", metavar="vscode|zed|jetbrains", type=click.Choice(list(EDITORS)))
@click.option("--check", is_flag=True, help="Write nothing; say what is out of date, with exit code 1.")
@click.option("--on-open/--no-on-open", default=None, help="vscode: start the stack when the folder is opened.")
@click.option("--config", type=click.Path(path_type=Path), help="Another file than the nearest devrun.toml.")
def editor(name: str, check: bool, on_open: bool | None, config: Path | None) -> int:
    """Write the editor's task and debug files beside devrun.toml, or verify them.

    Entries of your own, comments and formatting stay as they are. Entries whose names begin with `devrun:` are
    devrun's: edits in them are lost.

    \b
    devrun editor vscode             .vscode/tasks.json, launch.json and settings.json
    devrun editor vscode --check     whether they fit devrun.toml
    devrun editor jetbrains          .run/*.run.xml
    """
    if on_open is not None and name != "vscode":
        raise UsageError(f"--on-open is for vscode: {name} cannot start a task when a folder is opened")
    project = find(here(), config)
    known = debug_ports(project)
    setup = _setup(project, on_open)
    if name in PORTS:
        setup = replace(setup, debug_ports=_debug_ports(setup.apps, known, _told_ports(project, name)))
    changes = EDITORS[name](setup)
    stale = {path: change for path, change in changes.items() if _is_stale(project.folder / path, path, change)}
    if check:
        for path in stale:
            click.echo(f"{path} is out of date")
        return OUT_OF_DATE if stale else 0
    if name == "vscode":
        write_schema(project)
    if setup.debug_ports.items() - known.items():
        make_state_dir(project)
        remember_debug_ports(project, setup.debug_ports)
        if is_held(project):
            click.echo("attaching works when the stack is started anew", err=True)
    for path, change in stale.items():
        _write(project.folder / path, change)
        click.echo(f"wrote {path}")
    if not stale:
        click.echo("nothing to do: all is as it should be")
    return 0


def _setup(project: Project, on_open: bool | None) -> Setup:
    config, _ = load(project.config, os.path.relpath(project.config))
    python = _below(project.folder, sys.executable)
    return Setup(
        apps=tuple(config.apps),
        compounds=tuple(config.compounds),
        devrun=_devrun(python),
        python=python,
        config=project.config.name,
        on_open=on_open,
    )


def _told_ports(project: Project, name: str) -> dict[str, int]:
    path, ports_in = PORTS[name]
    try:
        return ports_in((project.folder / path).read_bytes())
    except (OSError, JsoncError):  # said by whoever is to write it
        return {}


def _debug_ports(apps: Sequence[str], known: Mapping[str, int], told: Mapping[str, int]) -> dict[str, int]:
    """Choose the port of each app at which an editor attaches.

    What the editor's file says stays, for it may be under version control and the same for everybody; but a checkout
    that has had to take another port keeps that as long as the first one is taken.
    """
    chosen: dict[str, int] = {}
    with ExitStack() as held:
        for app in apps:
            port = told.get(app, 0)
            stays = port not in (0, *chosen.values())
            if stays and known.get(app, port) != port:
                stays = _hold(port, held) is not None
            if not stays:
                port = known.get(app, 0)
            if port in (0, *chosen.values()):
                port = _free(held)
            chosen[app] = port
    return chosen


def _free(held: ExitStack) -> int:
    for port in random.sample(PORT_RANGE, TRIES):
        if _hold(port, held) is not None:
            return port
    raise BindError(f"no free port was found between {PORT_RANGE.start} and {PORT_RANGE.stop}")


def _hold(port: int, held: ExitStack) -> int | None:
    """Return the port if nobody has it; it is kept as long as ``held``."""
    try:
        (sock,) = listen((V4,), port)
    except CannotListen:
        return None
    held.enter_context(sock)
    return port


def _below(folder: Path, python: str) -> str:
    """The interpreter in a form that holds on another machine, too, where there is one."""
    try:
        return f"{FOLDER}/{Path(python).relative_to(folder)}"
    except ValueError:
        return python


def _devrun(python: str) -> tuple[str, ...]:
    """How a task runs devrun: from the project's own environment, else by its name, else by this interpreter's path.

    By its name where a tool installer has put a link to it on PATH; an environment that is merely active in this
    shell is not on the editor's PATH.
    """
    command = shutil.which("devrun")
    if command is not None and not python.startswith(FOLDER):
        bin_folder = Path(sys.executable).parent
        if Path(command).parent != bin_folder and Path(command).resolve().parent == bin_folder.resolve():
            return ("devrun",)
    return (python, "-m", "devrun")


def _is_stale(path: Path, shown: str, change: Change) -> bool:
    """Whether the file would change. Raises UsageError for one that cannot be read or understood."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = None
    except OSError as error:
        raise FileError(f"cannot read {shown}: {error.strerror}") from error
    try:
        return change(content) != content
    except JsoncError as error:
        raise UsageError(f"{shown}:{error}", hint="nothing was written") from error


def _write(path: Path, change: Change) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {writer.shown(path.parent)}: {error.strerror}") from error
    writer.update(path, change)

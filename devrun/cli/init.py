"""``devrun init``: looks at the project and writes a devrun.toml that fits it. Overwrites nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from devrun.asgi import FRAMEWORKS
from devrun.cautions import in_git
from devrun.cli.reading import here
from devrun.errors import UsageError
from devrun.lookup import CONFIG_NAME, nearest_config
from devrun.outputs import draft as drafts
from devrun.outputs import writer
from devrun.project import Project, write_schema
from devrun.proposal import Draft, propose
from devrun.survey import survey

_BY_HAND = 'write the file by hand, for example:\n\n[apps.api]\napp = "shop.main:app"'


@click.command(short_help="Find the apps and frontends here and write a devrun.toml.")
@click.option("--print", "printing", is_flag=True, help="Print the file and write nothing.")
def init(printing: bool) -> None:
    """Find the ASGI apps and the frontends in this folder and write a commented devrun.toml.

    The source is read, never run. A file that is already there is not touched: the exit code is 2 then.

    \b
    devrun init            writes devrun.toml
    devrun init --print    shows what it would write
    """
    folder = here().resolve()
    project = Project(folder, folder / CONFIG_NAME)
    if not printing and os.path.lexists(project.config):
        raise UsageError(f"{CONFIG_NAME} is already there: {writer.shown(project.config)}", hint=_SEE)
    draft = propose(survey(folder))
    if not draft.apps:
        raise _nothing(folder, draft)
    text = drafts.render(draft)
    say(found(draft))
    if printing:
        click.echo(text, nl=False)
        return
    writer.update(project.config, lambda content: _new(content, text.encode()))
    write_schema(project)
    say([f"wrote {CONFIG_NAME}", *exposed(draft, folder), *notes(draft, folder), "next: devrun up"])


_SEE = "`devrun init --print` shows what a new one would be; `devrun check` tells whether this one is right"


def found(draft: Draft) -> list[str]:
    """One line for each app and frontend."""
    width = max(len(one.name) for one in draft.apps)
    apps = [f"found {one.name:{width}}  {one.found.framework} in {one.found.file}" for one in draft.apps]
    return apps + [
        f"found {one.frontend.framework.name} in {one.frontend.folder or '.'}: {one.file.path}, {one.variable}"
        for one in draft.files
    ]


def exposed(draft: Draft, folder: Path) -> list[str]:
    """What git would take with it."""
    paths = [one.file.path for one in draft.files] or [".env"]
    return [f"warning: {line}" for path in paths for line in in_git(path, folder / path, os.environ)]


def notes(draft: Draft, folder: Path) -> list[str]:
    """What was seen and not written."""
    above = nearest_config(str(folder.parent))
    nested = [] if above is None else [f"{writer.shown(above)} does not count any more in this folder"]
    return [f"note: {note}" for note in (*draft.notes, *nested)]


def say(lines: Iterable[str]) -> None:
    """Messages go to standard error: standard output is the file's, with ``--print``."""
    for line in lines:
        click.echo(line, err=True)


def _new(content: bytes | None, text: bytes) -> bytes:
    if content is not None:
        raise UsageError(f"{CONFIG_NAME} has just been written by somebody else", hint=_SEE)
    return text


def _nothing(folder: Path, draft: Draft) -> UsageError:
    looked = ", ".join(label for label in dict.fromkeys(FRAMEWORKS.values()) if " " not in label)
    seen = "".join(f"\nnote: {note}" for note in draft.notes)
    return UsageError(
        f"no ASGI app found in {writer.shown(folder)}: looked for {looked}, and `async def app(scope, receive, send)`,"
        f" but not in hidden folders, tests, examples and docs{seen}",
        hint=_BY_HAND,
    )

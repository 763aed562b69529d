"""The text of a new devrun.toml, with comments for the person who will go on with it.

Pure. It parses to ``Draft.config()``; what else is worth saying stands in comments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import tomli_w

from devrun.outputs.text import one_line
from devrun.proposal import Draft, DraftApp, DraftCommand, DraftFile

SCHEMA_LINE = "#:schema .devrun/devrun.schema.json"
_WIDTH = 110


def render(draft: Draft) -> str:
    """Return the text of the file."""
    blocks = [_head(), *map(_app, draft.apps), *_env_files(draft)]
    if draft.commands:
        blocks.append(_commands(draft.commands))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _head() -> list[str]:
    return [
        SCHEMA_LINE,
        "# What `devrun up` starts; written by `devrun init`, and now yours. All keys: `devrun schema`.",
    ]


def _app(one: DraftApp) -> list[str]:
    what = f"{one.found.framework}{', made by a function' if one.app.factory else ''}"
    return [*_comment(f"{what}: {one.found.file}"), f"[apps.{one.name}]", *_pairs(one.app)]


def _env_files(draft: Draft) -> Iterator[list[str]]:
    if not draft.files:
        yield _comment(
            "While the stack is up, .env holds the URL, host and port of every app. Another file, and other names:"
        ) + ["# [[dotenv]]", '# path = "frontend/.env.local"', '# prefix = "VITE_"']
    yield from map(_env_file, draft.files)


def _env_file(one: DraftFile) -> list[str]:
    framework, folder = one.frontend.framework, one.frontend.folder
    where = f"{folder}/package.json" if folder else "package.json"
    reads = framework.reads.format(one.variable)
    lines = _comment(f"{framework.name} ({where}) reads the apps' addresses here: {reads}")
    if framework.note:
        lines += _comment(framework.note[0].upper() + framework.note[1:] + ".")
    return [*lines, "[[dotenv]]", *_pairs(one.file)]


def _commands(commands: tuple[DraftCommand, ...]) -> list[str]:
    lines = _comment("A dev server that `devrun up` starts, too; without this, start it in a terminal of its own.")
    for one in commands:
        table = {"run": one.run} if one.cwd is None else {"run": one.run, "cwd": one.cwd}
        lines += [f"# [commands.{one.name}]", *(f"# {line}" for line in _toml(table))]
    return lines


def _pairs(table: msgspec.Struct) -> list[str]:
    """The keys that differ from their defaults."""
    defaults = {info.encode_name: info.default for info in msgspec.structs.fields(table)}
    written: dict[str, Any] = {
        key: value for key, value in msgspec.to_builtins(table).items() if value and value != defaults[key]
    }
    return _toml(written)


def _toml(table: dict[str, Any]) -> list[str]:
    """Lines of TOML: a text may hold what Python takes for the end of a line, so they are split at line feeds alone."""
    return tomli_w.dumps(table).rstrip("\n").split("\n")


def _comment(text: str) -> list[str]:
    """A text as comments of lines that are not too long."""
    lines: list[str] = []
    for word in one_line(text).split(" "):
        if lines and len(lines[-1]) + len(word) < _WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"# {word}")
    return lines

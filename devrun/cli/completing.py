"""Names for the shell's completion: of what runs, else of what devrun.toml has. Quick; silent about what is wrong."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devrun.lookup import STATE_DIR, STATE_NAME, nearest_config

if TYPE_CHECKING:
    import click

_PARTS = ("apps", "commands")


def stack_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of the running stack; of the config where none runs."""
    names = _running(ctx.params.get("config")) or _configured(ctx.params.get("config"), _PARTS)
    return _left(names, ctx, param, incomplete)


def config_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What `devrun up` can be given: apps, commands and compounds."""
    return _left(_configured(ctx.params.get("config"), (*_PARTS, "compounds")), ctx, param, incomplete)


def _left(names: list[str], ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    given = ctx.params.get(param.name or "") or ()
    return [name for name in names if name.startswith(incomplete) and name not in given]


def _running(config: Path | None) -> list[str]:
    found = _config(config)
    return [] if found is None else list(_read(found.parent / STATE_DIR / STATE_NAME).get("endpoints", {}))


def _configured(config: Path | None, tables: tuple[str, ...]) -> list[str]:
    found = _config(config)
    document = {} if found is None else _read(found)
    return [name for table in tables if isinstance(document.get(table), dict) for name in document[table]]


def _config(config: Path | None) -> Path | None:
    try:
        nearest = str(config) if config is not None else nearest_config(os.path.realpath(os.getcwd()))
    except OSError:
        return None
    return None if nearest is None else Path(nearest)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8", "surrogateescape"))
    except (OSError, ValueError, RecursionError):
        return {}

"""A parsed devrun.toml as its rules see it: the tables that name things, ``[defaults]`` merged into the apps.

Passes over what is of the wrong type: ``devrun.shape`` reports that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from msgspec import Struct

from devrun.config import MERGED

Table = Mapping[str, object]


class Tables(Struct, frozen=True):
    """The tables of a document that name things."""

    apps: Mapping[str, Table]
    commands: Mapping[str, Table]
    externals: Table
    compounds: Table

    @property
    def endpoints(self) -> tuple[str, ...]:
        """What ``${NAME.url}`` can mean."""
        return (*self.apps, *self.commands, *self.externals)

    @property
    def parts(self) -> Mapping[str, tuple[str, Table]]:
        """What can be started, and the table that it stands in; of an app and a command of one name the app."""
        commands = {name: ("commands", command) for name, command in self.commands.items() if name not in self.apps}
        return {**{name: ("apps", app) for name, app in self.apps.items()}, **commands}


def tables(document: Table) -> Tables:
    """Return the tables of a document that still has its ``[defaults]``."""
    return Tables(
        apps=merged_apps(document),
        commands={name: table(command) for name, command in table(document.get("commands")).items()},
        externals=table(document.get("external")),
        compounds=table(document.get("compounds")),
    )


def merged_apps(document: Table) -> dict[str, dict[str, object]]:
    """Return the apps with ``[defaults]`` in them: the app's own key wins, ``env`` and ``uvicorn`` key by key."""
    defaults = table(document.get("defaults"))
    return {name: _merged(defaults, table(app)) for name, app in table(document.get("apps")).items()}


def _merged(defaults: Table, app: Table) -> dict[str, object]:
    merged = {**defaults, **app}
    for key in MERGED:
        ours, theirs = app.get(key), defaults.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            merged[key] = {**cast(Table, theirs), **cast(Table, ours)}
    return merged


def table(value: object) -> Table:
    """Return a table of the document; an empty one for anything else."""
    return cast(Table, value) if isinstance(value, dict) else {}


def texts(value: object) -> Iterator[tuple[int, str]]:
    """Yield index and text of the texts in a list."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return ((index, item) for index, item in enumerate(items) if isinstance(item, str))

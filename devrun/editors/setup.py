"""What an editor is to be told about a project. Frozen data; ``cli`` makes it, the modules beside render it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

Change = Callable[[bytes | None], bytes]
"""Makes a file's new content of its old one; None: there is no file. Raises ``JsoncError`` or ``FileError``."""

Files = Mapping[str, Change]
"""What to do to which file, relative to the project folder."""

UP = "devrun: up"
DOWN = "devrun: down"
ALL = "devrun: all apps"
PREFIX = "devrun: "
ATTACH = "devrun: attach "
SIGN = "written by `devrun editor`; edits inside are lost"


class Setup(Struct, frozen=True):
    """A project as an editor sees it.

    ``devrun``: the command that runs devrun, where ``FOLDER`` stands for the project folder. ``python``: devrun's own
    interpreter, likewise. ``config``: the config file's name. ``on_open``: whether the stack starts with the folder;
    None: as it was. ``debug_ports``: where an editor attaches to each app.
    """

    apps: tuple[str, ...]
    compounds: tuple[str, ...]
    devrun: tuple[str, ...]
    python: str
    config: str = "devrun.toml"
    on_open: bool | None = None
    debug_ports: Mapping[str, int] = field(default_factory=dict[str, int])

    def up(self, *names: str) -> list[str]:
        """The arguments that start these, as lines."""
        return ["up", "--plain", *self._config(), *names]

    def down(self) -> list[str]:
        return ["down", *self._config()]

    def _config(self) -> list[str]:
        return [] if self.config == "devrun.toml" else ["--config", self.config]


FOLDER = "{folder}"
"""Stands for the project folder until an editor puts its own variable there."""

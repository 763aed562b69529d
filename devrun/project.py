"""The project: where it is, and where its ``.devrun/`` keeps what.

Reads no config and takes no lock (that is ``lock``); files are written by ``outputs.writer``.
"""

from __future__ import annotations

import errno
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from msgspec import Struct
from msgspec.structs import replace

from devrun.errors import ConfigError, FileError, Mistake, NoProjectError
from devrun.lookup import CONFIG_NAME, LOCK_NAME, RUNS, STATE_DIR, STATE_NAME, nearest_config, private_name
from devrun.outputs import block, writer
from devrun.schema import schema_text

_MINIMAL = 'write a devrun.toml in the project folder, for example:\n\n[apps.api]\napp = "main:app"'


class Project(Struct, frozen=True):
    """``folder`` is absolute and free of links; ``config`` is a file in it.

    ``private``: the name of the state folder of a private stack; None: the project's own stack is meant.
    """

    folder: Path
    config: Path
    private: str | None = None

    @property
    def own_dir(self) -> Path:
        """All that devrun keeps in this project."""
        return self.folder / STATE_DIR

    @property
    def runs_dir(self) -> Path:
        """The state folders of private stacks."""
        return self.own_dir / RUNS

    @property
    def state_dir(self) -> Path:
        """The state of the stack that is meant."""
        return self.own_dir if self.private is None else self.runs_dir / self.private

    @property
    def state_file(self) -> Path:
        return self.state_dir / STATE_NAME

    @property
    def lock_file(self) -> Path:
        return self.state_dir / LOCK_NAME

    @property
    def schema_file(self) -> Path:
        return self.own_dir / "devrun.schema.json"

    @property
    def logs_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def preloads_file(self) -> Path:
        return self.own_dir / "cache" / "preload.json"

    @property
    def ports_file(self) -> Path:
        return self.own_dir / "cache" / "ports.toml"

    @property
    def debug_ports_file(self) -> Path:
        return self.own_dir / "cache" / "debug.toml"

    def owner_in(self, file: Path) -> str:
        """The name that this project's block has in an env file (free of links): none in the project's own files.

        Files of other projects, and of none, may hold the blocks of several. A file is of the nearest project above it.
        """
        nearest = nearest_config(str(file.parent))
        inner = nearest is not None and self.folder in Path(nearest).parent.parents
        return "" if file.is_relative_to(self.folder) and not inner else block.owner_of(self.folder)


def find(start: Path, config: Path | None = None) -> Project:
    """The project of the nearest devrun.toml from ``start`` (absolute) upward; ``config`` names another file instead.

    The file is not read. Raises ``NoProjectError`` when there is none, ``ConfigError`` when it cannot be a file.
    """
    if config is not None:
        return _at(start / config)
    folder = start.resolve()
    nearest = nearest_config(str(folder))
    if nearest is not None:
        return _at(Path(nearest))
    raise NoProjectError(f"there is no {CONFIG_NAME} in {writer.shown(folder)} or any folder above it", hint=_MINIMAL)


def _at(config: Path) -> Project:
    if not os.path.lexists(config):
        raise NoProjectError(f"there is no file {writer.shown(config)}", hint=_MINIMAL)
    found = _obstacle(config)
    if found is not None:
        raise ConfigError([Mistake(writer.shown(config), None, "", found, "a file")], hint=_MINIMAL)
    # Of a linked config file the folder counts where the link is: there it was put for this project.
    folder = config.parent.resolve()
    return Project(folder, folder / config.name)


def _obstacle(config: Path) -> str | None:
    try:
        if config.is_file():
            return None
        if config.is_dir():
            return "is a folder"
        return (
            "is not a regular file" if config.exists() else f"is a link to {os.readlink(config)!r}, which is not there"
        )
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def make_state_dir(project: Project) -> None:
    """Make ``.devrun``, closed to others and ignored by git, if it is not there. Raises ``FileError``."""
    folder = project.state_dir
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        reason = "it is not a folder" if error.errno == errno.EEXIST else (error.strerror or str(error)).lower()
        raise FileError(f"cannot make the folder {writer.shown(folder)}: {reason}") from error
    if not os.path.lexists(folder / ".gitignore"):
        writer.write(folder / ".gitignore", b"*\n")


def write_schema(project: Project) -> None:
    """Put the JSON Schema where the ``#:schema`` line of a devrun.toml says. Raises ``FileError``."""
    make_state_dir(project)
    writer.write(project.schema_file, schema_text().encode())


def addressed(project: Project, stack: str) -> Project:
    """The project with the private stack of it that ``stack``, the value of DEVRUN_STACK, names, if it is one."""
    return replace(project, private=private_name(str(project.folder), stack))


def last_ports(project: Project) -> dict[str, int]:
    """The port that each app had last time; what is damaged or missing is left out."""
    return _ports_in(project.ports_file)


def remember_ports(project: Project, ports: Mapping[str, int]) -> None:
    """Add these to ``last_ports``. Raises ``FileError``."""
    _put_ports(project.ports_file, ports)


def debug_ports(project: Project) -> dict[str, int]:
    """The port of each app at which an editor attaches: of those that an editor was told of."""
    return _ports_in(project.debug_ports_file)


def remember_debug_ports(project: Project, ports: Mapping[str, int]) -> None:
    """Add these to ``debug_ports``. Raises ``FileError``."""
    _put_ports(project.debug_ports_file, ports)


def _ports_in(file: Path) -> dict[str, int]:
    try:
        document: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: port for name, port in document.items() if type(port) is int and 0 < port < 65536}


def _put_ports(file: Path, ports: Mapping[str, int]) -> None:
    cache = file.parent
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {writer.shown(cache)}: {(error.strerror or '').lower()}") from error
    content = tomli_w.dumps({**_ports_in(file), **ports}).encode()
    writer.write(file, content, mode=0o600)

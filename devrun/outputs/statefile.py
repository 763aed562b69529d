"""The text of ``.devrun/state.toml``: which stack runs here, and which env files it has touched.

Pure: the disk is ``project``'s. Paths with bytes that are not UTF-8 are kept by ``surrogateescape``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import tomli_w
from msgspec import Struct
from msgspec.structs import replace

from devrun.plan import Endpoint

VERSION = 1

_T = TypeVar("_T")


class EnvFileRecord(Struct, frozen=True):
    """An env file that devrun writes. ``path`` is absolute and free of links; ``created``: there was none before."""

    path: Path
    created: bool
    keep: bool
    owner: str = ""
    """The name in the lines of its block, where they have one."""


class StackRecord(Struct, frozen=True):
    """A stack as its launcher wrote it down."""

    stack: str
    name: str
    folder: Path
    """The project folder at that time: the state file may have been copied or moved along with it."""
    pid: int
    created: float
    """When the launcher's process began, as psutil tells it: with ``pid``, names the process."""
    started: float
    """When the stack came up, in seconds since 1970."""
    endpoints: tuple[Endpoint, ...]
    env_files: tuple[EnvFileRecord, ...] = ()


def render(record: StackRecord) -> bytes:
    document: dict[str, Any] = {
        "version": VERSION,
        "stack": record.stack,
        "name": record.name,
        "folder": str(record.folder),
        "pid": record.pid,
        "created": record.created,
        "started": record.started,
        # A table of its own for each: `devrun.lookup` knows this text and reads no other TOML.
        "endpoints": {e.name: {"url": e.url, "host": e.host, "port": e.port} for e in record.endpoints},
        "env_files": [_file_table(file) for file in record.env_files],
    }
    return tomli_w.dumps(document).encode("utf-8", "surrogateescape")


def parse(content: bytes) -> StackRecord | None:
    """The record; None for anything that ``render`` of this version cannot have written."""
    try:
        document = tomllib.loads(content.decode("utf-8", "surrogateescape"))
        return _record(document) if _typed(document, "version", int) == VERSION else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def files_in(record: StackRecord, folder: Path, *, moved: bool) -> tuple[EnvFileRecord, ...]:
    """The env files of the record as they are named from ``folder``, the project's place today.

    ``moved``: nothing is left at the old place, so the files outside of it are still those of this project. In a copy
    of the project the copies are meant, never the original's files: its stack may be up.
    """
    if folder == record.folder:
        return record.env_files
    files: list[EnvFileRecord] = []
    for file in record.env_files:
        inside = file.path.is_relative_to(record.folder)
        copy = Path(os.path.normpath(folder / os.path.relpath(file.path, record.folder)))
        # A whole tree may have been copied. Without a name in it, a block out there would be another project's.
        if inside or (file.owner and copy != file.path):
            files.append(replace(file, path=copy))
        if moved and not inside:
            files.append(file)
    return tuple(files)


def _file_table(file: EnvFileRecord) -> dict[str, Any]:
    return {"path": str(file.path), "created": file.created, "keep": file.keep, "owner": file.owner}


def _record(document: Mapping[str, Any]) -> StackRecord:
    return StackRecord(
        stack=_typed(document, "stack", str),
        name=_typed(document, "name", str),
        folder=Path(_typed(document, "folder", str)),
        pid=_typed(document, "pid", int),
        created=_typed(document, "created", float),
        started=_typed(document, "started", float),
        endpoints=tuple(endpoint_in(name, table) for name, table in _table(document, "endpoints").items()),
        env_files=tuple(_env_file(table) for table in _tables(document, "env_files")),
    )


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", _typed(document, key, dict))


def _tables(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    # What is not a table fails as soon as a key of it is asked for.
    return cast("list[Mapping[str, Any]]", _typed(document, key, list))


def endpoint_in(name: str, table: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint with these ``url``, ``host`` and ``port``. Raises KeyError or TypeError for anything else."""
    url = _typed(table, "url", str)
    endpoint = Endpoint(name, _typed(table, "host", str), _typed(table, "port", int), urlsplit(url).scheme)
    return endpoint if endpoint.url == url else replace(endpoint, given=url)


def _env_file(table: Mapping[str, Any]) -> EnvFileRecord:
    path = Path(_typed(table, "path", str))
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError(path)
    owner = _typed(table, "owner", str) if "owner" in table else ""
    return EnvFileRecord(path, _typed(table, "created", bool), _typed(table, "keep", bool), owner)


def _typed(table: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
    value = table[key]
    # Exactly: True would pass for a pid.
    if type(value) is not kind:
        raise TypeError(key)
    return value

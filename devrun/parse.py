"""TOML text to ``ProjectConfig``. Reports all mistakes of a file at once, each with its line.

``load`` reads the one file it is given; nothing else here touches the disk, and nothing the environment.
"""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path

from msgspec import convert, inspect

from devrun import rules, shape
from devrun.config import ProjectConfig, file_type
from devrun.document import merged_apps
from devrun.errors import ConfigError, Mistake
from devrun.places import KeyPath, Places, scan


def load(path: Path, name: str | None = None) -> tuple[ProjectConfig, Places]:
    """Read a devrun.toml: UTF-8, with or without a byte order mark. ``name``: the file's in messages.

    Raises ConfigError.
    """
    name = _named(path.name if name is None else name)
    try:
        # A pipe or a device of this name would be read for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unreadable(path, "is a folder" if path.is_dir() else "is not a regular file")
        content = path.read_bytes()
    except FileNotFoundError:
        raise _unreadable(path, "there is no such file") from None
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"not UTF-8: byte 0x{error.object[error.start]:02x}"
        raise ConfigError([Mistake(name, line, "", found, "a file in UTF-8")]) from None
    return parse(text, name)


def parse(text: str, file: str) -> tuple[ProjectConfig, Places]:
    """Return what a devrun.toml says and where it says it; ``file`` is its name in messages. Raises ConfigError."""
    document, places = _document(text, file)
    mistakes: dict[Mistake, KeyPath] = {}  # each once, though a key of [defaults] is wrong in many apps

    def report(key: KeyPath, found: str, expected: str, nearest: str | None) -> None:
        mistakes[places.mistake(key, found, expected, nearest)] = key

    rules.check(document, report)
    told = set(mistakes.values())

    def report_new(key: KeyPath, found: str, expected: str, nearest: str | None) -> None:
        # Where a rule is broken its words help more: an unknown name is often not of the form of a name either.
        if key not in told:
            report(key, found, expected, nearest)

    shape.check(document, inspect.type_info(file_type()), (), report_new)
    if mistakes:
        raise ConfigError(list(mistakes))
    merged = {key: value for key, value in document.items() if key != "defaults"}
    return convert({**merged, "apps": merged_apps(document)}, ProjectConfig), places


def _document(text: str, file: str) -> tuple[dict[str, object], Places]:
    try:
        return tomllib.loads(text), Places(file, scan(text))
    except RecursionError:
        raise ConfigError([Mistake(file, None, "", "lists or tables are nested too deeply", "")]) from None
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python converts
        raise ConfigError([_not_toml(text, file, str(error))]) from None


def _not_toml(text: str, file: str, message: str) -> Mistake:
    """tomllib says where only in its message: ``… (at line 3, column 7)`` or ``… (at end of document)``."""
    at = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if at is None:
        return Mistake(file, None, "", f"not TOML: {message}", "")
    line = int(at[1]) if at[1] else text.rstrip("\n").count("\n") + 1
    column = f" at column {at[2]}" if at[2] else " at the end of the file"
    return Mistake(file, line, "", f"not TOML: {message[: at.start()]}{column}", "")


def _unreadable(path: Path, found: str) -> ConfigError:
    return ConfigError([Mistake(_named(str(path)), None, "", found, "a file in TOML")])


def _named(path: str) -> str:
    return path if path.isprintable() else repr(path)

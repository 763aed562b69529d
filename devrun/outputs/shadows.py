"""What would win over the variables that devrun writes to an env file, in the words that a person is told.

Pure: contents and environments in, messages out. Knows in which order the frameworks read their files in development;
where the files are and who runs is for others to find out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from dotenv.parser import parse_stream

from devrun.outputs import block

MOST_KEYS = 3
"""Keys of one file that are told; more are counted."""

# Next.js, Create React App and Expo read `.env.local` after `.env.development`, Vite and what is built on it before.
_LOCAL_AFTER_MODE = ("NEXT_PUBLIC_", "REACT_APP_", "EXPO_PUBLIC_")
_ENV_FILE = re.compile(r"\.env(?:\.(?!local$)([^.]+))?(\.local)?")


def stronger(name: str, prefix: str = "") -> tuple[str, ...]:
    """The names of the files beside ``name`` that win over it in development; none for a name that no framework reads.

    Where the frameworks differ, the prefix tells which one it is; Vite's order otherwise.
    """
    match = _ENV_FILE.fullmatch(name)
    if match is None:
        return ()
    mode = match[1] or "development"
    common, local, moded = ".env", ".env.local", f".env.{mode}"
    middle = (moded, local) if prefix in _LOCAL_AFTER_MODE else (local, moded)
    order = (common, *middle, f".env.{mode}.local")
    return order[order.index(name) + 1 :]


def in_file(name: str, content: bytes, keys: Collection[str], owner: str = "") -> Iterator[str]:
    """Tell which of ``keys`` the file that holds devrun's block, or will, sets outside of it."""
    rest, at = block.blank(content, owner)
    above = [(line, key) for line, key in assignments(rest) if at is not None and line < at]
    below = [found for found in assignments(rest) if found not in above]
    yield from _told(name, above, keys, "set here, too; some programs take this one and not devrun's further down")
    yield from _told(name, below, keys, "set here, too, below devrun's lines: most programs take this one")


def in_stronger(name: str, files: Mapping[str, bytes], keys: Collection[str]) -> Iterator[str]:
    """Tell which of ``keys`` the stronger files set, that are here by their names; ``name``: where devrun sets them."""
    for other, content in files.items():
        yield from _told(other, assignments(content), keys, f"set here, too, and wins over {name}")


def in_environment(
    name: str, variables: Mapping[str, str], command: str, environment: Mapping[str, str]
) -> Iterator[str]:
    """Tell which variables a command has in its environment with another value than in the file: that one wins."""
    for key, value in variables.items():
        if environment.get(key, value) != value:
            yield f"{command}: {key} is in its environment, too, with another value, and wins over {name}"


def assignments(content: bytes) -> Iterator[tuple[int, str]]:
    """Yield line and name of every variable that an env file sets, as python-dotenv reads it."""
    text = content.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    line = 1
    for binding in parse_stream(io.StringIO(text)):
        string = binding.original.string
        blank = len(string) - len(string.lstrip())
        if binding.key is not None and not binding.error:
            yield line + string.count("\n", 0, blank), binding.key
        line += string.count("\n")


def _told(name: str, found: Iterable[tuple[int, str]], keys: Collection[str], what: str) -> Iterator[str]:
    places = [(line, key) for line, key in found if key in keys]
    for line, key in places[:MOST_KEYS]:
        yield f"{name}:{line}: {key} is {what}"
    if len(places) > MOST_KEYS:
        yield f"{name}: so are {len(places) - MOST_KEYS} more"

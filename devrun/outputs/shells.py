"""Variables as a program would set them: for POSIX shells, fish, PowerShell, as JSON and as lines of an env file.

Pure: text out of names and values. What is printed for a shell may be executed by it whatever the values are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Literal

from devrun.errors import DevrunError
from devrun.naming import refuses_name
from devrun.outputs.envfile import lines

Format = Literal["dotenv", "shell", "fish", "powershell", "json"]

# PowerShell takes the typographic quotes for the plain one, and ends the text there.
_POWERSHELL_QUOTES = re.compile("['\u2018-\u201b]")
_FISH_SPECIAL = re.compile(r"['\\]")


def render(variables: Mapping[str, str], form: Format) -> str:
    """Return the text that sets ``variables`` in the language of ``form``; it ends with a line feed.

    Raises DevrunError for what cannot be a name of a variable, or not be written to an env file.
    """
    for name, value in variables.items():
        if refuses_name(name) or "\0" in value:
            raise DevrunError(f"{name!r} cannot be a variable of the environment")
    match form:
        case "json":
            return json.dumps(dict(variables), indent=2) + "\n"
        case "dotenv":
            return "".join(f"{line}\n" for line in lines(variables))
        case _:
            return "".join(f"{_SETTING[form](name, value)}\n" for name, value in variables.items())


def _posix(name: str, value: str) -> str:
    """Nothing is special between single quotes; one of its own is put between two quoted texts."""
    return f"export {name}='" + value.replace("'", "'\\''") + "'"


def _fish(name: str, value: str) -> str:
    """The semicolon is for `eval (...)`, which joins the lines; `... | source` does not need it."""
    return f"set -gx {name} '" + _FISH_SPECIAL.sub(r"\\\g<0>", value) + "';"


def _powershell(name: str, value: str) -> str:
    return f"$env:{name} = '" + _POWERSHELL_QUOTES.sub(r"\g<0>\g<0>", value) + "'"


_SETTING: Mapping[str, Callable[[str, str], str]] = {"shell": _posix, "fish": _fish, "powershell": _powershell}

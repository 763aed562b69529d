"""The variables of devrun.toml: ``${NAME.url}`` and the like in texts, and what every endpoint gives by itself.

Pure: knows endpoints, an environment and a folder by what it is handed. ``$$`` is a dollar sign, and a ``$`` that no
``{`` follows stays as it is. Words after VS Code's ``${…}``, but a variable of the environment that is not set is an
error here and not an empty text: a URL without its host would only fail later and elsewhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from devrun.errors import DevrunError
from devrun.plan import Endpoint

PARTS = ("url", "host", "port", "ws_url")
FOLDER = "workspaceFolder"

_TOKEN = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_EXPECTED = (
    "${NAME.url}, .host, .port or .ws_url of an endpoint, ${env:NAME}, ${workspaceFolder}, or $$ for a dollar sign"
)


class Problem(Struct, frozen=True):
    """Why a variable has no value."""

    found: str
    expected: str
    nearest: str | None = None


class VariableError(DevrunError):
    """A text names a variable that has no value."""

    exit_code = 2

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        suggestion = "" if problem.nearest is None else f" (did you mean {problem.nearest!r}?)"
        super().__init__(f"{problem.found}; expected {problem.expected}{suggestion}")


def expand(text: str, endpoints: Mapping[str, Endpoint], environ: Mapping[str, str], folder: Path) -> str:
    """Return ``text`` with its variables filled in; ``folder`` is the project's.

    Raises VariableError for one that is unknown, not closed, or not set in ``environ``.
    """

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        problem = _problem(match, endpoints, environ)
        if problem is not None:
            raise VariableError(problem)
        if match[1] == FOLDER:
            return str(folder)
        if match[1].startswith("env:"):
            return environ[match[1].removeprefix("env:")]
        name, _, part = match[1].rpartition(".")
        return str(getattr(endpoints[name], part))

    return _TOKEN.sub(value, text)


def problems(text: str, known: Collection[str], environ: Mapping[str, str] | None = None) -> Iterator[Problem]:
    """Yield what ``expand`` would not accept, all of it; ``known``: the endpoints' names. No environ: any is set."""
    for match in _TOKEN.finditer(text):
        problem = None if match[0] == "$$" else _problem(match, known, environ)
        if problem is not None:
            yield problem


def names(text: str) -> tuple[str, ...]:
    """Return the endpoints that ``text`` refers to, in its order, each once."""
    found = (match[1].rpartition(".") for match in _TOKEN.finditer(text) if match[2])
    return tuple(dict.fromkeys(name for name, _, part in found if part in PARTS))


def injected(endpoints: Mapping[str, Endpoint]) -> dict[str, str]:
    """Return the variables that endpoints give: ``<NAME>_URL``, ``<NAME>_HOST`` and ``<NAME>_PORT`` of each."""
    variables: dict[str, str] = {}
    for name, endpoint in endpoints.items():
        stem = variable_stem(name)
        variables[f"{stem}_URL"] = endpoint.url
        variables[f"{stem}_HOST"] = endpoint.host
        variables[f"{stem}_PORT"] = str(endpoint.port)
    return variables


def variable_stem(name: str) -> str:
    """Return an endpoint's name as it stands in variables: ``my-api`` is ``MY_API``."""
    return name.upper().replace("-", "_")


def _problem(match: re.Match[str], known: Collection[str], environ: Mapping[str, str] | None) -> Problem | None:
    if not match[2]:
        return Problem(f"{match[0]!r} has no closing '}}'", _EXPECTED)
    kind, _, variable = match[1].partition(":")
    if kind == "env" and variable:
        unset = environ is not None and variable not in environ
        return Problem(f"{match[0]!r} is not set", f"{variable!r} in the environment of devrun") if unset else None
    name, _, part = match[1].rpartition(".")
    if match[1] == FOLDER or (name in known and part in PARTS):
        return None
    return Problem(f"unknown variable {match[0]!r}", _EXPECTED, _nearest(match[1], known))


def _nearest(text: str, known: Collection[str]) -> str | None:
    """Name and part are compared on their own: one wrong letter in each is still near."""
    kind, colon, variable = text.partition(":")
    if colon and difflib.get_close_matches(kind.lower(), ["env"]):
        return f"${{env:{variable or 'NAME'}}}"
    name, dot, part = text.replace(":", ".").partition(".")
    near = difflib.get_close_matches(name, [*known, FOLDER], 1)
    if not near:
        return None
    if near[0] == FOLDER:
        return f"${{{FOLDER}}}"
    parts = difflib.get_close_matches(part, PARTS, 1) if dot else []
    return f"${{{near[0]}.{parts[0] if parts else 'url'}}}"

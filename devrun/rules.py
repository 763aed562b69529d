"""What the types of ``config`` cannot say: names that must exist, must not clash and must not run in a circle.

Works on the parsed TOML document, and passes over what is of the wrong type (``devrun.shape`` reports that), so that
both kinds of mistakes are found at once.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from posixpath import normpath
from typing import cast

from devrun.document import Table, Tables, table, tables, texts
from devrun.externals import BadUrl, endpoint_of
from devrun.kinds import URL_PATTERN
from devrun.places import KeyPath
from devrun.shape import Report, shown
from devrun.variables import names, problems, variable_stem

_PART = "the name of an app or command"
_ENDPOINT = "the name of an app, command or external"


def check(document: Table, report: Report) -> None:
    """Report every breach of the rules in a document that still has its ``[defaults]``."""
    found = tables(document)
    _check_targets(document, found.apps, report)
    _check_names(found, report)
    _check_variable_names(found, report)
    _check_urls(found.externals, report)
    _check_ports(found, report)
    _check_dependencies(found, report)
    _check_compounds(found, report)
    _check_runs(found.commands, report)
    _check_env(found, report)
    _check_dotenv(document, found.endpoints, report)


def _near(name: str, names: Collection[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, names, 1)), None)


def _check_targets(document: Table, apps: Mapping[str, Table], report: Report) -> None:
    for name, app in table(document.get("apps")).items():
        if isinstance(app, dict) and "app" not in apps[name]:
            report(("apps", name, "app"), "missing", "an import string module:attribute, such as 'shop.main:app'", None)


_NOUNS = {"apps": "an app", "commands": "a command", "external": "an external", "compounds": "a compound"}


def _named(found: Tables) -> Iterator[tuple[str, Table]]:
    yield from (("apps", found.apps), ("commands", found.commands), ("external", found.externals))


def _check_names(found: Tables, report: Report) -> None:
    """One name, one thing: `devrun up NAME` and `${NAME.url}` must not have to guess."""
    first: dict[str, str] = {}
    for kind, entries in (*_named(found), ("compounds", found.compounds)):
        for name in entries:
            other = first.setdefault(name, kind)
            if other != kind:
                report((kind, name), f"{_NOUNS[other]} has this name, too", "another name", None)


def _check_variable_names(found: Tables, report: Report) -> None:
    first: dict[str, str] = {}
    for kind, entries in _named(found):
        for name in entries:
            other = first.setdefault(variable_stem(name), name)
            if other != name:
                variables = f"{variable_stem(name)}_URL and the like"
                report((kind, name), f"{variables} are variables of {other!r} already", "another name", None)


def _check_urls(externals: Table, report: Report) -> None:
    for name, external in externals.items():
        url = table(external).get("url")
        try:
            if isinstance(url, str) and re.search(URL_PATTERN, url):
                endpoint_of(name, url)
        except BadUrl as bad:
            report(("external", name, "url"), bad.found, bad.expected, None)


def _check_ports(found: Tables, report: Report) -> None:
    pinned: list[tuple[int, str, str]] = []
    for name, (kind, part) in found.parts.items():
        port, host = part.get("port"), part.get("host", "127.0.0.1")
        if not isinstance(port, int) or isinstance(port, bool) or port == 0 or not isinstance(host, str):
            continue
        owner = next((owner for taken, at, owner in pinned if taken == port and _overlap(at, host)), None)
        if owner is not None:
            report((kind, name, "port"), f"{port} is the port of {owner!r} already", "a port of its own, or 0", None)
        pinned.append((port, host, name))


_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_WILDCARDS = {"0.0.0.0", "::"}


def _overlap(one: str, other: str) -> bool:
    """Whether a port cannot be had on both hosts: 127.0.0.1 comes with ::1, and a wildcard is all of them."""
    return one == other or {one, other} <= _LOOPBACK or not _WILDCARDS.isdisjoint({one, other})


def _check_dependencies(found: Tables, report: Report) -> None:
    graph: dict[str, list[str]] = {}
    for name, (kind, part) in found.parts.items():
        graph[name] = []
        for index, other in texts(part.get("depends_on")):
            if other in found.parts:
                graph[name].append(other)
            else:
                what = (
                    f"{other!r} is a compound" if other in found.compounds else f"there is no app or command {other!r}"
                )
                report((kind, name, "depends_on", index), what, _PART, _near(other, found.parts))
    for circle in islice(circles(graph), _MOST_CIRCLES):
        key = (found.parts[circle[0]][0], circle[0], "depends_on")
        report(key, f"a circle: {' -> '.join(circle)}", "parts that do not wait for each other", None)


_MOST_CIRCLES = 20
"""When everything depends on everything there are more circles than anybody wants to read."""


def _check_compounds(found: Tables, report: Report) -> None:
    compounds = found.compounds
    graph: dict[str, list[str]] = {}
    for name, members in compounds.items():
        graph[name] = []
        for index, member in texts(members):
            if member in compounds and member not in found.parts:
                graph[name].append(member)
            elif member not in found.parts:
                near = _near(member, [*found.parts, *compounds])
                what = f"there is no app, command or compound {member!r}"
                report(("compounds", name, index), what, "the name of an app, command or compound", near)
    for circle in islice(circles(graph), _MOST_CIRCLES):
        key = ("compounds", circle[0])
        report(key, f"a circle: {' -> '.join(circle)}", "compounds that do not hold each other", None)


def circles(graph: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Yield circles of a graph until none is left that does not hold the last step of one before.

    Each begins and ends with the name in it that comes first in ``graph``.
    """
    left = {name: list(others) for name, others in graph.items()}
    order = {name: index for index, name in enumerate(graph)}
    while True:
        try:
            TopologicalSorter(left).prepare()
            return
        except CycleError as error:
            circle: list[str] = error.args[1][::-1]  # graphlib goes from what is needed to what needs it
        start = circle.index(min(circle, key=order.__getitem__))
        circle = [*circle[start:-1], *circle[: start + 1]] if start else circle
        left[circle[-2]] = [name for name in left[circle[-2]] if name != circle[0]]
        yield tuple(circle)


def _check_runs(commands: Mapping[str, Table], report: Report) -> None:
    for name, command in commands.items():
        run = command.get("run")
        try:
            empty = run != "" and not shlex.split(run) if isinstance(run, str) else (0, "") in texts(run)
        except ValueError as error:  # a quotation or an escape that does not end
            report(
                ("commands", name, "run"), f"{shown(run)}: {str(error).lower()}", "words as a shell takes them", None
            )
            continue
        if empty:
            what = f"{shown(run)} names no program"
            report(("commands", name, "run"), what, "a command such as 'npm run dev'", None)


def _check_env(found: Tables, report: Report) -> None:
    """What is started must know all addresses before: of a command without ``port`` nobody does."""
    late = [name for name, command in found.commands.items() if "port" not in command]
    for name, (kind, part) in found.parts.items():
        _check_texts(table(part.get("env")), (kind, name, "env"), found.endpoints, report, late)
    for name, command in found.commands.items():
        run = command.get("run")
        words = {"run": run} if isinstance(run, str) else {}
        _check_texts(words, ("commands", name), found.endpoints, report, late)
        listed = dict(texts(run))
        _check_texts(listed, ("commands", name, "run"), found.endpoints, report, late)


def _check_texts(
    found: Mapping[str, object] | Mapping[int, str],
    key: KeyPath,
    endpoints: Collection[str],
    report: Report,
    late: Collection[str] = (),
) -> None:
    for name, text in found.items():
        if not isinstance(text, str):
            continue
        for problem in problems(text, endpoints):
            report((*key, name), problem.found, problem.expected, problem.nearest)
        for other in names(text):
            if other in late:
                what = f"where {other!r} is shows only once it listens"
                report((*key, name), what, f"a `port` in [commands.{other}], such as 0: a free one", None)


def _check_dotenv(document: Table, endpoints: Collection[str], report: Report) -> None:
    files = document.get("dotenv")
    first: dict[str, int] = {}
    for index, file in enumerate(cast("list[object]", files) if isinstance(files, list) else []):
        entry = table(file)
        for at, name in texts(entry.get("only")):
            if name not in endpoints:
                found = f"there is no endpoint {name!r}"
                report(("dotenv", index, "only", at), found, _ENDPOINT, _near(name, endpoints))
        _check_texts(table(entry.get("vars")), ("dotenv", index, "vars"), endpoints, report)
        path = entry.get("path", ".env")
        other = first.setdefault(normpath(path), index) if isinstance(path, str) else index
        if other != index:
            report(("dotenv", index, "path"), f"{path!r} is the file of dotenv.{other} already", "another file", None)

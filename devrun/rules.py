"""What the types of ``config`` cannot say: names that must exist, must not clash and must not run in a circle.

Works on the parsed TOML document, and passes over what is of the wrong type (``devrun.shape`` reports that), so that
both kinds of mistakes are found at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from posixpath import normpath
from typing import cast

from devrun.config import MERGED
from devrun.externals import BadUrl, endpoint_of
from devrun.kinds import URL_PATTERN
from devrun.places import KeyPath
from devrun.shape import Report
from devrun.variables import problems, variable_stem

Table = Mapping[str, object]

_ENDPOINT = "the name of an app or external"


def check(document: Table, report: Report) -> None:
    """Report every breach of the rules in a document that still has its ``[defaults]``."""
    apps = merged_apps(document)
    externals = table(document.get("external"))
    compounds = table(document.get("compounds"))
    endpoints = [*apps, *externals]
    _check_targets(document, apps, report)
    _check_names({"apps": apps, "external": externals, "compounds": compounds}, report)
    _check_variable_names([("apps", apps), ("external", externals)], report)
    _check_urls(externals, report)
    _check_ports(apps, report)
    _check_dependencies(apps, compounds, report)
    _check_compounds(apps, compounds, report)
    _check_env(apps, endpoints, report)
    _check_dotenv(document, endpoints, report)


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


def _texts(value: object) -> Iterator[tuple[int, str]]:
    """Yield index and text of the texts in a list."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return ((index, item) for index, item in enumerate(items) if isinstance(item, str))


def _near(name: str, names: Collection[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, names, 1)), None)


def _check_targets(document: Table, apps: Mapping[str, Table], report: Report) -> None:
    for name, app in table(document.get("apps")).items():
        if isinstance(app, dict) and "app" not in apps[name]:
            report(("apps", name, "app"), "missing", "an import string module:attribute, such as 'shop.main:app'", None)


_NOUNS = {"apps": "an app", "external": "an external", "compounds": "a compound"}


def _check_names(tables: Mapping[str, Table], report: Report) -> None:
    """One name, one thing: `devrun up NAME` and `${NAME.url}` must not have to guess."""
    first: dict[str, str] = {}
    for kind, entries in tables.items():
        for name in entries:
            other = first.setdefault(name, kind)
            if other != kind:
                report((kind, name), f"{_NOUNS[other]} has this name, too", "another name", None)


def _check_variable_names(tables: Iterable[tuple[str, Table]], report: Report) -> None:
    first: dict[str, str] = {}
    for kind, entries in tables:
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


def _check_ports(apps: Mapping[str, Table], report: Report) -> None:
    pinned: list[tuple[int, str, str]] = []
    for name, app in apps.items():
        port, host = app.get("port"), app.get("host", "127.0.0.1")
        if not isinstance(port, int) or isinstance(port, bool) or port == 0 or not isinstance(host, str):
            continue
        owner = next((owner for taken, at, owner in pinned if taken == port and _overlap(at, host)), None)
        if owner is not None:
            report(("apps", name, "port"), f"{port} is the port of {owner!r} already", "a port of its own, or 0", None)
        pinned.append((port, host, name))


_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_WILDCARDS = {"0.0.0.0", "::"}


def _overlap(one: str, other: str) -> bool:
    """Whether a port cannot be had on both hosts: 127.0.0.1 comes with ::1, and a wildcard is all of them."""
    return one == other or {one, other} <= _LOOPBACK or not _WILDCARDS.isdisjoint({one, other})


def _check_dependencies(apps: Mapping[str, Table], compounds: Table, report: Report) -> None:
    graph: dict[str, list[str]] = {}
    for name, app in apps.items():
        graph[name] = []
        for index, other in _texts(app.get("depends_on")):
            if other in apps:
                graph[name].append(other)
            else:
                found = f"{other!r} is a compound" if other in compounds else f"there is no app {other!r}"
                report(("apps", name, "depends_on", index), found, "the name of an app", _near(other, apps))
    for circle in islice(circles(graph), _MOST_CIRCLES):
        key = ("apps", circle[0], "depends_on")
        report(key, f"a circle: {' -> '.join(circle)}", "apps that do not wait for each other", None)


_MOST_CIRCLES = 20
"""When everything depends on everything there are more circles than anybody wants to read."""


def _check_compounds(apps: Mapping[str, Table], compounds: Table, report: Report) -> None:
    graph: dict[str, list[str]] = {}
    for name, members in compounds.items():
        graph[name] = []
        for index, member in _texts(members):
            if member in compounds and member not in apps:
                graph[name].append(member)
            elif member not in apps:
                found = f"there is no app or compound {member!r}"
                near = _near(member, [*apps, *compounds])
                report(("compounds", name, index), found, "the name of an app or compound", near)
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


def _check_env(apps: Mapping[str, Table], endpoints: Collection[str], report: Report) -> None:
    for name, app in apps.items():
        _check_texts(table(app.get("env")), ("apps", name, "env"), endpoints, report)


def _check_texts(texts: Table, key: KeyPath, endpoints: Collection[str], report: Report) -> None:
    for name, text in texts.items():
        for problem in problems(text, endpoints) if isinstance(text, str) else ():
            report((*key, name), problem.found, problem.expected, problem.nearest)


def _check_dotenv(document: Table, endpoints: Collection[str], report: Report) -> None:
    files = document.get("dotenv")
    first: dict[str, int] = {}
    for index, file in enumerate(cast("list[object]", files) if isinstance(files, list) else []):
        entry = table(file)
        for at, name in _texts(entry.get("only")):
            if name not in endpoints:
                found = f"there is no endpoint {name!r}"
                report(("dotenv", index, "only", at), found, _ENDPOINT, _near(name, endpoints))
        _check_texts(table(entry.get("vars")), ("dotenv", index, "vars"), endpoints, report)
        path = entry.get("path", ".env")
        other = first.setdefault(normpath(path), index) if isinstance(path, str) else index
        if other != index:
            report(("dotenv", index, "path"), f"{path!r} is the file of dotenv.{other} already", "another file", None)

"""What ``devrun init`` writes, as data: from what was found in a project to names, working directories and env files.

Pure: paths are texts relative to the project, with slashes. Text is made of it by ``outputs.draft``.
"""

from __future__ import annotations

import keyword
import re
import sys
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import chain, count
from posixpath import dirname

from msgspec import Struct

from devrun.asgi import Found, Refused
from devrun.config import App, EnvFile, ProjectConfig
from devrun.frontends import Frontend
from devrun.variables import variable_stem


class Layout(Struct, frozen=True):
    """The Python side of a project.

    ``files``: every Python file with the top-level names that it imports. ``projects``: folders with a pyproject.toml
    or the like of their own. ``venvs``: folders with a .venv.
    """

    name: str
    files: Mapping[str, frozenset[str]]
    projects: frozenset[str] = frozenset()
    venvs: frozenset[str] = frozenset()


class Findings(Struct, frozen=True):
    """All that a survey of a project's folder found. ``managers``: what runs the scripts of a frontend, by folder."""

    layout: Layout
    apps: tuple[Found, ...] = ()
    refused: tuple[Refused, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    managers: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()


class DraftApp(Struct, frozen=True):
    """An app of the file, and where it was found."""

    name: str
    app: App
    found: Found


class DraftFile(Struct, frozen=True):
    """An env file of the file, and the frontend that reads it. ``variable``: one that it will hold."""

    file: EnvFile
    frontend: Frontend
    variable: str


class DraftCommand(Struct, frozen=True):
    """A dev server: the table that runs it."""

    name: str
    run: str
    cwd: str | None


class Draft(Struct, frozen=True):
    """A devrun.toml to be."""

    apps: tuple[DraftApp, ...]
    files: tuple[DraftFile, ...] = ()
    commands: tuple[DraftCommand, ...] = ()
    notes: tuple[str, ...] = ()

    def config(self) -> ProjectConfig:
        """What the file must mean."""
        apps = {one.name: one.app for one in self.apps}
        files = tuple(one.file for one in self.files)
        return ProjectConfig(apps=apps, dotenv=files) if files else ProjectConfig(apps=apps)


def propose(findings: Findings) -> Draft:
    """Return the file that fits what was found. What cannot be written is told in ``notes``."""
    notes = [f"{one.file}: {one.framework} {one.reason}" for one in findings.refused]
    homes = {one: home for one in findings.apps if (home := base(one.file, findings.layout)) is not None}
    for one in findings.apps:
        if one not in homes:
            notes.append(f"{one.file}: Python cannot import a file of this name, so it is left out")
    names = app_names(list(homes), findings.layout.name)
    apps = tuple(
        DraftApp(names[one], _app(one, home, findings.layout), one)
        for one, home in sorted(homes.items(), key=lambda pair: (pair[0].file, pair[0].attribute))
    )
    files = tuple(_files(findings.frontends, apps, notes))
    commands = tuple(_commands(findings, {one.name for one in apps}))
    return Draft(apps, files, commands, (*notes, *findings.notes))


# --- where an app is imported from ------------------------------------------------------------------------------------


def base(file: str, layout: Layout) -> str | None:
    """Return the folder from which the import string of a file works: its ``cwd``.

    The folder from which most of what the files around it import is found there. Where that does not tell: a folder
    named src, then one that is a project of its own, then the nearest that is no package. None: none will do.
    """
    candidates = list(_candidates(file, layout))
    if not candidates:
        return None
    around = dirname(file)
    imports = {name for path, names in layout.files.items() if _below(path, around) for name in names}
    imports -= sys.stdlib_module_names  # a folder `logging` is more often a name alike than what is meant
    folders = {folder for path in layout.files for folder in _parents(path)}

    def rank(folder: str) -> tuple[int, bool, bool]:
        found = sum(_join(folder, f"{name}.py") in layout.files or _join(folder, name) in folders for name in imports)
        return found, folder.rpartition("/")[2] == "src", folder in layout.projects

    return max(candidates, key=rank)


def _candidates(file: str, layout: Layout) -> Iterator[str]:
    """The folders above a file, nearest first, that are no package and below which every part is an identifier."""
    *folders, last = file.removesuffix(".py").split("/")
    parts = [] if last == "__init__" else [last]
    for depth in range(len(folders), -1, -1):
        folder = "/".join(folders[:depth])
        # The project's own folder is never meant to be a package.
        is_package = depth > 0 and _join(folder, "__init__.py") in layout.files
        if parts and not is_package and all(map(_is_name, parts)):
            yield folder
        if depth:
            parts.insert(0, folders[depth - 1])


def _is_name(part: str) -> bool:
    return part.isidentifier() and not keyword.iskeyword(part)


def _app(one: Found, home: str, layout: Layout) -> App:
    module = one.file.removesuffix(".py").removesuffix("/__init__")[len(home) :].strip("/").replace("/", ".")
    return App(
        app=f"{module}:{one.attribute}", factory=one.factory, cwd=home or None, python=_interpreter(home, layout)
    )


def _interpreter(home: str, layout: Layout) -> str | None:
    """Named where devrun would not find it by itself: it looks in ``cwd`` and in the project's folder."""
    for folder in (home, *_parents(home)):
        if folder in layout.venvs:
            return None if folder in (home, "") else f"{folder}/.venv/bin/python"
    return None


# --- names ------------------------------------------------------------------------------------------------------------

_USUAL = frozenset(
    (
        *("app", "apps", "application", "asgi", "main", "server", "src", "__init__", "__main__", "create", "make"),
        *("build", "get", "factory", "services", "packages", "core", "lib", "python", "py", "run", "bootstrap", "init"),
    )
)
"""Words that tell nothing about an app."""


def app_names(apps: list[Found], project: str) -> dict[Found, str]:
    """Return a name for each: of the nearest folder or file that tells something, of its attribute where a file has
    several; no two give the same variables."""
    crowds = Counter(one.file for one in apps)
    names: dict[Found, str] = {}
    taken: set[str] = set()
    for one in sorted(apps, key=lambda one: (one.file.count("/"), one.file, one.attribute)):
        name = _free([*_words(one, crowds[one.file] > 1), slug(project) or "api"], taken)
        taken.add(variable_stem(name))
        names[one] = name
    return names


def _free(options: list[str], taken: Container[str]) -> str:
    """The first of these names whose variables are nobody's; else the first one with a number."""
    numbered = (f"{options[0]}-{number}" for number in count(2))
    return next(name for name in chain(options, numbered) if variable_stem(name) not in taken)


def _words(one: Found, crowded: bool) -> Iterator[str]:
    """The names that an app may have, best first, all of them valid."""
    attribute = _telling(re.sub("^(create|make|build|get)_|_?(app|application|factory)$", "", one.attribute))
    folders = [_telling(part) for part in reversed(one.file.removesuffix(".py").split("/"))]
    words = [word for word in folders if word]
    if attribute and (crowded or not words):
        words.insert(0, attribute)
    yield from words[:1] or ["api"]
    if len(words) > 1:
        yield f"{words[1]}-{words[0]}"


def _telling(part: str) -> str:
    word = slug(part)
    return "" if part.lower() in _USUAL or word in _USUAL else word


def slug(text: str) -> str:
    """Return a text as a name of devrun.toml; empty if nothing is left of it."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")


# --- frontends --------------------------------------------------------------------------------------------------------


def _files(frontends: Iterable[Frontend], apps: tuple[DraftApp, ...], notes: list[str]) -> Iterator[DraftFile]:
    taken: dict[str, Frontend] = {}
    for one in frontends:
        if one.path.startswith(("/", "../")):
            notes.append(f"{_place(one)}: it reads {one.path}, which is outside this folder, so it is left out")
            continue
        other = taken.setdefault(one.path, one)
        if other is not one and other.prefix != one.prefix:
            notes.append(f"{one.path} is read by {_place(other)} and by {_place(one)}: only {other.prefix} is written")
        if other is one:
            stem = variable_stem(apps[0].name) if apps else "API"
            yield DraftFile(EnvFile(path=one.path, prefix=one.prefix), one, f"{one.prefix}{stem}_URL")


def _place(frontend: Frontend) -> str:
    return _join(frontend.folder, "package.json")


def _commands(findings: Findings, taken: set[str]) -> Iterator[DraftCommand]:
    stems = {variable_stem(name) for name in taken}
    for one in findings.frontends:
        if one.script is None:
            continue
        word = slug(one.folder.rpartition("/")[2])
        name = _free(["web" if word in ("", "frontend", "client", "ui") else word, "frontend"], stems)
        stems.add(variable_stem(name))
        program = (findings.managers or {}).get(one.folder, "npm")
        yield DraftCommand(name, f"{program} run {one.script}", one.folder or None)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _below(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def _parents(path: str) -> Iterator[str]:
    """The folders above a path, the nearest first, the project's own ("") last."""
    while path:
        path = dirname(path)
        yield path

"""Looks through a project's folder for what ``devrun init`` can write down: Python files, package.json, lock files.

Reads the disk; runs nothing, imports nothing and follows no link. What makes an app is ``asgi``'s to know, what makes
a frontend is ``frontends``'.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from posixpath import basename
from typing import Any, cast

from msgspec import Struct, field

from devrun.asgi import FRAMEWORKS, WORDS, Found, Sources
from devrun.frontends import FRAMEWORKS as FRONTENDS
from devrun.frontends import Frontend, manager, recognise
from devrun.matching import MARKERS, is_pruned
from devrun.proposal import Findings, Layout
from devrun.sources import Module, read

MOST_FOLDERS = 20_000
"""A home folder must not be read whole."""
_LARGEST = 1_000_000
_LEFT_OUT = frozenset(
    (
        *("test", "tests", "testing", "e2e", "conftest", "example", "examples", "sample", "samples", "demo", "demos"),
        *(
            "doc",
            "docs",
            "docs_src",
            "tutorial",
            "tutorials",
            "snippets",
            "benchmark",
            "benchmarks",
            "bench",
            "fixtures",
        ),
        *("migrations", "alembic", "vendor", "third_party", "node", "env", "virtualenv", "bower_components", "out"),
    )
)
"""Names of folders whose apps nobody means to run from the project's own folder."""
_TEST_FILE = re.compile(r"(test_.*|.*_test|tests?|conftest|setup|noxfile|fabfile)\.py")
_IMPORTS = re.compile(rb"^[ \t]*(?:from|import)[ \t]+(\w+)", re.MULTILINE)
_OWN_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "manage.py", ".venv")
_CONFIGS = frozenset(name for one in FRONTENDS for name in one.configs)
_ROUNDS = 3
"""How far an app may be from its framework: a factory in one file, the call in the next, and so on."""


class _Seen(Struct):
    """What the walk collects, by paths relative to the project."""

    python: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    projects: set[str] = field(default_factory=set[str])
    venvs: set[str] = field(default_factory=set[str])
    packages: list[tuple[str, frozenset[str]]] = field(default_factory=list[tuple[str, frozenset[str]]])
    notes: list[str] = field(default_factory=list[str])


def survey(folder: Path) -> Findings:
    """Return what there is below ``folder``, the project to be."""
    seen = _Seen()
    _walk(folder, seen)
    modules = _modules(folder, seen)
    sources = Sources(modules)
    apps = sources.apps()
    apps += _entry_points(folder, seen, apps)
    frontends, managers = _frontends(folder, seen)
    layout = Layout(
        name=folder.name,
        files=seen.python,
        projects=frozenset(seen.projects),
        venvs=frozenset(seen.venvs),
    )
    return Findings(layout, tuple(apps), tuple(sources.refused()), frontends, managers, tuple(seen.notes))


def _imported(content: bytes) -> frozenset[str]:
    return frozenset(name.decode("utf-8", "replace") for name in _IMPORTS.findall(content))


# --- the walk ---------------------------------------------------------------------------------------------------------


def _walk(top: Path, seen: _Seen) -> None:
    queue = deque([""])
    count = 0
    while queue:
        folder = queue.popleft()
        count += 1
        if count > MOST_FOLDERS:
            seen.notes.append(f"more than {MOST_FOLDERS:,} folders: the rest was not looked at")
            return
        entries = _entries(top / folder)
        names = frozenset(entry.name for entry in entries)
        if folder and not MARKERS.isdisjoint(names):
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not _is_left_out(entry.name):
                    queue.append(path)
            elif entry.name.endswith(".py") and (content := _content(top / path)) is not None:
                seen.python[path] = _imported(content)
        _note_folder(top, folder, names, seen)


def _note_folder(top: Path, folder: str, names: frozenset[str], seen: _Seen) -> None:
    if not names.isdisjoint(_OWN_PROJECT):
        seen.projects.add(folder)
    if ".venv" in names and (top / folder / ".venv/bin/python").is_file():
        seen.venvs.add(folder)
    if "package.json" in names:
        seen.packages.append((folder, names))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """In the order of their names; without those that no file in UTF-8 can name."""
    try:
        with os.scandir(folder) as listing:
            return sorted((entry for entry in listing if entry.name.isprintable()), key=lambda entry: entry.name)
    except OSError:
        return []


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or "{{" in name or name.lower() in _LEFT_OUT or is_pruned(name)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes() if file.is_file() and file.stat().st_size <= _LARGEST else None
    except OSError:
        return None


# --- Python -----------------------------------------------------------------------------------------------------------


def _modules(top: Path, seen: _Seen) -> dict[str, Module]:
    """The files that may have to do with an app: those that name a framework, then those that use what these make."""
    modules: dict[str, Module] = {}
    words: Sequence[str] = WORDS
    left = [path for path in seen.python if not _TEST_FILE.fullmatch(basename(path))]
    for _ in range(_ROUNDS):
        wanted = re.compile(rb"\b(" + "|".join(map(re.escape, words)).encode() + rb")\b")
        new = {path: content for path in left if (content := _content(top / path)) and wanted.search(content)}
        left = [path for path in left if path not in new]
        for path, content in new.items():
            try:
                modules[path] = read(content)
            except SyntaxError as error:
                where = f"{path}:{error.lineno}" if error.lineno else path
                seen.notes.append(f"{where}: not Python that devrun can read ({error.msg}), so it is left out")
        words = sorted(Sources(modules).makers())
        if not new or not words:
            break
    return dict(sorted(modules.items()))


def _entry_points(top: Path, seen: _Seen, apps: Sequence[Found]) -> Iterator[Found]:
    """``[tool.fastapi] entrypoint`` of each pyproject.toml, where the source alone did not tell."""
    known = {(one.file, one.attribute) for one in apps}
    for folder in sorted(seen.projects):
        prefix = f"{folder}/" if folder else ""
        entry = _fastapi_entry(top / folder / "pyproject.toml")
        if entry is None:
            continue
        module, _, attribute = entry.partition(":")
        stem = module.replace(".", "/")
        files = [f"{prefix}{source}{stem}{end}" for source in ("", "src/") for end in (".py", "/__init__.py")]
        file = next((one for one in files if one in seen.python), None)
        if file is None:
            seen.notes.append(f"{prefix}pyproject.toml: there is no file for the entrypoint {entry!r} of tool.fastapi")
        elif (file, attribute or "app") not in known:
            yield Found(file, attribute or "app", FRAMEWORKS["fastapi.FastAPI"])


def _fastapi_entry(file: Path) -> str | None:
    try:
        document: Any = tomllib.loads(file.read_text("utf-8"))
        entry = document["tool"]["fastapi"]["entrypoint"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return entry if isinstance(entry, str) and re.fullmatch(r"\w+(\.\w+)*(:\w+)?", entry) else None


# --- frontends --------------------------------------------------------------------------------------------------------


def _frontends(top: Path, seen: _Seen) -> tuple[tuple[Frontend, ...], dict[str, str]]:
    found: list[Frontend] = []
    managers: dict[str, str] = {}
    for folder, names in seen.packages:
        package = _package(top / folder / "package.json")
        configs = {name: _text(top / folder / name) for name in names & _CONFIGS}
        program = manager(package, names)
        if program is not None:
            managers[folder] = program
        one = recognise(folder, package, names, configs)
        if one is not None and not (top / one.path).parent.is_dir():
            seen.notes.append(f"{folder}/package.json: it reads {one.path}, whose folder is not there")
        elif one is not None:
            found.append(one)
            managers.setdefault(folder, _inherited(folder, managers))
    return tuple(found), managers


def _inherited(folder: str, managers: dict[str, str]) -> str:
    """A workspace has one lock file, at its top."""
    while folder:
        folder = folder.rpartition("/")[0]
        if folder in managers:
            return managers[folder]
    return "npm"


def _package(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _text(file: Path) -> str:
    content = _content(file)
    return "" if content is None else content.decode("utf-8", "replace")

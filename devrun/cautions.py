"""What a person should know about the env files of a stack: what wins over them, and what git does with them.

Looks at the disk and asks git; changes nothing, and says nothing where it cannot look. May take a moment: the loop
should not wait for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from devrun.envfiles import Wanted, merged
from devrun.outputs import shadows
from devrun.outputs.writer import shown
from devrun.project import Project

PATIENCE = 2.0
"""Seconds that git gets: a repository may be huge, or on a slow disk."""
_LARGEST = 1_000_000
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Set by git itself for a hook that starts devrun: they name another repository than the file's."""

Environments = Mapping[str, Mapping[str, str]]
"""What each command of the stack has in its environment."""


def cautions(
    wanted: Iterable[Wanted], project: Project, environ: Mapping[str, str], commands: Environments
) -> Iterator[str]:
    """Yield one line for each thing to know, in the order of the files."""
    for file, variables in merged(wanted):
        name = shown(os.path.relpath(file.path, project.folder))
        real = Path(os.path.realpath(file.path))
        yield from shadows.in_file(name, _read(file.path), variables, project.owner_in(real))
        others = [file.path.with_name(sibling) for sibling in shadows.stronger(file.path.name, file.prefix)]
        contents = {shown(os.path.relpath(path, project.folder)): _read(path) for path in others}
        yield from shadows.in_stronger(name, contents, variables)
        for command, environment in commands.items():
            yield from shadows.in_environment(name, variables, command, environment)
        yield from in_git(name, real, environ)


def in_git(name: str, file: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Tell that git would commit the file; nothing where there is no git, no repository, or no answer in time."""
    if _git(file, environ, "check-ignore", "--quiet") != 1:
        return
    if _git(file, environ, "ls-files", "--error-unmatch") == 0:
        yield f"{name} is tracked by git, and would be committed with today's addresses: git rm --cached {name}"
    else:
        yield f"{name} is not ignored by git: add it to .gitignore"


def _git(file: Path, environ: Mapping[str, str], *question: str) -> int | None:
    try:
        return subprocess.run(
            ["git", *question, "--", file.name],
            cwd=file.parent,
            env={**{key: value for key, value in environ.items() if key not in _ELSEWHERE}, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        ).returncode
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""

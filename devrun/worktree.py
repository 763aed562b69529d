"""Which branch of git a folder is on, read off the files of git: no program is started for it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_HEADS = "ref: refs/heads/"
_POINTER = "gitdir:"
_SHORT = 8


def branch_of(folder: Path) -> str | None:
    """Return the branch, or the short name of a commit that is checked out without one; None outside of git."""
    head = _head(folder)
    return _branch(head) or (head[:_SHORT] if head and not head.startswith("ref:") else None)


def branch_or_folder(folder: Path) -> str:
    """Return the branch; the folder's name where there is none."""
    return _branch(_head(folder)) or folder.name


def _branch(head: str) -> str | None:
    # ".invalid": the branches are in a reftable, which git alone can read.
    name = head.removeprefix(_HEADS)
    return name if name not in (head, ".invalid") else None


def _head(folder: Path) -> str:
    """What is checked out: a reference or a commit; nothing outside of git."""
    with suppress(OSError):
        for place in (folder, *folder.parents):
            git = _git_folder(place / ".git")
            if git is not None:
                return _read(git / "HEAD").strip()
    return ""


def _git_folder(git: Path) -> Path | None:
    """In a worktree and in a submodule ``.git`` is a file that says where the folder is."""
    if git.is_dir():
        return git
    if not git.is_file():
        return None
    text = _read(git)
    return git.parent / text.removeprefix(_POINTER).strip() if text.startswith(_POINTER) else None


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        return os.fsdecode(stream.read(4096))

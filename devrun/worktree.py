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
    with suppress(OSError):
        for place in (folder, *folder.parents):
            git = _git_folder(place / ".git")
            if git is not None:
                return _head(git)
    return None


def _git_folder(git: Path) -> Path | None:
    """In a worktree and in a submodule ``.git`` is a file that says where the folder is."""
    if git.is_dir():
        return git
    if not git.is_file():
        return None
    text = _read(git)
    return git.parent / text.removeprefix(_POINTER).strip() if text.startswith(_POINTER) else None


def _head(git: Path) -> str | None:
    head = _read(git / "HEAD").strip()
    if head.startswith(_HEADS):
        return head.removeprefix(_HEADS)
    return head[:_SHORT] if head and not head.startswith("ref:") else None


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        return os.fsdecode(stream.read(4096))

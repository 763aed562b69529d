"""The header that says who answers, and the branch in it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.identity import Identity, read
from devrun.worktree import branch_or_folder as where

TEXTS = st.text(st.characters(exclude_categories=()), min_size=1).filter(lambda text: "\0" not in text)


def test_it_reads_well() -> None:
    assert str(Identity("shop-1a2b3c4d", "api", "feature/basket")) == "shop-1a2b3c4d/api@feature/basket"


@given(TEXTS, st.from_regex(r"[a-z][a-z0-9_-]*", fullmatch=True), TEXTS)
def test_any_names_make_a_header_and_come_back(stack: str, app: str, branch: str) -> None:
    # Lone surrogates beyond those of file names cannot be names on any disk or in any TOML file.
    stack, branch = (os.fsdecode(name.encode("utf-8", "replace")) for name in (stack, branch))
    value = str(Identity(stack, app, branch))
    assert re.fullmatch(r"[!-~]+", value)
    assert read(value) == Identity(stack, app, branch)


def test_a_file_name_that_is_not_utf8() -> None:
    name = os.fsdecode(b"sh\xf6p")
    assert str(Identity("shop-1", "api", name)) == "shop-1/api@sh%F6p"


@pytest.mark.parametrize("value", ["", "shop", "shop/api", "shop@main", "a/b/c@main", "shop 1/api@main", "shop/api@ä"])
def test_what_somebody_else_has_made(value: str) -> None:
    assert read(value) is None


def git(folder: Path, *arguments: str) -> None:
    own = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_branch_of_a_repository_and_of_its_worktrees(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    (shop / "services" / "api").mkdir(parents=True)
    assert where(shop) == "shop"
    git(shop, "init")
    assert where(shop / "services" / "api") == where(shop) == "main", "before the first commit, too"
    git(shop, "commit", "--allow-empty", "-m", "one")
    git(shop, "switch", "-c", "feature/bäsket")
    assert where(shop) == "feature/bäsket"
    git(shop, "worktree", "add", "-b", "other", str(tmp_path / "tree"))
    assert where(tmp_path / "tree") == "other"
    git(tmp_path / "tree", "switch", "--detach")
    assert where(tmp_path / "tree") == "tree"


def test_git_files_that_are_damaged(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    (shop / ".git").mkdir(parents=True)
    assert where(shop) == "shop", "no HEAD"
    (shop / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    assert where(shop) == "shop", "a reftable"
    tree = tmp_path / "tree"
    tree.mkdir()
    for text in ("gitdir: /no/such/folder\n", "something else\n", ""):
        (tree / ".git").write_text(text)
        assert where(tree) == "tree"

"""The walk: what is gone into, and what is left out before it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import devrun.folders
from devrun.folders import Tree, file_stamp, identity, stamp, walk
from devrun.matching import Root


def make(folder: Path, *paths: str) -> None:
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir() if path.endswith("/") else target.write_text("x")


def walked(folder: Path, *roots: Root, asked: str = "", skipped: str = "") -> Tree:
    return walk(
        [Root(str(folder)), *roots],
        lambda path: bool(asked) and path.endswith(asked),
        lambda path: bool(skipped) and path.endswith(skipped),
    )


def names(tree: Tree, folder: Path) -> list[str]:
    return sorted(os.path.relpath(path, folder) for path in tree.folders)


def test_folders_that_are_nobodys_own_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "shop/api/m.py", "node_modules/x/y/z.js", ".git/a", "shop/__pycache__/a", "shop.egg-info/x", "big/a")
    make(tmp_path, "env/pyvenv.cfg", "env/lib/x.py", "out/CACHEDIR.TAG", "out/deep/x")
    assert names(walked(tmp_path, skipped="/big"), tmp_path) == [".", "shop", "shop/api"]


def test_a_root_is_never_left_out(tmp_path: Path) -> None:
    make(tmp_path, "pyvenv.cfg", "dist/js/a.js", "dist/node_modules/x/a.js")
    assert names(walked(tmp_path, Root(str(tmp_path / "dist"))), tmp_path) == [".", "dist", "dist/js"]


def test_a_shallow_root_is_watched_alone_and_hides_nothing(tmp_path: Path) -> None:
    make(tmp_path, "p/m.py", "q/r/a.txt", "q/a.txt")
    shallow = Root(str(tmp_path / "q"), deep=False)
    tree = walked(tmp_path / "p", shallow, asked=".txt")
    assert names(tree, tmp_path) == ["p", "q"]
    assert list(tree.files) == [str(tmp_path / "q/a.txt")]
    assert names(walked(tmp_path / "p", shallow, Root(str(tmp_path / "q"))), tmp_path) == ["p", "q", "q/r"]


def test_files_that_are_asked_for_are_found_with_their_stamps(tmp_path: Path) -> None:
    make(tmp_path, "a.sql", "x/b.sql", "x/c.py")
    (tmp_path / "x" / "dangling.sql").symlink_to("nowhere")
    found = walked(tmp_path, asked=".sql").files
    assert found == {str(path): stamp(str(path)) for path in (tmp_path / "a.sql", tmp_path / "x/b.sql")}


def test_links_are_followed_once_to_where_they_lead(tmp_path: Path) -> None:
    make(tmp_path, "p/pkg/m.py", "elsewhere/deep/m.py", "p/.venv/site-packages/x.py")
    os.symlink("..", tmp_path / "p/pkg/up")  # to the project
    os.symlink(".", tmp_path / "p/pkg/self")
    os.symlink("../..", tmp_path / "p/pkg/above")  # to the parent of the project
    os.symlink(tmp_path / "elsewhere", tmp_path / "p/one")
    os.symlink(tmp_path / "elsewhere", tmp_path / "p/two")
    os.symlink("loop", tmp_path / "p/loop")
    os.symlink(".venv/site-packages", tmp_path / "p/packages")
    tree = walked(tmp_path / "p")
    assert names(tree, tmp_path) == ["elsewhere", "elsewhere/deep", "p", "p/pkg"]
    real = tmp_path / "elsewhere/deep/m.py"
    both = {str(tmp_path / "p" / link / "deep/m.py") for link in ("one", "two")}
    assert {str(real)} | both == set(tree.names(str(real)))


def test_a_linked_root_goes_by_both_names(tmp_path: Path) -> None:
    make(tmp_path, "real/m.py")
    os.symlink("real", tmp_path / "link")
    tree = walked(tmp_path / "link")
    assert names(tree, tmp_path) == ["real"]
    assert tree.names(str(tmp_path / "real/m.py"))[1] == str(tmp_path / "link/m.py")


def test_a_linked_file_is_watched_where_it_is(tmp_path: Path) -> None:
    make(tmp_path, "p/m.py", "common/base.html")
    os.symlink("../common/base.html", tmp_path / "p/base.html")
    tree = walked(tmp_path / "p", asked=".html")
    assert names(tree, tmp_path) == ["common", "p"]
    assert list(tree.files) == [str(tmp_path / "common/base.html")]


def test_a_root_may_be_a_file_or_missing(tmp_path: Path) -> None:
    make(tmp_path, "p/m.py", "s/schema.sql", "s/deep/x")
    tree = walked(tmp_path / "p", Root(str(tmp_path / "s/schema.sql")), Root(str(tmp_path / "gone")))
    assert names(tree, tmp_path) == ["p", "s"]
    assert list(tree.files) == [str(tmp_path / "s/schema.sql")]
    assert tree.missing == {str(tmp_path / "gone")}


def test_too_many_folders_are_cut_near_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/deep/x", "b/x")
    monkeypatch.setattr(devrun.folders, "MOST_FOLDERS", 3)
    tree = walked(tmp_path)
    assert tree.cut
    assert names(tree, tmp_path) == [".", "a", "b"]


def test_a_folder_that_vanishes_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a/x", "b/x")

    def vanish(path: str) -> bool:
        if path.endswith("/b"):
            (tmp_path / "b/x").unlink()
            (tmp_path / "b").rmdir()
        return False

    tree = walk([Root(str(tmp_path))], lambda _: False, vanish)
    assert names(tree, tmp_path) == [".", "a"]


def test_a_name_that_is_not_utf_8_harms_nothing(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    assert names(walked(tmp_path), tmp_path) == ["."]


def test_stamps_and_identities(tmp_path: Path) -> None:
    make(tmp_path, "a")
    found = os.stat(tmp_path / "a")
    assert stamp(str(tmp_path / "a")) == (found.st_mtime_ns, found.st_size, found.st_ino)
    assert file_stamp(str(tmp_path / "a")) == stamp(str(tmp_path / "a"))
    assert stamp(str(tmp_path)) is not None
    assert file_stamp(str(tmp_path)) is None
    for path in (str(tmp_path / "gone"), "nul\0"):
        assert (stamp(path), file_stamp(path), identity(path)) == (None, None, None)
    assert identity(str(tmp_path / "a")) is None
    assert identity(str(tmp_path)) == (os.stat(tmp_path).st_dev, os.stat(tmp_path).st_ino)

"""What ``watch`` and ``ignore`` entries mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from devrun.matching import Interest, Root, below, interest, interest_in, is_junk, is_pruned, read_entry
from devrun.plan import AppPlan

FOLDERS = {"/p/api/sql", "/p/shared", "/p/api/dist", "/p/api", "/srv/common"}


def plan(watch: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> AppPlan:
    return AppPlan(
        name="api",
        target="m:app",
        factory=False,
        cwd=Path("/p/api"),
        python=Path("/usr/bin/python3"),
        port=0,
        host="127.0.0.1",
        env={},
        env_file={},
        watch=watch,
        ignore=ignore,
        depends_on=(),
        health=None,
        reload=True,
        grace=1.0,
        open=None,
    )


def read(watch: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> Interest:
    return interest(plan(watch, ignore), "/p", FOLDERS.__contains__)


@pytest.mark.parametrize(
    ("entry", "path", "wanted"),
    [
        ("sql", "/p/api/sql/a.sql", True),
        ("sql", "/p/api/sql/deep/er/a.sql", True),
        ("sql/", "/p/api/sql/a.sql", True),
        ("./sql", "/p/api/sql/a.sql", True),
        ("sql", "/p/api/other/sql/a.sql", False),  # the folder that is there is the one that is meant
        ("sql", "/p/api/sqlite/a.sql", False),
        ("../shared", "/p/shared/a.py", True),
        ("../shared", "/p/shared2/a.py", False),
        ("/srv/common", "/srv/common/a.txt", True),
        (".", "/p/api/a.txt", True),
        (".", "/p/api/node_modules/a.txt", False),
        ("sql", "/p/api/sql/__pycache__/a.txt", False),
        ("sql", "/p/api/sql/x.egg-info/a.txt", False),
        ("dist", "/p/api/dist/a.js", True),  # named, so not left out
        ("dist/*.js", "/p/api/dist/a.js", True),
        ("dist/*.js", "/p/api/dist/sub/a.js", False),
        ("*.sql", "/p/api/a.sql", True),
        ("*.sql", "/p/api/x/y/a.sql", True),
        ("*.sql", "/p/api/node_modules/a.sql", False),
        ("*.sql", "/p/web/a.sql", False),
        ("*.sql", "/p/api/a.sqlx", False),
        ("x/*.sql", "/p/api/x/a.sql", True),
        ("x/*.sql", "/p/api/y/x/a.sql", False),
        ("templates/**/*.html", "/p/api/templates/a.html", True),
        ("templates/**/*.html", "/p/api/templates/b/c/a.html", True),
        ("templates/**/*.html", "/p/api/templates/b/c/a.txt", False),
        ("**/t/*.html", "/p/api/q/t/a.html", True),
        ("**/t", "/p/api/q/t/a.html", True),
        ("t/**", "/p/api/t/q/a.html", True),
        ("t?", "/p/api/t1/a.html", True),  # what matches a folder matches all below it
        ("t?/", "/p/api/t1/a.html", True),
        ("t?/", "/p/api/t1", False),
        ("[ab].txt", "/p/api/b.txt", True),
        ("../x/*.txt", "/p/x/a.txt", True),
        ("../*.txt", "/p/a.txt", True),
        ("../*.txt", "/p/x/a.txt", False),
        ("later", "/p/api/later/a.txt", True),  # not there yet: at any depth
        ("later", "/p/api/q/later/a.txt", True),
        ("later/", "/p/api/later", False),
        ("q/later", "/p/api/q/later/a.txt", True),
        ("q/later/", "/p/api/q/later", False),
        ("q/later", "/p/api/r/q/later/a.txt", False),
        ("schema.sql", "/p/api/x/schema.sql", True),
        ("/etc/x.conf", "/etc/x.conf", True),
        ("/*.conf", "/x.conf", True),
        ("sql", "/p/api/sql", False),
        ("sql", "/p/api/sql/a.sql~", False),
        ("sql", "/p/api/sql/.a.sql.swp", False),
        ("**/*", "/p/api/4913", False),
        ("*.tmp", "/p/api/a.tmp", True),  # junk, but asked for by name
    ],
)
def test_watch(entry: str, path: str, wanted: bool) -> None:
    assert read(watch=(entry,)).wants(path) is wanted


@pytest.mark.parametrize(
    ("entry", "path", "ignored"),
    [
        ("generated/*", "/p/api/generated/a.py", True),
        ("generated/*", "/p/api/generated/x/a.py", True),
        ("generated/*", "/p/api/x/generated/a.py", False),
        ("generated", "/p/api/x/generated/a.py", True),
        ("sql", "/p/api/sql", True),  # so that the folder itself is not gone into
        ("test_*.py", "/p/api/x/test_a.py", True),
        ("test_*.py", "/p/web/test_a.py", True),
        ("test_*.py", "/srv/common/x/test_a.py", True),
        ("test_*.py", "/elsewhere/test_a.py", False),
        ("*.tmp", "/p/api/a.tmp", True),
        ("x/test_*.py", "/p/web/x/test_a.py", False),
    ],
)
def test_ignore(entry: str, path: str, ignored: bool) -> None:
    assert read(watch=("/srv/common",), ignore=(entry,)).ignores(path) is ignored


@pytest.mark.parametrize(
    ("entry", "root"),
    [
        ("sql", Root("/p/api/sql")),
        ("../shared", Root("/p/shared")),
        ("*.sql", Root("/p/api", deep=False)),
        ("../gone", Root("/p/gone")),  # not its parent, which may be anything
        ("gone", Root("/p/api")),
        ("../x/**/*.sql", Root("/p/x")),
        ("../x/*.sql", Root("/p/x", deep=False)),
    ],
)
def test_roots(entry: str, root: Root) -> None:
    assert read(watch=(entry,)).roots == (Root("/p/api"), root)


def test_below() -> None:
    assert below("/a/b/c", "/a") == ["b", "c"]
    assert below("/a", "/") == ["a"]
    assert below("/a", "/a") == ()
    assert below("/ab", "/a") is None


def test_names() -> None:
    assert is_pruned("node_modules")
    assert is_pruned("shop.egg-info")
    assert not is_pruned("env")
    assert is_junk(".#a.py")
    assert not is_junk("a.py")


def test_an_empty_entry_is_the_working_directory() -> None:
    assert read_entry("", "/p/api", FOLDERS.__contains__).wants("/p/api/a.txt")


def test_files_that_concern_the_whole_stack() -> None:
    one = interest_in(["/shop/devrun.toml", "/etc/shop/[x].env", "/shop/.env.api"])
    assert one.roots == (Root("/shop", deep=False), Root("/etc/shop", deep=False))
    assert all(map(one.wants, ("/shop/devrun.toml", "/shop/.env.api", "/etc/shop/[x].env")))
    assert not any(map(one.wants, ("/shop/other.toml", "/shop/a/devrun.toml", "/etc/shop/x.env")))

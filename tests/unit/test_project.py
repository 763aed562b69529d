from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devrun.errors import ConfigError, FileError, NoProjectError
from devrun.project import Project, find, last_ports, remember_ports


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    (tmp_path / "devrun.toml").touch()
    return Project(tmp_path, tmp_path / "devrun.toml")


def test_the_nearest_config_upward_is_found(shop: Project) -> None:
    deep = shop.folder / "a" / "b"
    deep.mkdir(parents=True)
    assert find(deep) == find(shop.folder) == shop
    (shop.folder / "a" / "devrun.toml").touch()
    assert find(deep).folder == shop.folder / "a"
    assert find(deep).state_dir == shop.folder / "a" / ".devrun"


def test_without_config(tmp_path: Path) -> None:
    with pytest.raises(NoProjectError) as caught:
        find(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint is not None and "[apps.api]" in caught.value.hint
    assert caught.value.exit_code == 2


def test_another_file_is_named(shop: Project) -> None:
    (shop.folder / "sub").mkdir()
    other = shop.folder / "sub" / "other.toml"
    other.touch()
    for named in (Path("sub/other.toml"), Path("sub/../sub/other.toml"), other):
        assert find(shop.folder, named) == Project(shop.folder / "sub", other)
    with pytest.raises(NoProjectError, match=r"there is no file .*none\.toml"):
        find(shop.folder, Path("none.toml"))
    with pytest.raises(ConfigError, match="is a folder"):
        find(shop.folder, Path("sub"))


def make_folder(path: Path) -> None:
    path.mkdir()


def make_dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (make_folder, "is a folder; expected a file"),
        (make_dangling, "is a link to 'nowhere', which is not there"),
        (make_loop, "is a link"),
        (make_pipe, "is not a regular file"),
    ],
)
def test_a_config_that_is_no_file(tmp_path: Path, make: object, expected: str) -> None:
    assert callable(make)
    make(tmp_path / "devrun.toml")
    for config in (None, Path("devrun.toml")):
        with pytest.raises(ConfigError) as caught:
            find(tmp_path, config)
        assert str(tmp_path / "devrun.toml") in caught.value.message and expected in caught.value.message


def test_links_of_the_folder_are_followed_and_that_of_the_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "shared.toml").touch()
    (tmp_path / "real" / "devrun.toml").symlink_to("../shared.toml")
    (tmp_path / "link").symlink_to("real")
    project = Project(tmp_path / "real", tmp_path / "real" / "devrun.toml")
    assert find(tmp_path / "link") == find(tmp_path, Path("link/devrun.toml")) == project


def test_ports_are_remembered(shop: Project) -> None:
    assert last_ports(shop) == {}
    remember_ports(shop, {"api": 41507, "web": 5173})
    remember_ports(shop, {"api": 41508})
    assert last_ports(shop) == {"api": 41508, "web": 5173}
    before = shop.ports_file.stat().st_mtime_ns
    remember_ports(shop, {"api": 41508})
    assert shop.ports_file.stat().st_mtime_ns == before


@given(
    st.binary(max_size=40).filter(lambda content: b"=" not in content)  # that may be a port after all: 0=1
    | st.sampled_from([b"api = true", b"api = 0", b'api = "80"', b"api = 70000", b"a = " + b"[" * 9999])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_ports_are_none(shop: Project, content: bytes) -> None:
    shop.ports_file.parent.mkdir(parents=True, exist_ok=True)
    shop.ports_file.write_bytes(content)
    assert last_ports(shop) == {}


def test_ports_that_cannot_be_remembered(shop: Project) -> None:
    shop.state_dir.touch()
    with pytest.raises(FileError, match="cannot make the folder"):
        remember_ports(shop, {"api": 1})


def test_whose_the_block_in_a_file_is(shop: Project) -> None:
    (shop.folder / "web").mkdir()
    assert shop.owner_in(shop.folder / ".env") == shop.owner_in(shop.folder / "web" / ".env") == ""
    outside = shop.owner_in(shop.folder.parent / ".env")
    assert outside.startswith(f"{shop.folder.name}-")
    (shop.folder / "web" / "devrun.toml").touch()
    assert shop.owner_in(shop.folder / "web" / ".env") == outside
    assert Project(shop.folder / "web", shop.folder / "web" / "other.toml").owner_in(shop.folder / "web" / ".env") == ""
    # A project whose config has another name, in the folder of one that has the usual name or below it.
    assert Project(shop.folder, shop.folder / "other.toml").owner_in(shop.folder / ".env") == ""
    deep = shop.folder / "deep"
    deep.mkdir()
    assert Project(deep, deep / "other.toml").owner_in(deep / ".env") == ""

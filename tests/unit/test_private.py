"""Private stacks: their plan, their state folders, and who finds them."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from devrun.lookup import endpoint, private_name, try_lock
from devrun.plan import AppPlan, Endpoint, EnvFilePlan, Plan
from devrun.planning import command_environment
from devrun.private import freed_ports, private_plan, private_state, sweep
from devrun.project import Project, addressed


def app(name: str, **changes: object) -> AppPlan:
    plain = AppPlan(
        name, "m:app", False, Path("/"), Path("/python"), 0, "127.0.0.1", {}, {}, (), (), (), None, True, 1.0, None
    )
    return replace(plain, **changes)


PLAN = Plan(
    name="shop",
    folder=Path("/shop"),
    apps={"api": app("api", port=8000, open="/"), "auth": app("auth", port="sticky"), "web": app("web")},
    env_files=(
        EnvFilePlan(Path("/shop/.env"), "VITE_", None, {"BASE": "${api.url}/v1"}, False),
        EnvFilePlan(Path("/shop/.env.two"), "", None, {"BASE": "two", "API_URL": "mine"}, True),
    ),
    environ={"HOME": "/home", "API_URL": "old"},
    stack="shop-00ff00ff",
)


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    (tmp_path / "devrun.toml").touch()
    return Project(tmp_path, tmp_path / "devrun.toml")


def test_a_private_plan_takes_nothing_from_others() -> None:
    plan = private_plan(PLAN)
    assert [one.port for one in plan.apps.values()] == [0, 0, 0]
    assert not any(one.reload or one.open for one in plan.apps.values())
    assert plan.env_files == ()
    assert list(freed_ports(PLAN)) == [
        "api has a free port this time, not 8000: a private stack takes no port from others"
    ]


def test_a_command_sees_what_would_stand_in_the_env_files() -> None:
    environ = command_environment(PLAN, {"api": Endpoint("api", "127.0.0.1", 4000)})
    assert environ == {
        "HOME": "/home",
        "API_URL": "mine",
        "API_HOST": "127.0.0.1",
        "API_PORT": "4000",
        "VITE_API_URL": "http://127.0.0.1:4000",
        "VITE_API_HOST": "127.0.0.1",
        "VITE_API_PORT": "4000",
        "BASE": "http://127.0.0.1:4000/v1",
        "DEVRUN": "1",
        "DEVRUN_STACK": "shop-00ff00ff",
    }


def test_every_private_stack_has_a_state_folder_for_a_while(shop: Project) -> None:
    with private_state(shop, "shop-aaaa") as one, private_state(shop, "shop-bbbb") as two:
        assert one.state_dir.is_dir() and two.state_dir.is_dir() and one.state_dir != two.state_dir
        assert one.state_dir.stat().st_mode & 0o777 == 0o700
        assert one.preloads_file == two.preloads_file == shop.preloads_file
        assert (shop.own_dir / ".gitignore").read_text() == "*\n"
        (one.state_dir / "state.toml").touch()
        assert addressed(shop, "shop-aaaa") == one
        assert addressed(shop, "other-cccc") == shop
    assert os.listdir(shop.runs_dir) == []
    assert addressed(shop, "shop-aaaa") == shop


@pytest.mark.parametrize("stack", ["", "shop", "shop-", "shop-..", "shop-/etc", "shop-.", "shop-a/../b"])
def test_no_other_folder_is_taken_for_one(shop: Project, stack: str) -> None:
    shop.runs_dir.mkdir(parents=True)
    assert private_name(str(shop.folder), stack) is None


def test_what_an_owner_that_was_killed_has_left_is_swept(shop: Project) -> None:
    with private_state(shop, "shop-aaaa") as living:
        dead = shop.runs_dir / "bbbb"
        dead.mkdir()
        (dead / "state.toml").touch()
        (shop.runs_dir / "bbbb.lock").touch()
        sweep(shop)
        assert sorted(os.listdir(shop.runs_dir)) == ["aaaa", "aaaa.lock"]
        assert living.state_dir.is_dir()
        assert try_lock(f"{living.state_dir}.lock") is None
    sweep(Project(shop.folder / "nowhere", shop.config))


def test_the_light_commands_find_the_private_stack(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.folder)
    state = 'version = 1\n\n[endpoints.api]\nurl = "http://127.0.0.1:%d"\nhost = "127.0.0.1"\nport = %d\n'
    with ExitStack() as locks, private_state(shop, "shop-aaaa") as own:
        for project, port in ((shop, 4000), (own, 4001)):
            project.state_file.write_text(state % (port, port))
            lock = try_lock(str(project.lock_file))
            assert lock is not None
            locks.callback(os.close, lock)
        assert endpoint("api") == ("http://127.0.0.1:4000", "4000")
        assert endpoint("api", "shop-aaaa") == ("http://127.0.0.1:4001", "4001")
        assert endpoint("api", "shop-bbbb") == ("http://127.0.0.1:4000", "4000")

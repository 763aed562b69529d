"""What a change of devrun.toml asks of a running stack: who comes, goes, starts anew, and who needs other sockets."""

from __future__ import annotations

import pytest

from devrun.difference import Difference, difference
from tests.unit.test_planning import plan

BASE = """
[apps.api]
app = "api:app"
[apps.auth]
app = "auth:app"
port = 8000
env_file = "auth.env"
[apps.shop]
app = "shop:app"
env = { AUTH = "${auth.url}", PAY = "${pay.url}" }
[commands.web]
run = "vite --port ${web.port}"
port = 0
[commands.worker]
run = "worker"
[external.pay]
url = "https://pay.example.com"
"""
FILES = {"/shop/auth.env": "A=1"}


def of(old: str, new: str, text: str = BASE, files: dict[str, str] | None = None) -> Difference:
    assert old in text
    return difference(plan(text, FILES), plan(text.replace(old, new, 1), files or FILES))


def changed(*names: str) -> Difference:
    return Difference(changed=frozenset(names))


def moved(name: str, *changed: str) -> Difference:
    return Difference(changed=frozenset({name, *changed}), moved=frozenset({name}))


def test_nothing_leads_from_a_plan_to_itself() -> None:
    assert of("[apps.api]", "# a comment\n[apps.api]") == Difference()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('app = "api:other"', changed("api")),
        ("env = { A = '1' }", changed("api")),
        ('uvicorn = { root_path = "/x" }', changed("api")),
        ("grace = 2", changed("api")),
        ("port = 9000", moved("api")),
        ('port = "sticky"', Difference()),
        ('host = "0.0.0.0"', moved("api")),
        ('watch = ["*.sql"]', Difference()),
        ('ignore = ["x"]', Difference()),
        ("reload = false", Difference()),
        ('health = "/healthz"', Difference()),
        ('depends_on = ["auth"]', Difference()),
        ("open = true", Difference()),
    ],
)
def test_what_a_key_of_an_app_changes(line: str, found: Difference) -> None:
    old = 'app = "api:app"'
    assert of(old, line if line.startswith("app") else f"{old}\n{line}") == found


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("port = 8000", "port = 8001", moved("auth", "shop")),
        ("port = 8000", "", Difference()),
        ('env_file = "auth.env"', "", changed("auth")),
        ("https://pay.example.com", "https://pay.example.org", changed("shop")),
        ('app = "auth:app"', 'app = "auth:app"\nuvicorn = { ssl_certfile = "c" }', changed("auth", "shop")),
        ('run = "worker"', 'run = "worker -v"', changed("worker")),
        ('run = "worker"', 'run = "worker"\ncwd = "."', Difference()),
        ('run = "worker"', 'run = "worker"\nrestart = "always"\ngrace = 1\ndepends_on = ["api"]', Difference()),
        ('run = "worker"', 'run = "worker"\nport = 0', moved("worker")),
        ("port = 0", 'port = "sticky"', Difference()),
        ("port = 0", "port = 5173", moved("web")),
    ],
)
def test_what_other_changes_ask_for(old: str, new: str, found: Difference) -> None:
    assert of(old, new) == found


def test_a_saved_env_file_changes_its_app() -> None:
    assert of("[apps.api]", "[apps.api]", files={"/shop/auth.env": "A=2"}) == changed("auth")


def test_parts_come_and_go() -> None:
    assert of("[apps.api]", "[apps.news]") == Difference(added=frozenset({"news"}), removed=frozenset({"api"}))
    assert of("[commands.worker]\nrun", "[apps.worker]\napp = 'a:b'\n[commands.w2]\nrun") == Difference(
        added=frozenset({"worker", "w2"}), removed=frozenset({"worker"})
    )


def test_what_cannot_be_changed_in_a_running_stack_is_named() -> None:
    assert of("\n[apps.api]", 'name = "other"\n[apps.api]').later == ("name",)
    assert of("[external.pay]", "[reload]\nengine = 'spawn'\n[external.pay]").later == ("[reload]",)

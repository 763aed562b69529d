"""All stacks of a user: the table and the document."""

from __future__ import annotations

from devrun.outputs.stacks import StackLine, document, listing
from devrun.outputs.status import AppStatus

API = AppStatus("api", "ready", "http://127.0.0.1:41507", "127.0.0.1", 41507)
AUTH = AppStatus("auth", "broken", "http://127.0.0.1:38211", "127.0.0.1", 38211)
STACKS = [
    StackLine("shop", "/home/me/shop", "trunk", 4700, 190.7, (API, AUTH, API)),
    StackLine("shop", "/home/me/worktrees/wide \u8aad \x1b[2J", None, 12, 7.0),
]


def test_the_table() -> None:
    assert [line.plain for line in listing(STACKS)] == [
        "stack  branch  apps                pid     up  folder",
        "shop   trunk   1 broken, 2 ready  4700  3m10s  /home/me/shop",
        "shop           does not answer      12     7s  /home/me/worktrees/wide \u8aad \ufffd[2J",
    ]


def test_the_document() -> None:
    told = document(STACKS)
    assert told["v"] == 1
    first, second = told["stacks"]
    assert {key: value for key, value in first.items() if key != "apps"} == {
        "stack": "shop",
        "folder": "/home/me/shop",
        "branch": "trunk",
        "pid": 4700,
        "up_seconds": 190.7,
    }
    assert [app["state"] for app in first["apps"]] == ["ready", "broken", "ready"]
    assert second["apps"] is None and second["branch"] is None

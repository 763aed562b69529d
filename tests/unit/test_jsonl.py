"""The events for machines, exactly: a change here breaks somebody's tool."""

from __future__ import annotations

import json

import pytest

from devrun.events import (
    AppBroken,
    AppExited,
    AppPaused,
    AppReady,
    AppReloading,
    AppResumed,
    AppStopped,
    Failure,
    Notice,
    StackDown,
    StackReady,
    StackStarting,
    Warned,
    Wrote,
)
from devrun.outputs.jsonl import event, log_event

SYNTAX = Failure("import", "SyntaxError: invalid syntax", 'File "r.py"\n  ^', file="shop/routes.py", line=12)
DIED = Failure("died", "the worker ended with signal SIGKILL", "")

GOLDEN: list[tuple[Notice, str]] = [
    (
        StackStarting("shop", ("api", "auth")),
        '{"v":1,"event":"starting","stack":"shop","apps":["api","auth"],"commands":[]}',
    ),
    (Wrote(".env"), '{"v":1,"event":"wrote","path":".env"}'),
    (
        AppReady("api", "http://127.0.0.1:41507", 0.41499, first=True),
        '{"v":1,"event":"ready","app":"api","url":"http://127.0.0.1:41507","seconds":0.415,"first":true}',
    ),
    (StackReady((("api", 41507), ("auth", 2))), '{"v":1,"event":"stack-ready","ports":{"api":41507,"auth":2}}'),
    (AppReloading("api", ()), '{"v":1,"event":"reloading","app":"api","files":[]}'),
    (
        AppReloading("api", ("ä.py", "\udcff.py")),
        '{"v":1,"event":"reloading","app":"api","files":["\\u00e4.py","\\ufffd.py"]}',
    ),
    (
        AppBroken("api", SYNTAX),
        '{"v":1,"event":"broken","app":"api","kind":"import","file":"shop/routes.py","line":12,'
        '"summary":"SyntaxError: invalid syntax","traceback":"File \\"r.py\\"\\n  ^"}',
    ),
    (
        AppBroken("api", DIED),
        '{"v":1,"event":"broken","app":"api","kind":"died","file":null,"line":null,'
        '"summary":"the worker ended with signal SIGKILL","traceback":""}',
    ),
    (
        AppExited("api", -9, ("last words",), 0.5),
        '{"v":1,"event":"exited","app":"api","code":-9,"signal":"SIGKILL","tail":["last words"],"retry":0.5}',
    ),
    (
        AppExited("api", 3, (), 0.0),
        '{"v":1,"event":"exited","app":"api","code":3,"signal":null,"tail":[],"retry":0.0}',
    ),
    (AppPaused("api", "m.py:3"), '{"v":1,"event":"paused","app":"api","place":"m.py:3"}'),
    (AppResumed("api"), '{"v":1,"event":"resumed","app":"api"}'),
    (AppStopped("api"), '{"v":1,"event":"stopped","app":"api"}'),
    (
        StackStarting("shop", ("api",), ("web",)),
        '{"v":1,"event":"starting","stack":"shop","apps":["api"],"commands":["web"]}',
    ),
    (
        AppReady("worker", None, 3.0, first=True),
        '{"v":1,"event":"ready","app":"worker","url":null,"seconds":3.0,"first":true}',
    ),
    (
        AppExited("web", 1, ("oops",), None),
        '{"v":1,"event":"exited","app":"web","code":1,"signal":null,"tail":["oops"],"retry":null}',
    ),
    (Warned("no IPv6"), '{"v":1,"event":"warning","app":null,"message":"no IPv6"}'),
    (Warned("slow", "api"), '{"v":1,"event":"warning","app":"api","message":"slow"}'),
    (StackDown(), '{"v":1,"event":"down"}'),
]


@pytest.mark.parametrize(("notice", "expected"), GOLDEN)
def test_event(notice: Notice, expected: str) -> None:
    text = event(notice)
    assert text == expected
    assert json.loads(text)["v"] == 1


def test_log_event() -> None:
    assert log_event("api", '\x1b[32m"INFO"\x1b[0m') == '{"v":1,"event":"log","app":"api","text":"\\"INFO\\""}'

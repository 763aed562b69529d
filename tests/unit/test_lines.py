"""The lines for machines, exactly."""

from __future__ import annotations

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
from devrun.outputs.lines import line, lines_of, log_line

SYNTAX = Failure("import", "SyntaxError: invalid syntax", "Traceback ...", file="shop/routes.py", line=12)
NO_LINE = Failure("import", "ModuleNotFoundError: No module named 'x'", "", file="shop/main.py")
NO_PLACE = Failure("setup", "uvicorn is missing\nin this environment", "")

GOLDEN: list[tuple[Notice, str]] = [
    (StackStarting("shop", ("api", "auth", "web")), "starting shop: 3 apps"),
    (StackStarting("shop", ("api",)), "starting shop: 1 app"),
    (StackStarting("evil\nname", ()), "starting evil name: 0 apps"),
    (Wrote(".env"), "wrote .env"),
    (AppReady("api", "http://127.0.0.1:41507", 0.4149, first=True), "ready api http://127.0.0.1:41507 in 0.41s"),
    (AppReady("api", "http://127.0.0.1:41507", 12, first=False), "ready api http://127.0.0.1:41507 in 12.00s"),
    (StackReady((("api", 41507), ("auth", 38211))), "stack ready api=41507 auth=38211"),
    (AppReloading("api", ()), "reloading api: restart"),
    (AppReloading("api", ("shop/routes.py",)), "reloading api: shop/routes.py"),
    (AppReloading("api", ("a.py", "b.py", "c.py")), "reloading api: a.py, b.py, c.py"),
    (AppReloading("api", tuple("abcdefgh")), "reloading api: a, b, c and 5 more"),
    (AppReloading("api", ("new\nline.py", "\udcff.py")), "reloading api: new line.py, \ufffd.py"),
    (AppBroken("api", SYNTAX), "broken api: shop/routes.py:12: SyntaxError: invalid syntax"),
    (AppBroken("api", NO_LINE), "broken api: shop/main.py: ModuleNotFoundError: No module named 'x'"),
    (AppBroken("api", NO_PLACE), "broken api: uvicorn is missing in this environment"),
    (AppExited("api", -9, (), 0.0), "exited api: signal SIGKILL; restarting"),
    (AppExited("api", 3, ("last",), 2.0), "exited api: exit code 3; restarting again in 2s"),
    (AppExited("api", 3, ("last",), 0.5), "exited api: exit code 3; restarting again in 0.5s"),
    (AppStopped("api"), "stopped api"),
    (AppPaused("api", "shop/m.py:3"), "paused api: shop/m.py:3: `devrun attach api` opens the debugger"),
    (AppPaused("api", "shop/m.py:3", "editor"), "paused api: shop/m.py:3: in the debugger of an editor"),
    (AppResumed("api"), "resumed api"),
    (StackStarting("shop", ("api",), ("web",)), "starting shop: 1 app, 1 command"),
    (StackStarting("shop", ("api",), ("web", "worker")), "starting shop: 1 app, 2 commands"),
    (AppReady("worker", None, 3.0, first=True), "ready worker in 3.00s"),
    (AppExited("web", 0, (), None), "exited web: exit code 0"),
    (AppExited("web", -15, (), None), "exited web: signal SIGTERM"),
    (Warned("no watches left"), "warning: no watches left"),
    (Warned("no IPv6", app="api"), "warning: api: no IPv6"),
    (StackDown(), "stack down"),
]


@pytest.mark.parametrize(("notice", "expected"), GOLDEN)
def test_line(notice: Notice, expected: str) -> None:
    assert line(notice) == f"[devrun] {expected}"


def test_log_line() -> None:
    assert log_line("api", "INFO:     started") == "[api] INFO:     started"
    assert log_line("api", "\x1b[32mINFO\x1b[0m: \x1b[2Jx") == "[api] INFO: x"
    assert log_line("api", "\x1b[32mINFO", colour=True) == "[api] \x1b[32mINFO\x1b[0m"


def test_a_broken_app_has_a_second_line_that_ends_the_reload_for_editors() -> None:
    assert lines_of(AppBroken("api", SYNTAX)) == [
        "[devrun] broken api: shop/routes.py:12: SyntaxError: invalid syntax",
        "[devrun] waiting api: answers 503 until it is mended",
    ]
    assert lines_of(StackDown()) == ["[devrun] stack down"]

"""The live table at every width, with and without colour and Unicode."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from devrun.events import Failure, Run
from devrun.outputs.rows import URGENCY, age, duration
from devrun.outputs.table import COLOURS, Room, colour_of, table
from devrun.plan import Endpoint
from devrun.state import (
    AppState,
    Backoff,
    Beginning,
    Broken,
    CommandState,
    Cycle,
    Ended,
    Holding,
    Importing,
    Phase,
    Probing,
    Running,
    Serving,
    Snapshot,
    Stopped,
    Waiting,
)

NOW = 100.0
RUN = Run("app", 1)
START, RELOAD, DEATH = Cycle("start", 99.0), Cycle("reload", 99.0), Cycle("death", 99.0)
PLACE = "/home/somebody/projects/shop/services/auth/shop/routes.py"
SYNTAX = Failure("import", "SyntaxError: invalid syntax", "", file=PLACE, line=12)
DIED = Failure("died", "the worker ended with signal SIGKILL", "")


def stack(phases: Mapping[str, Phase | AppState], name: str = "shop") -> Snapshot:
    apps = {
        app: AppState(app, at) if not isinstance(at, AppState) else replace(at, name=app) for app, at in phases.items()
    }
    endpoints = {app: Endpoint(app, "127.0.0.1", 41500 + port) for port, app in enumerate(apps)}
    return Snapshot(0, name, endpoints, apps, {})


def shown(snapshot: Snapshot, room: Room, *, colour: bool = False, hint: str = "") -> list[str]:
    console = Console(
        file=io.StringIO(), width=room.width, force_terminal=True, color_system="standard" if colour else None
    )
    with console.capture() as capture:
        console.print(table(snapshot, NOW, room, hint=hint), no_wrap=True, crop=False)
    return [line.rstrip() for line in capture.get().rstrip("\n").split("\n")]


SHOP = stack(
    {
        "api": AppState("", Serving(RUN, 1, 10.0), reloads=3, reload_seconds=0.042),
        "auth": AppState("", Broken(RUN, 1, SYNTAX, 3.0), reloads=12, reload_seconds=1.23),
        "checkout-service": AppState("", Backoff(RUN, 1, DIED, 1.0, 102.5), deaths=3, last_death="signal SIGKILL"),
        "web": Importing(RUN, 1, RELOAD),
        "queue": Waiting(("api", "auth")),
    }
)


def test_wide() -> None:
    assert shown(SHOP, Room(100), hint="h help") == [
        "── shop ── 1 broken, 1 restarting, 1 reloading, 1 waiting, 1 ready ──────────────────────── h help ─",
        "app               state             url                     reloads    last      up",
        "api               ready             http://127.0.0.1:41500        3   42 ms   1m30s",
        "auth              broken            http://127.0.0.1:41501       12   1.2 s",
        f"  {PLACE}:12: SyntaxError: invalid syntax",
        "checkout-service  restarting in 3s  http://127.0.0.1:41502",
        "  died 3 times: signal SIGKILL",
        "web               reloading         http://127.0.0.1:41503",
        "queue             waiting           http://127.0.0.1:41504",
        "  waits for api, auth",
    ]


def test_sixty_columns_drop_what_matters_least_and_ascii_looks_right() -> None:
    lines = shown(SHOP, Room(60, unicode=False), hint="h help")
    assert lines[:5] == [
        "-- shop -- 1 broken, 1 restarting, 1 reloading, 1 waitin...",
        "app               state             url",
        "api               ready             http://127.0.0.1:41500",
        "auth              broken            http://127.0.0.1:41501",
        "  routes.py:12: SyntaxError: invalid syntax",
    ]
    assert "\n".join(lines).isascii()


def test_sixty_columns_keep_the_reload_time_if_they_can() -> None:
    lines = shown(stack({"api": SHOP.apps["api"]}), Room(60))
    assert lines[1:] == [
        "app  state      url                     reloads    last",
        "api  ready      http://127.0.0.1:41500        3   42 ms",
    ]


def test_forty_columns() -> None:
    assert shown(SHOP, Room(40))[:6] == [
        "── shop ── 1 broken, 1 restarting, 1 r…",
        "api  ready",
        "  http://127.0.0.1:41500",
        "auth  broken",
        "  http://127.0.0.1:41501",
        "  routes.py:12: SyntaxError: invalid sy…",
    ]
    two = stack({"api": SHOP.apps["api"], "a-rather-long-name": Serving(RUN, 1, 10.0)})
    assert shown(two, Room(40))[1:] == [
        "app        state  url",
        "api        ready  http://127.0.0.1:41500",
        "a-rather…  ready  http://127.0.0.1:41501",
    ]


@pytest.mark.parametrize("width", [200, 100, 60, 40, 24, 10, 1])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("name", ["shop", "買い物" * 20, "two\nlines\x1b[2J"])
def test_no_line_is_wider_than_the_terminal(width: int, colour: bool, name: str) -> None:
    for line in shown(replace(SHOP, stack=name), Room(width), hint="h help"):
        assert cell_len(line) <= width


@pytest.mark.parametrize("width", [200, 100, 60, 40, 24])
def test_urls_stay_whole(width: int) -> None:
    text = "\n".join(shown(SHOP, Room(width)))
    assert all(endpoint.url in text for endpoint in SHOP.endpoints.values())


def test_colour_marks_apps_and_states() -> None:
    text = "\n".join(shown(SHOP, Room(100), colour=True))
    assert "\x1b[36mapi\x1b[0m" in text
    assert "\x1b[32mready\x1b[0m" in text
    assert "\x1b[1;31mbroken\x1b[0m" in text


WORDS: list[tuple[Phase, str]] = [
    (Waiting(()), "waiting"),
    (Importing(RUN, 1, START), "importing"),
    (Holding(RUN, 1, START), "importing"),
    (Beginning(RUN, 1, START), "starting"),
    (Probing(RUN, 1, START), "starting"),
    (Beginning(RUN, 1, RELOAD), "reloading"),
    (Holding(RUN, 1, DEATH), "restarting"),
    (Serving(RUN, 1, NOW), "ready"),
    (Broken(RUN, 1, DIED, NOW), "broken"),
    (Backoff(RUN, 1, DIED, NOW, NOW), "restarting in 1s"),
    (Stopped(), "stopped"),
]


@pytest.mark.parametrize(("phase", "word"), WORDS)
def test_words(phase: Phase, word: str) -> None:
    line = shown(stack({"api": phase}), Room(100))[2]
    assert line.split("  ")[1] == word
    assert word.split()[0] in URGENCY


def test_an_app_whose_worker_is_still_there_is_stopping() -> None:
    snapshot = stack({"api": AppState("", Stopped(), leaving=(RUN,))})
    assert "stopping" in shown(snapshot, Room(100))[2]


def test_a_death_is_remembered_for_a_while() -> None:
    def why(phase: Phase) -> list[str]:
        return shown(stack({"api": AppState("", phase, deaths=1, last_death="exit code 3")}), Room(100))[3:]

    assert why(Importing(RUN, 1, DEATH)) == ["  died: exit code 3"]
    assert why(Serving(RUN, 1, NOW - 5)) == ["  restarted after exit code 3"]
    assert why(Serving(RUN, 1, NOW - 90)) == []


def many(count: int, **others: Phase) -> Snapshot:
    return stack({f"app{number}": others.get(f"app{number}", Serving(RUN, 1, 10.0)) for number in range(count)})


def test_more_apps_than_lines_show_those_that_need_attention() -> None:
    snapshot = many(500, app77=Broken(RUN, 1, SYNTAX, 3.0), app99=Importing(RUN, 1, RELOAD))
    lines = shown(snapshot, Room(80, 16))
    assert len(lines) == 16
    assert lines[0].startswith("── shop ── 1 broken, 1 reloading, 498 ready ──")
    assert [line.split()[0] for line in lines[2:12]] == [f"app{number}" for number in range(10)]
    assert lines[12:] == [
        "app77  broken     http://127.0.0.1:41577",
        "  routes.py:12: SyntaxError: invalid syntax",
        "app99  reloading  http://127.0.0.1:41599",
        "… 488 more: 488 ready",
    ]


def test_the_others_are_counted_by_their_state() -> None:
    snapshot = many(30, app1=Broken(RUN, 1, SYNTAX, 3.0), app2=Broken(RUN, 1, SYNTAX, 3.0), app3=Waiting(()))
    assert shown(snapshot, Room(80, 5))[2:] == [
        "app1  broken     http://127.0.0.1:41501",
        "  routes.py:12: SyntaxError: invalid syntax",
        "… 29 more: 1 broken, 1 waiting, 27 ready",
    ]


@pytest.mark.parametrize("height", range(1, 9))
@pytest.mark.parametrize("width", [30, 80])
def test_the_height_holds(height: int, width: int) -> None:
    assert len(shown(many(9), Room(width, height))) <= height


def test_a_stack_without_apps() -> None:
    assert shown(stack({}), Room(20)) == ["── shop ──  ────────"]


def test_colours_are_stable() -> None:
    assert colour_of(0) == COLOURS[0]
    assert colour_of(len(COLOURS)) == COLOURS[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 ms"),
        (0.0421, "42 ms"),
        (0.9996, "1.0 s"),
        (0.999, "999 ms"),
        (1.23, "1.2 s"),
        (9.96, "10 s"),
        (75, "75 s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (7.9, "7s"), (185, "3m05s"), (3600, "1h00m"), (7800, "2h10m"), (4 * 86400 + 3600, "4d01h")],
)
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_commands_stand_after_the_apps_and_externals_last() -> None:
    apps = {"api": AppState("api", Serving(RUN, 1, 10.0))}
    web = Endpoint("web", "::1", 5173)
    endpoints = {"api": Endpoint("api", "127.0.0.1", 41500), "web": web, "pay": Endpoint("pay", "pay.local", 443)}
    commands = {
        "web": CommandState("web", Running(Run("web", 1), 7, START, 40.0)),
        "worker": CommandState("worker", Running(Run("worker", 1), 8, START, 40.0)),
        "migrate": CommandState("migrate", Ended(0, 20.0)),
        "seed": CommandState("seed", Ended(3, 20.0)),
    }
    snapshot = Snapshot(0, "shop", endpoints, apps, {}, commands=commands, externals=("pay",))
    assert shown(snapshot, Room(75)) == [
        "── shop ── 1 failed, 2 ready, 1 running, 1 done, 1 external ───────────────",
        "app      state      url                     reloads    last      up",
        "api      ready      http://127.0.0.1:41500                    1m30s",
        "web      ready      http://[::1]:5173                         1m00s",
        "worker   running                                              1m00s",
        "migrate  done",
        "seed     failed",
        "  exit code 3",
        "pay      external   http://pay.local:443",
    ]

"""How a stack is, as data, as the table of ``devrun status``, and as its details."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from devrun.events import Failure, Run
from devrun.outputs.details import details
from devrun.outputs.status import (
    AppStatus,
    Details,
    KindMemory,
    Memory,
    StackStatus,
    Trouble,
    app_status,
    document,
    read,
    statuses,
)
from devrun.outputs.table import Room, listing
from devrun.plan import Endpoint
from devrun.reports import AppReport, CheckpointReport, ServerReport
from devrun.state import (
    AppState,
    Backoff,
    Beginning,
    Blocked,
    Broken,
    CommandPhase,
    CommandState,
    Cycle,
    Doubtful,
    Ended,
    Halted,
    Holding,
    Importing,
    Launching,
    Off,
    Pause,
    Phase,
    Probing,
    Resting,
    Running,
    Serving,
    Snapshot,
    Stopped,
    Waiting,
)

NOW = 100.0
PAYMENTS = Endpoint("payments", "pay.example.com", 443, "https", "https://pay.example.com/v2")
RUN = Run("api", 1)
START, RELOAD, DEATH = Cycle("start", 99.0), Cycle("reload", 99.0), Cycle("death", 99.0)
SYNTAX = Failure("import", "SyntaxError: invalid\nsyntax", "Traceback ...", file="shop/routes.py", line=12)

API = AppStatus("api", "ready", "http://127.0.0.1:41507", "127.0.0.1", 41507, 4711, 185.2, None, 3, 0.042)
AUTH = AppStatus(
    "auth",
    "broken",
    "http://127.0.0.1:38211",
    "127.0.0.1",
    38211,
    4712,
    why="services/auth/shop/routes.py:12: SyntaxError: invalid syntax",
    trouble=Trouble("import", "SyntaxError: invalid syntax", "services/auth/shop/routes.py", 12),
)
WEB = AppStatus("web", "restarting", "http://127.0.0.1:45173", "127.0.0.1", 45173, retry_seconds=2.1)
SHOP = StackStatus("shop", "/home/me/shop", 4700, "up", 190.7, (API, AUTH, WEB))
DETAILS = Details(
    {
        "api": AppReport(
            "fork",
            None,
            None,
            (CheckpointReport("/home/me/shop/shop/a.py", 4713), CheckpointReport("/x.py", 4714, 12)),
        ),
        "auth": AppReport("fork", None, "the import up to it starts a thread"),
        "web": AppReport("spawn", "a debugger is attached"),
        "queue": AppReport("fork", None, "db.py: it opens a file", (CheckpointReport("app.py", 4715),)),
    },
    (
        ServerReport(
            "/home/me/shop/.venv/bin/python",
            ("api", "auth", "queue"),
            4702,
            ("fastapi", "fastapi.routing", "starlette", "fastapi.params"),
            {"grpc": "its import starts a thread"},
        ),
        ServerReport("/usr/bin/python3", ("web",), None),
    ),
    Memory("pss", (KindMemory("launcher", 1, 23 * 2**20), KindMemory("workers", 3, 1500 * 2**20 + 2**19))),
)


def printed(status: StackStatus) -> Any:
    return json.loads(json.dumps(document(status)))


def state_of(phase: Phase, **fields: object) -> AppStatus:
    state = replace(AppState("api", phase), **fields)
    return app_status(Snapshot(0, "shop", {"api": Endpoint("api", "::1", 8000)}, {"api": state}, {}), "api", NOW)


# --- as data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "word", "pid"),
    [
        (Waiting(("db",)), "waiting", None),
        (Blocked(RUN, 7, ("db",)), "waiting", 7),
        (Importing(RUN, 7, START), "importing", 7),
        (Doubtful(RUN, 7, RELOAD), "reloading", 7),
        (Holding(RUN, 7, RELOAD), "reloading", 7),
        (Beginning(RUN, 7, START), "starting", 7),
        (Probing(RUN, 7, DEATH), "restarting", 7),
        (Serving(RUN, None, 90.0), "ready", None),
        (Broken(RUN, 7, SYNTAX, 90.0), "broken", 7),
        (Backoff(RUN, 7, SYNTAX, 90.0, 102.5), "restarting", 7),
        (Halted(RUN, 7), "stopped", None),
        (Stopped(), "stopped", None),
    ],
)
def test_each_phase_has_its_word(phase: Phase, word: str, pid: int | None) -> None:
    app = state_of(phase)
    assert (app.state, app.pid, app.url, app.host, app.port) == (word, pid, "http://[::1]:8000", "::1", 8000)


def test_what_is_leaving_is_stopping() -> None:
    assert state_of(Stopped(), leaving=(RUN,)).state == "stopping"


def test_an_app_that_was_removed_is_there_until_it_has_ended() -> None:
    """Its address is given up at once."""
    leaving = AppState("api", Stopped(), 1, (RUN,))
    snapshot = Snapshot(0, "shop", {}, {"api": leaving}, {})
    found = app_status(snapshot, "api", NOW)
    assert (found.state, found.url, found.host, found.port) == ("stopping", None, None, None)
    assert read(document(replace(SHOP, apps=(found,)))).apps == (found,)
    assert "stopping" in listing(replace(SHOP, apps=(found,)), Room(80))[2].plain


def test_times_are_told_where_they_mean_something() -> None:
    serving = state_of(Serving(RUN, 7, 90.0), reloads=3, reload_seconds=0.042)
    assert (serving.up_seconds, serving.retry_seconds, serving.reloads, serving.reload_seconds) == (10, None, 3, 0.042)
    waiting = state_of(Backoff(RUN, 7, SYNTAX, 90.0, 102.5), deaths=3, last_death="signal SIGKILL")
    assert (waiting.up_seconds, waiting.retry_seconds, waiting.why) == (None, 2.5, "died 3 times: signal SIGKILL")
    assert state_of(Backoff(RUN, 7, SYNTAX, 90.0, 99.0)).retry_seconds == 0


def test_an_app_in_the_debugger() -> None:
    paused = state_of(Serving(RUN, 7, 90.0), pause=Pause("shop/m.py:3"))
    assert (paused.state, paused.pid) == ("paused", 7)
    assert paused.why == "at shop/m.py:3: `devrun attach api` opens the debugger"
    assert state_of(Serving(RUN, 7, 90.0), pause=Pause("m.py:3", by="editor")).why == (
        "at m.py:3: in the debugger of an editor"
    )


def test_trouble_is_told_in_words_and_in_parts() -> None:
    app = state_of(Broken(RUN, 7, SYNTAX, 90.0))
    assert app.why == "shop/routes.py:12: SyntaxError: invalid syntax"
    assert app.trouble == Trouble("import", "SyntaxError: invalid syntax", "shop/routes.py", 12, "Traceback ...")
    waiting = state_of(Backoff(RUN, 7, SYNTAX, 90.0, 102.5))
    assert waiting.trouble == app.trouble
    assert state_of(Waiting(("db", "auth"))).why == "waits for db, auth"
    assert state_of(Waiting(())).why == ""
    assert state_of(Importing(RUN, 7, DEATH), last_death="exit code 3").why == "died: exit code 3"
    assert state_of(Importing(RUN, 7, RELOAD), last_death="exit code 3").why == ""


def test_a_death_is_remembered_for_a_while() -> None:
    assert state_of(Serving(RUN, 7, 90.0), deaths=1, last_death="exit code 3").why == "restarted after exit code 3"
    assert state_of(Serving(RUN, 7, 10.0), deaths=1, last_death="exit code 3").why == ""


def test_the_document_is_as_ever() -> None:
    assert printed(replace(SHOP, apps=(API, AUTH))) == {
        "v": 1,
        "stack": "shop",
        "folder": "/home/me/shop",
        "pid": 4700,
        "stage": "up",
        "up_seconds": 190.7,
        "apps": [
            {
                "name": "api",
                "state": "ready",
                "url": "http://127.0.0.1:41507",
                "host": "127.0.0.1",
                "port": 41507,
                "pid": 4711,
                "up_seconds": 185.2,
                "retry_seconds": None,
                "reloads": 3,
                "reload_seconds": 0.042,
                "why": "",
                "trouble": None,
                "kind": "app",
                "debug_port": None,
            },
            {
                "name": "auth",
                "state": "broken",
                "url": "http://127.0.0.1:38211",
                "host": "127.0.0.1",
                "port": 38211,
                "pid": 4712,
                "up_seconds": None,
                "retry_seconds": None,
                "reloads": 0,
                "reload_seconds": None,
                "why": "services/auth/shop/routes.py:12: SyntaxError: invalid syntax",
                "trouble": {
                    "kind": "import",
                    "summary": "SyntaxError: invalid syntax",
                    "file": "services/auth/shop/routes.py",
                    "line": 12,
                    "text": "",
                },
                "kind": "app",
                "debug_port": None,
            },
        ],
    }
    told = printed(replace(SHOP, apps=(), details=DETAILS))["details"]
    assert told["engines"]["web"] == {
        "engine": "spawn",
        "reason": "a debugger is attached",
        "refused": None,
        "checkpoints": [],
        "fresh": False,
    }
    assert told["engines"]["queue"]["checkpoints"] == [{"file": "app.py", "pid": 4715, "line": None}]
    assert told["fork_servers"][0]["preloaded"] == ["fastapi", "fastapi.routing", "starlette", "fastapi.params"]
    assert told["memory"]["measure"] == "pss"
    assert told["memory"]["kinds"][0] == {"kind": "launcher", "processes": 1, "bytes": 23 * 2**20}


@pytest.mark.parametrize("status", [SHOP, replace(SHOP, details=DETAILS)])
def test_what_is_read_is_what_was_written(status: StackStatus) -> None:
    assert read(printed(status)) == status


def test_keys_of_a_newer_launcher_are_passed_over() -> None:
    newer = {**printed(SHOP), "commands": []}
    newer["apps"] = [{**app, "colour": "red"} for app in newer["apps"]]
    assert read(newer) == SHOP


@pytest.mark.parametrize("changed", [{"v": 2}, {"pid": "4700"}, {"apps": [{"name": "api"}]}, {"apps": 7}])
def test_anything_else_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        read({**printed(SHOP), **changed})


# --- as a table -----------------------------------------------------------------------------------------------------


def listed(status: StackStatus, width: int) -> list[str]:
    return [line.plain.rstrip() for line in listing(status, Room(width))]


def test_the_table_is_no_wider_than_it_must_be() -> None:
    expected = [
        "── shop ── 1 broken, 1 restarting, 1 ready ───────────── pid 4700, up 3m10s ─",
        "app   state             url                      pid  reloads    last      up",
        "api   ready             http://127.0.0.1:41507  4711        3   42 ms   3m05s",
        "auth  broken            http://127.0.0.1:38211  4712",
        "  services/auth/shop/routes.py:12: SyntaxError: invalid syntax",
        "web   restarting in 3s  http://127.0.0.1:45173",
    ]
    assert listed(SHOP, 120) == listed(SHOP, 1000) == expected


def test_the_process_ids_stay_when_it_gets_narrow() -> None:
    assert listed(SHOP, 60) == [
        "── shop ── 1 broken, 1 restarting, 1 ready ─────────────────",
        "app   state             url                      pid    last",
        "api   ready             http://127.0.0.1:41507  4711   42 ms",
        "auth  broken            http://127.0.0.1:38211  4712",
        "  routes.py:12: SyntaxError: invalid syntax",
        "web   restarting in 3s  http://127.0.0.1:45173",
    ]
    assert listed(SHOP, 50)[1] == "app   state             url"
    assert listed(SHOP, 30)[1:3] == ["api  ready", "  http://127.0.0.1:41507"]


def test_a_state_that_a_newer_launcher_knows_is_shown() -> None:
    assert "paused" in listed(replace(SHOP, apps=(replace(API, state="paused"),)), 80)[2]


# --- details --------------------------------------------------------------------------------------------------------


def told(what: Details, width: int, **debug_ports: int) -> list[str]:
    return [line.plain for line in details(what, debug_ports, "/home/me/shop", width)]


def test_details() -> None:
    assert told(DETAILS, 100) == [
        "",
        "engines",
        "  api    fork",
        "         2 checkpoints, before shop/a.py (pid 4713), after /x.py:12 (pid 4714)",
        "  auth   fork",
        "         no checkpoint: the import up to it starts a thread",
        "  web    spawn: a debugger is attached",
        "  queue  fork",
        "         1 checkpoint, before app.py (pid 4715)",
        "         no more checkpoints: db.py: it opens a file",
        "",
        "fork server of api, auth, queue (pid 4702, /home/me/shop/.venv/bin/python)",
        "  preloads 4 modules: fastapi (3), starlette",
        "  leaves out grpc: its import starts a thread",
        "",
        "fork server of web (not running, /usr/bin/python3)",
        "  preloads nothing",
        "",
        "memory (PSS: what processes share is divided among them)",
        "  launcher  1 process        23.0 MiB",
        "  workers   3 processes   1,500.5 MiB",
        "  in all    4 processes   1,523.5 MiB",
    ]


def test_a_run_that_was_not_forked() -> None:
    lines = told(replace(DETAILS, engines={"api": AppReport("fork", fresh=True)}), 100)
    at = lines.index("  api  fork")
    assert lines[at + 1] == "       a fresh interpreter this time: no fork server was ready"


def test_why_nothing_is_preloaded() -> None:
    server = ServerReport("/python", ("api",), 7, changes={"api": "TZ"})
    lines = told(replace(DETAILS, engines={}, fork_servers=(server,)), 100)
    assert "  preloads nothing: api changes TZ while it is imported" in lines
    server = replace(server, apps=("api", "web"), changes={"api": "TZ", "web": "A\nB"})
    lines = told(replace(DETAILS, engines={}, fork_servers=(server,)), 100)
    both = "api changes TZ while it is imported, web changes A B while it is imported"
    assert f"  preloads nothing: {both}" in lines


def test_long_lists_are_wrapped_and_no_name_is_broken() -> None:
    modules = tuple(f"package_{number}_of_many.{name}" for number in range(30) for name in "ab")
    server = ServerReport("/a/very/long/path/" + "to/" * 20 + "python", ("api",), 7, modules)
    lines = told(replace(DETAILS, engines={}, fork_servers=(server,)), 60)
    assert all(len(line) <= 60 for line in lines if server.python not in line)
    assert [line for line in lines if server.python in line] == [f"  {server.python})"]
    assert "\n".join(lines).count("_of_many (2)") == 30


def test_debug_ports_are_told_where_there_are_some() -> None:
    lines = told(DETAILS, 100, api=41741, gateway=41742)
    at = lines.index("debug ports")
    assert lines[at - 1 : at + 4] == ["", "debug ports", "  api      127.0.0.1:41741", "  gateway  127.0.0.1:41742", ""]


def test_resident_sizes_are_told_to_be_that() -> None:
    lines = told(Details({}, (), Memory("rss", (KindMemory("launcher", 1, 2**20),))), 80)
    assert lines[-3] == "memory (RSS: what processes share counts in each of them)"


def test_an_external_has_a_row_after_the_apps() -> None:
    apps = {"api": AppState("api", Serving(RUN, 1, 10.0))}
    endpoints = {"api": Endpoint("api", "127.0.0.1", 41507), "payments": PAYMENTS}
    snapshot = Snapshot(0, "shop", endpoints, apps, {}, externals=("payments",))
    told = statuses(snapshot, NOW)
    assert [(row.name, row.kind, row.state, row.url) for row in told] == [
        ("api", "app", "ready", "http://127.0.0.1:41507"),
        ("payments", "external", "external", "https://pay.example.com/v2"),
    ]
    lines = [line.plain for line in listing(replace(SHOP, apps=told), Room(80))]
    assert lines[3] == "payments  external   https://pay.example.com/v2"


AT_WEB = Endpoint("web", "127.0.0.1", 5173)
WEB_RUN = Run("web", 3)


@pytest.mark.parametrize(
    ("phase", "at", "word", "why"),
    [
        (Waiting(("api",)), None, "waiting", "waits for api"),
        (Waiting(()), None, "starting", ""),
        (Launching(WEB_RUN, None, START), None, "starting", ""),
        (Launching(WEB_RUN, 7, DEATH), AT_WEB, "restarting", ""),
        (Running(WEB_RUN, 7, START, 40.0), AT_WEB, "ready", ""),
        (Running(WEB_RUN, 7, START, 40.0), None, "running", ""),
        (Running(WEB_RUN, 7, DEATH, 90.0), AT_WEB, "ready", "restarted after exit code 3"),
        (Resting(WEB_RUN, 3, 99.0, 102.0), None, "restarting", "ended 2 times: exit code 3"),
        (Ended(0, 99.0), None, "done", ""),
        (Ended(3, 99.0), None, "failed", "exit code 3"),
        (Ended(-9, 99.0), None, "failed", "signal SIGKILL"),
        (Off(), None, "stopped", ""),
        (Stopped(), None, "stopped", ""),
    ],
)
def test_how_a_command_is(phase: CommandPhase, at: Endpoint | None, word: str, why: str) -> None:
    state = CommandState("web", phase, 3, deaths=2, last_death="exit code 3")
    snapshot = Snapshot(0, "shop", {} if at is None else {"web": at}, {}, {}, commands={"web": state})
    (told,) = statuses(snapshot, NOW)
    assert (told.kind, told.state, told.why) == ("command", word, why)
    assert (told.url, told.port) == ((None, None) if at is None else (at.url, at.port))
    assert told.pid == (phase.pid if isinstance(phase, Launching | Running) else None)
    assert told.retry_seconds == (2.0 if isinstance(phase, Resting) else None)
    assert read(document(replace(SHOP, apps=(told,)))).apps == (told,)
    assert word in listing(replace(SHOP, apps=(told,)), Room(80))[2].plain


def test_a_command_that_is_on_its_way_out() -> None:
    for phase in (Waiting(()), Off(), Stopped()):
        snapshot = Snapshot(0, "shop", {}, {}, {}, commands={"web": CommandState("web", phase, 1, (WEB_RUN,))})
        assert statuses(snapshot, NOW)[0].state == "stopping"

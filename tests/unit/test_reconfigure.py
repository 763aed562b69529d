"""Another config while the stack is up, by histories: what comes, goes, starts anew, and what is not touched."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from devrun.events import (
    Alarm,
    AppReady,
    AppReloading,
    AppStopped,
    Arm,
    Begin,
    Effect,
    Event,
    Exited,
    Failed,
    Failure,
    FilesChanged,
    Imported,
    Kill,
    Launch,
    Listening,
    Quit,
    Reconfigured,
    RestartAsked,
    Run,
    Spawned,
    Start,
    Started,
    StartPage,
    StopAsked,
    StopPartsAsked,
    Tell,
    Terminate,
    UpAsked,
)
from devrun.plan import AppRules, CommandRules, Endpoint
from devrun.state import Blocked, Halted, Off, Serving, Snapshot, Stopped, Waiting
from devrun.step import initial, step

GRACE = 1.0
RULES = AppRules((), health=False, grace=GRACE)
WORKER = CommandRules((), "never", GRACE, None)
FAILURE = Failure("import", "SyntaxError: invalid syntax", "", "main.py", 1)
AT_API, AT_AUTH = Endpoint("api", "127.0.0.1", 1), Endpoint("auth", "127.0.0.1", 2)
AT_WEB = Endpoint("web", "127.0.0.1", 3)


def run(generation: int, name: str = "api") -> Run:
    return Run(name, generation)


def play(snapshot: Snapshot, *events: Event) -> tuple[Snapshot, list[Effect]]:
    effects: list[Effect] = []
    for event in events:
        snapshot, more = step(snapshot, event)
        effects += more
    return snapshot, effects


def told(effects: list[Effect]) -> list[object]:
    return [effect.notice for effect in effects if isinstance(effect, Tell)]


def config(
    apps: Mapping[str, AppRules] | None = None,
    commands: Mapping[str, CommandRules] | None = None,
    *changed: str,
    endpoints: tuple[Endpoint, ...] = (AT_API, AT_AUTH),
    at: float = 10.0,
) -> Reconfigured:
    known = {endpoint.name: endpoint for endpoint in endpoints}
    externals = tuple(name for name in known if name == "pay")
    return Reconfigured(
        {"api": RULES} if apps is None else apps,
        commands or {},
        known,
        externals,
        frozenset(changed),
        ("devrun.toml",),
        at,
    )


def up() -> Snapshot:
    """An app that serves."""
    snapshot = initial("shop", {"api": AT_API}, {"api": RULES})
    return play(snapshot, UpAsked(0.0), Spawned(run(1), 7, 0.1), Imported(run(1), 0.2), Started(run(1), 0.3))[0]


def with_command(rules: CommandRules = WORKER) -> Snapshot:
    snapshot = initial("shop", {} if rules.promised is None else {"web": rules.promised}, {}, {"web": rules})
    return play(snapshot, UpAsked(0.0), Listening(run(1, "web"), AT_WEB, 1.0))[0]


def test_the_same_config_touches_nothing() -> None:
    before = up()
    after, effects = play(before, config())
    assert effects == []
    assert after.apps == before.apps and after.stage == "ready"
    assert list(after.endpoints) == ["api"]


def test_a_new_app_starts() -> None:
    snapshot, effects = play(up(), config({"api": RULES, "auth": RULES}))
    assert effects == [Start(run(1, "auth"))]
    assert list(snapshot.endpoints) == ["api", "auth"]
    _, effects = play(snapshot, Imported(run(1, "auth"), 11.0), Started(run(1, "auth"), 11.0))
    assert told(effects) == [AppReady("auth", AT_AUTH.url, 1.0, first=True)]


def test_a_removed_app_ends_and_is_forgotten_when_it_is_gone() -> None:
    snapshot, effects = play(up(), config({"auth": RULES}))
    assert effects == [Terminate(run(1)), Arm(run(1), Alarm.KILL, GRACE), Start(run(1, "auth"))]
    assert snapshot.apps["api"].phase == Stopped() and "api" not in snapshot.endpoints
    snapshot, effects = play(snapshot, RestartAsked((), 10.1), config({"auth": RULES}), FilesChanged("api", (), 10.2))
    assert Terminate(run(1)) not in effects, "it is on its way already"
    snapshot, effects = play(snapshot, Exited(run(1), 0, (), 10.3))
    assert told(effects) == [AppStopped("api")]
    assert list(snapshot.apps) == ["auth"]


def test_one_that_never_ran_is_forgotten_at_once() -> None:
    rules = {"api": RULES, "auth": replace(RULES, depends_on=("api",))}
    snapshot = initial("shop", {"api": AT_API, "auth": AT_AUTH}, rules)
    snapshot, effects = play(snapshot, UpAsked(0.0), config())
    assert told(effects) == [AppStopped("auth")]
    assert list(snapshot.apps) == ["api"]


def test_a_changed_app_starts_anew_as_after_a_save() -> None:
    snapshot, effects = play(up(), config(None, None, "api"))
    assert effects == [
        Tell(AppReloading("api", ("devrun.toml",))),
        Terminate(run(1)),
        Arm(run(1), Alarm.KILL, GRACE),
        Start(run(2), ("devrun.toml",)),
    ]
    _, effects = play(snapshot, Imported(run(2), 10.5), Exited(run(1), 0, (), 10.6))
    assert effects == [Begin(run(2))]


def test_new_rules_count_without_a_restart() -> None:
    snapshot, effects = play(up(), config({"api": replace(RULES, grace=9.0)}))
    assert effects == []
    assert play(snapshot, FilesChanged("api", ("a.py",), 11.0))[1][2] == Arm(run(1), Alarm.KILL, 9.0)


def test_one_that_is_removed_and_wanted_again_waits_for_its_old_process() -> None:
    removed, _ = play(up(), config({}))
    snapshot, effects = play(removed, config())
    assert effects == [Start(run(2))]
    snapshot, effects = play(snapshot, Imported(run(2), 10.5))
    assert effects == [], "two lifespans of one app never overlap"
    assert play(snapshot, Exited(run(1), 0, (), 10.6))[1] == [Begin(run(2))]


def test_an_app_that_waits_for_a_broken_one_gets_a_new_page() -> None:
    rules = {"api": RULES, "auth": replace(RULES, depends_on=("api",))}
    snapshot = initial("shop", {"api": AT_API, "auth": AT_AUTH}, rules)
    snapshot, _ = play(snapshot, UpAsked(0.0), Failed(run(1), FAILURE, 0.1))
    assert isinstance(snapshot.apps["auth"].phase, Blocked)
    snapshot, effects = play(snapshot, config(rules, None, "auth"))
    assert effects[0] == Kill(run(1, "auth")) and isinstance(effects[-1], StartPage)
    snapshot, effects = play(snapshot, config({"api": RULES, "auth": RULES}, None, "auth"))
    assert effects[-1] == Start(run(3, "auth")), "it depends on nothing any more"


def test_an_app_that_somebody_stopped_stays_down_behind_a_new_page() -> None:
    halted, _ = play(up(), StopPartsAsked(("api",), 5.0), Exited(run(1), 0, (), 5.1))
    snapshot, effects = play(halted, config(None, None, "api"))
    assert [type(effect) for effect in effects] == [Terminate, Arm, StartPage]
    assert isinstance(snapshot.apps["api"].phase, Halted)


def test_a_new_command_starts_and_a_removed_one_ends() -> None:
    snapshot, effects = play(up(), config(None, {"web": WORKER}))
    assert Launch(run(1, "web")) in effects
    snapshot, _ = play(snapshot, Listening(run(1, "web"), AT_WEB, 11.0), config(None, {"web": WORKER}))
    assert snapshot.endpoints["web"] == AT_WEB, "where it is, is known"
    snapshot, effects = play(snapshot, config())
    assert effects == [Terminate(run(1, "web")), Arm(run(1, "web"), Alarm.KILL, GRACE)]
    assert "web" not in snapshot.endpoints
    again, effects = play(snapshot, config(None, {"web": WORKER}))
    assert effects == [] and again.commands["web"].phase == Waiting(()), "its port is not free yet"
    assert Launch(run(2, "web")) in play(again, Exited(run(1, "web"), -15, (), 12.0))[1]
    gone, effects = play(snapshot, config(), Exited(run(1, "web"), -15, (), 12.0))
    assert told(effects) == [AppStopped("web")] and not gone.commands


def test_a_changed_command_is_restarted_and_stays_where_it_is_to_be() -> None:
    promised = replace(WORKER, promised=AT_WEB)
    snapshot, effects = play(with_command(promised), config({}, {"web": promised}, endpoints=(AT_WEB,)))
    assert effects == []
    elsewhere = replace(AT_WEB, port=9)
    changed = config({}, {"web": replace(promised, promised=elsewhere)}, "web", endpoints=(elsewhere,))
    snapshot, effects = play(snapshot, changed)
    assert told(effects) == [AppReloading("web", ("devrun.toml",))]
    assert snapshot.endpoints == {"web": elsewhere}
    assert play(snapshot, Exited(run(1, "web"), -15, (), 11.0))[1] == [Launch(run(2, "web"))]


def test_a_command_that_moved_stays_where_it_is_when_others_change() -> None:
    promised = replace(WORKER, promised=AT_WEB)
    snapshot, _ = play(with_command(promised), Listening(run(1, "web"), replace(AT_WEB, port=4), 2.0))
    snapshot, _ = play(snapshot, config({"api": RULES}, {"web": promised}, endpoints=(AT_API, AT_WEB)))
    assert [endpoint.port for endpoint in snapshot.endpoints.values()] == [1, 4]


def test_a_command_that_somebody_stopped_stays_down() -> None:
    off, _ = play(with_command(), StopPartsAsked(("web",), 5.0), Exited(run(1, "web"), -15, (), 5.1))
    snapshot, effects = play(off, config({}, {"web": WORKER}, "web"))
    assert effects == [] and snapshot.commands["web"].phase == Off()


def test_a_command_takes_the_name_of_an_app_and_gives_it_back() -> None:
    snapshot, effects = play(up(), config({}, {"api": WORKER}))
    assert Launch(run(2)) in effects, "its runs are told apart from those of the app"
    snapshot, effects = play(snapshot, Exited(run(1), 0, (), 10.1))
    assert told(effects) == [AppStopped("api")]
    assert not snapshot.apps and list(snapshot.commands) == ["api"]
    snapshot, effects = play(snapshot, config())
    assert Start(run(3)) in effects
    snapshot, _ = play(snapshot, Exited(run(2), -15, (), 10.2))
    assert not snapshot.commands and list(snapshot.apps) == ["api"]


def test_externals_come_and_go() -> None:
    pay = Endpoint("pay", "pay.example.com", 443, "https")
    snapshot, effects = play(up(), config(endpoints=(AT_API, pay)))
    assert effects == [] and snapshot.endpoints["pay"] == pay and snapshot.externals == ("pay",)
    assert play(snapshot, config())[0].externals == ()


def test_the_end_of_the_stack_is_not_delayed_by_a_save() -> None:
    stopping, _ = play(up(), StopAsked(9.0))
    snapshot, effects = play(stopping, config({"auth": RULES}), Exited(run(1), 0, (), 10.1))
    assert effects == [Quit(0)] and list(snapshot.apps) == ["api"]
    removed, _ = play(up(), config({}, {"web": WORKER}), config({}))
    snapshot, effects = play(removed, StopAsked(11.0))
    assert effects == [], "who leaves already has been asked"
    _, effects = play(snapshot, StopAsked(11.1), Exited(run(1), 0, (), 11.2), Exited(run(1, "web"), 0, (), 11.3))
    assert effects[:2] == [Kill(run(1)), Kill(run(1, "web"))] and effects[-1] == Quit(0)


def test_an_app_that_stays_serves_on() -> None:
    snapshot, _ = play(up(), config({"api": RULES, "auth": RULES}))
    assert snapshot.apps["api"].phase == Serving(run(1), 7, 0.3)

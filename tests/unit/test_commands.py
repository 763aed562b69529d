"""Commands in the pure core, by histories: what starts them, what their end means, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pytest
from msgspec.structs import replace

from devrun.command import SETTLE_SECONDS
from devrun.events import (
    Alarm,
    AppExited,
    AppReady,
    AppReloading,
    AppStopped,
    Arm,
    Effect,
    Event,
    Exited,
    Expired,
    Failure,
    Imported,
    Kill,
    Launch,
    Listening,
    Loaded,
    Quit,
    RestartAsked,
    Run,
    Spawned,
    StackReady,
    Start,
    Started,
    StartPage,
    StartPartsAsked,
    StopAsked,
    StopPartsAsked,
    Tell,
    Terminate,
    UpAsked,
)
from devrun.notices import overdue
from devrun.plan import AppRules, CommandRules, Endpoint
from devrun.state import Ended, Launching, Off, Resting, Running, Snapshot, Stopped, Waiting
from devrun.step import initial, step

GRACE = 3.0
HERE, THERE = Endpoint("web", "127.0.0.1", 5173), Endpoint("web", "::1", 5174)
WORKER = CommandRules((), "never", GRACE, None)
PORT = replace(WORKER, promised=HERE)


def run(generation: int = 1, name: str = "web") -> Run:
    return Run(name, generation)


def stack(commands: Mapping[str, CommandRules], apps: Mapping[str, AppRules] | None = None) -> Snapshot:
    endpoints = {name: Endpoint(name, "127.0.0.1", 4000) for name in apps or {}}
    promised = {name: rules.promised for name, rules in commands.items() if rules.promised is not None}
    return initial("shop", {**endpoints, **promised}, apps or {}, commands)


def play(snapshot: Snapshot, *events: Event) -> tuple[Snapshot, list[Effect]]:
    effects: list[Effect] = []
    for event in events:
        snapshot, more = step(snapshot, event)
        effects += more
    return snapshot, effects


def up(rules: CommandRules = WORKER) -> Snapshot:
    """A stack of the command alone, which listens."""
    return play(stack({"web": rules}), UpAsked(0.0), Spawned(run(), 7, 0.1), Listening(run(), HERE, 1.0))[0]


def told(effects: list[Effect]) -> list[object]:
    return [effect.notice for effect in effects if isinstance(effect, Tell)]


# --- start and ready --------------------------------------------------------------------------------------------------


def test_a_command_starts_at_once_and_is_ready_when_it_listens() -> None:
    snapshot, effects = play(stack({"web": WORKER}), UpAsked(0.0))
    assert effects == [Launch(run()), Arm(run(), Alarm.SETTLE, SETTLE_SECONDS)]
    snapshot, effects = play(snapshot, Spawned(run(), 7, 0.1))
    assert isinstance(snapshot.commands["web"].phase, Launching) and effects == []
    assert snapshot.endpoints == {}
    snapshot, effects = play(snapshot, Listening(run(), HERE, 1.5))
    assert told(effects) == [AppReady("web", HERE.url, 1.5, first=True), StackReady((("web", 5173),))]
    assert snapshot.endpoints == {"web": HERE}
    phase = snapshot.commands["web"].phase
    assert isinstance(phase, Running) and (phase.pid, phase.since) == (7, 1.5)


def test_one_that_does_not_listen_is_ready_after_a_while_and_may_listen_later() -> None:
    settled = Expired(run(), Alarm.SETTLE, SETTLE_SECONDS)
    snapshot, effects = play(stack({"web": WORKER}), UpAsked(0.0), settled)
    assert told(effects) == [AppReady("web", None, SETTLE_SECONDS, first=True), StackReady(())]
    snapshot, effects = play(snapshot, settled, Spawned(run(), 7, 3.1), Listening(run(), THERE, 9.0))
    assert told(effects) == [AppReady("web", "http://[::1]:5174", 9.0, first=False)]
    assert snapshot.endpoints == {"web": THERE}
    phase = snapshot.commands["web"].phase
    assert isinstance(phase, Running) and (phase.pid, phase.since) == (7, SETTLE_SECONDS)


def test_one_whose_port_is_known_is_waited_for_until_it_listens() -> None:
    snapshot, effects = play(stack({"web": PORT}), UpAsked(0.0))
    assert effects == [Launch(run())], "no alarm makes it ready"
    assert snapshot.endpoints == {"web": HERE}
    snapshot, effects = play(snapshot, Listening(run(), THERE, 1.0))
    assert told(effects)[0] == AppReady("web", THERE.url, 1.0, first=True)
    assert snapshot.endpoints == {"web": THERE}, "it took another port than it was asked to"


def test_endpoints_keep_the_order_of_the_config() -> None:
    rules = {"api": AppRules((), health=False, grace=1.0)}
    pay = Endpoint("pay", "pay.example.com", 443)
    snapshot = initial("shop", {"api": Endpoint("api", "::1", 1), "pay": pay}, rules, {"web": WORKER}, ("pay",))
    snapshot, _ = play(snapshot, UpAsked(0.0), Listening(run(), HERE, 1.0))
    assert list(snapshot.endpoints) == ["api", "web", "pay"]


def test_word_that_a_command_has_no_use_for_changes_nothing() -> None:
    before = up()
    after, effects = play(before, Loaded(run(), (), 2.0), Expired(run(), Alarm.SETTLE, 3.0), Imported(run(9), 3.0))
    assert (after.commands, effects) == (before.commands, [])
    rules = {"api": AppRules((), health=False, grace=1.0)}
    serving, _ = play(stack({}, rules), UpAsked(0.0), Listening(run(1, "api"), HERE, 1.0))
    assert serving.endpoints["api"].port == 4000


# --- its end ----------------------------------------------------------------------------------------------------------


def test_one_that_has_done_its_work_is_done_and_ready() -> None:
    snapshot, effects = play(stack({"web": WORKER}), UpAsked(0.0), Exited(run(), 0, (), 1.0))
    assert told(effects) == [AppExited("web", 0, (), None), StackReady(())]
    assert snapshot.commands["web"].phase == Ended(0, 1.0)


def test_one_that_has_failed_stays_down_and_takes_nothing_along() -> None:
    snapshot, effects = play(stack({"web": WORKER}), UpAsked(0.0), Exited(run(), 3, ("oops",), 1.0))
    assert told(effects) == [AppExited("web", 3, ("oops",), None)]
    assert snapshot.stage == "up", "not everything is ready"
    _, effects = play(snapshot, StopAsked(2.0))
    assert effects == [Quit(1)], "a part that was started has failed for good"


def test_where_it_was_is_forgotten_when_it_is_gone() -> None:
    assert play(up(), Exited(run(), 1, (), 2.0))[0].endpoints == {}
    moved, _ = play(up(PORT), Listening(run(), THERE, 2.0), Exited(run(), 1, (), 3.0))
    assert moved.endpoints == {"web": HERE}, "its port is kept for it"


@pytest.mark.parametrize(
    ("restart", "code", "again"),
    [
        ("never", 1, False),
        ("never", -9, False),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("on-failure", -15, True),
        ("always", 0, True),
        ("always", 1, True),
    ],
)
def test_who_is_started_again(restart: Literal["never", "on-failure", "always"], code: int, again: bool) -> None:
    snapshot, effects = play(up(replace(WORKER, restart=restart)), Exited(run(), code, (), 2.0))
    assert (Launch(run(2)) in effects) is again
    assert isinstance(snapshot.commands["web"].phase, Launching if again else Ended)
    assert snapshot.endpoints == ({"web": HERE} if again else {}), "one that comes again is where it was until it moves"


def test_restarts_are_delayed_more_and_more_until_it_has_run_for_a_while() -> None:
    rules = replace(WORKER, restart="always")
    snapshot, _ = play(stack({"web": rules}), UpAsked(0.0), Exited(run(), 1, (), 1.0))
    snapshot, effects = play(snapshot, Exited(run(2), 1, (), 2.0))
    assert effects == [Tell(AppExited("web", 1, (), 0.5)), Arm(run(2), Alarm.RETRY, 0.5)]
    assert snapshot.commands["web"].phase == Resting(run(2), 1, 2.0, 2.5)
    snapshot, effects = play(snapshot, Expired(run(2), Alarm.RETRY, 2.5))
    assert effects == [Launch(run(3)), Arm(run(3), Alarm.SETTLE, SETTLE_SECONDS)]
    snapshot, effects = play(snapshot, Exited(run(3), 1, (), 3.0))
    assert told(effects) == [AppExited("web", 1, (), 1.0)]
    snapshot, _ = play(snapshot, Expired(run(3), Alarm.RETRY, 4.0), Listening(run(4), HERE, 5.0))
    _, effects = play(snapshot, Exited(run(4), 1, (), 60.0))
    assert told(effects)[0] == AppExited("web", 1, (), 0.0)


# --- asked ------------------------------------------------------------------------------------------------------------


def test_a_restart_by_name_starts_it_when_the_old_run_is_gone() -> None:
    snapshot, effects = play(up(), RestartAsked(("web",), 5.0))
    assert effects == [
        Tell(AppReloading("web", ())),
        Terminate(run()),
        Arm(run(), Alarm.KILL, GRACE),
    ]
    snapshot, effects = play(snapshot, Loaded(run(), (), 6.0), Expired(run(), Alarm.KILL, 8.0))
    assert effects == [Kill(run()), Tell(overdue("web"))]
    snapshot, effects = play(snapshot, RestartAsked(("web",), 8.1), Exited(run(), -9, (), 8.2))
    assert effects == [Launch(run(2)), Arm(run(2), Alarm.SETTLE, SETTLE_SECONDS)]
    assert snapshot.endpoints == {"web": HERE}


def test_a_restart_of_all_means_the_apps() -> None:
    assert play(up(), RestartAsked((), 5.0))[1] == []


@pytest.mark.parametrize("code", [0, 1])
def test_one_that_has_ended_can_be_started_again(code: int) -> None:
    ended, _ = play(up(), Exited(run(), code, (), 2.0))
    for asked in (StartPartsAsked(("web",), 3.0), RestartAsked(("web",), 3.0)):
        assert Launch(run(2)) in play(ended, asked)[1]


def test_one_that_rests_is_started_at_once_when_asked() -> None:
    rules = replace(WORKER, restart="always")
    resting, _ = play(up(rules), Exited(run(), 1, (), 2.0), Exited(run(2), 1, (), 2.1))
    snapshot, effects = play(resting, RestartAsked(("web",), 2.2), Expired(run(2), Alarm.RETRY, 2.6))
    assert [effect for effect in effects if isinstance(effect, Launch)] == [Launch(run(3))]
    assert snapshot.commands["web"].deaths == 0


def test_one_that_was_stopped_stays_down_until_somebody_starts_it() -> None:
    snapshot, effects = play(up(PORT), StopPartsAsked(("web",), 5.0), StopPartsAsked(("web",), 5.1))
    assert effects == [Terminate(run()), Arm(run(), Alarm.KILL, GRACE)]
    snapshot, effects = play(snapshot, Exited(run(), -15, (), 5.2))
    assert told(effects) == [AppStopped("web")]
    assert snapshot.commands["web"].phase == Off()
    assert play(snapshot, StartPartsAsked(("web",), 6.0))[1] == [Launch(run(2))]
    assert play(snapshot, StopAsked(6.0))[1] == [Quit(0)]
    ended, _ = play(up(), Exited(run(), 0, (), 2.0))
    assert told(play(ended, StopPartsAsked(("web",), 3.0))[1]) == [AppStopped("web")]
    assert play(up(), StartPartsAsked(("web",), 6.0))[1] == []


def test_where_it_listened_is_forgotten_when_it_is_stopped() -> None:
    assert play(up(), StopPartsAsked(("web",), 5.0))[0].endpoints == {}


# --- one waits for the other ------------------------------------------------------------------------------------------

API = AppRules((), health=False, grace=1.0)


def test_a_command_waits_for_an_app() -> None:
    snapshot, effects = play(stack({"web": replace(WORKER, depends_on=("api",))}, {"api": API}), UpAsked(0.0))
    assert effects == [Start(run(1, "api"))]
    assert snapshot.commands["web"].phase == Waiting(("api",))
    assert Launch(run()) in play(snapshot, Imported(run(1, "api"), 1.0), Started(run(1, "api"), 1.0))[1]


def test_an_app_waits_for_a_command_that_does_its_work() -> None:
    rules = {"api": replace(API, depends_on=("web",))}
    snapshot, effects = play(stack({"web": WORKER}, rules), UpAsked(0.0))
    assert Start(run(1, "api")) not in effects
    assert Start(run(1, "api")) in play(snapshot, Exited(run(), 0, (), 1.0))[1]


def test_an_app_that_waits_for_a_command_that_failed_says_so() -> None:
    rules = {"api": replace(API, depends_on=("web",))}
    snapshot, effects = play(stack({"web": WORKER}, rules), UpAsked(0.0), Exited(run(), 2, (), 1.0))
    reason = "api waits for web, which ended with exit code 2"
    assert effects[-1] == StartPage(
        run(1, "api"), Failure("waiting", reason, f"{reason}. It starts when web is ready.")
    )
    _, effects = play(
        snapshot, StopPartsAsked(("web",), 2.0), StartPartsAsked(("web",), 3.0), Exited(run(2), 0, (), 4.0)
    )
    assert Start(run(2, "api")) in effects
    stopped, effects = play(stack({"web": WORKER}, rules), StopPartsAsked(("web",), 0.0), UpAsked(0.0))
    assert isinstance(effects[-1], StartPage) and "which is stopped" in effects[-1].failure.summary
    assert stopped.commands["web"].phase == Off()


def test_a_command_waits_for_another() -> None:
    rules = {"db": WORKER, "web": replace(WORKER, depends_on=("db",))}
    snapshot, effects = play(stack(rules), UpAsked(0.0))
    assert Launch(run()) not in effects
    assert Launch(run()) in play(snapshot, Listening(run(1, "db"), Endpoint("db", "::1", 1), 1.0))[1]


# --- the end of the stack ---------------------------------------------------------------------------------------------


def test_the_stack_ends_when_the_trees_of_its_commands_have() -> None:
    snapshot, effects = play(up(), StopAsked(9.0))
    assert effects == [Terminate(run()), Arm(run(), Alarm.KILL, GRACE)]
    assert snapshot.commands["web"].phase == Stopped()
    _, effects = play(snapshot, StopAsked(9.1), RestartAsked(("web",), 9.2), Exited(run(), -9, (), 9.3))
    assert effects == [Kill(run()), Quit(0)]


def test_a_stack_whose_commands_are_not_ready_was_interrupted() -> None:
    snapshot, _ = play(stack({"web": PORT}), UpAsked(0.0), StopAsked(0.5))
    assert snapshot.exit_code == 130

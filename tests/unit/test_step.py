"""The pure core, by histories: a table of events in, phases and effects out."""

from __future__ import annotations

import signal

import pytest

from devrun.events import (
    Alarm,
    AppBroken,
    AppExited,
    AppPaused,
    AppReady,
    AppReloading,
    AppResumed,
    AppStopped,
    Arm,
    Begin,
    Effect,
    Event,
    Exited,
    Expired,
    Failed,
    Failure,
    FilesChanged,
    Healthy,
    Imported,
    Kill,
    Loaded,
    LoadedFile,
    Paused,
    Probe,
    Quit,
    RestartAsked,
    Resumed,
    Run,
    Settle,
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
    Warned,
    Watch,
)
from devrun.life import PAGE_SECONDS
from devrun.notices import overdue
from devrun.phases import LONGEST_DELAY, ending
from devrun.plan import Endpoint
from devrun.state import (
    AppRules,
    Backoff,
    Beginning,
    Blocked,
    Broken,
    Doubtful,
    Halted,
    Holding,
    Importing,
    Pause,
    Probing,
    Serving,
    Snapshot,
    Stopped,
    Waiting,
)
from devrun.step import STOP_MARGIN, initial, step

FAILURE = Failure("import", "SyntaxError: invalid syntax", "Traceback ...", "shop/routes.py", 12)
GRACE = 1.0


def run(generation: int, app: str = "api") -> Run:
    return Run(app, generation)


def stack(**rules: AppRules) -> Snapshot:
    rules = rules or {"api": AppRules((), health=False, grace=GRACE)}
    endpoints = {name: Endpoint(name, "127.0.0.1", 4000 + n) for n, name in enumerate(rules)}
    return initial("shop", endpoints, rules)


def play(snapshot: Snapshot, *events: Event) -> tuple[Snapshot, list[Effect]]:
    effects: list[Effect] = []
    for event in events:
        snapshot, more = step(snapshot, event)
        effects += more
    return snapshot, effects


def serving(snapshot: Snapshot, app: str = "api", at: float = 1.0) -> Snapshot:
    generation = snapshot.apps[app].generation
    events: list[Event] = [
        UpAsked(0.0),
        Spawned(run(generation or 1, app), 100, at),
        Imported(run(generation or 1, app), at),
        Started(run(generation or 1, app), at),
    ]
    return play(snapshot, *events)[0]


def told(effects: list[Effect]) -> list[object]:
    return [effect.notice for effect in effects if isinstance(effect, Tell)]


def test_nothing_starts_before_it_is_asked_for() -> None:
    snapshot = stack()
    assert snapshot.apps["api"].phase == Waiting(())
    assert snapshot.stage == "idle"


def test_a_first_start() -> None:
    first = run(1)
    snapshot, effects = play(stack(), UpAsked(0.0))
    assert effects == [Start(first)]
    snapshot, effects = play(snapshot, Spawned(first, 77, 0.1), Imported(first, 0.3))
    assert effects == [Begin(first)]
    assert isinstance(snapshot.apps["api"].phase, Beginning)
    assert snapshot.apps["api"].phase.pid == 77
    snapshot, effects = play(snapshot, Started(first, 0.41))
    assert snapshot.apps["api"].phase == Serving(first, 77, 0.41)
    assert effects == [
        Settle(first),
        Tell(AppReady("api", "http://127.0.0.1:4000", 0.41, first=True)),
        Tell(StackReady((("api", 4000),))),
    ]
    assert snapshot.stage == "ready"
    assert snapshot.seq == 4


def test_word_of_files_leaves_the_apps_as_they_are() -> None:
    """There are thousands of them when hundreds of apps start."""
    before = serving(stack())
    after, effects = step(before, Loaded(run(1), (), 2.0))
    assert effects == (Watch(run(1), ()),)
    assert after.apps is before.apps
    assert after.seq == before.seq + 1


def test_a_reload_imports_while_the_old_worker_drains_and_begins_when_it_is_gone() -> None:
    old, new = run(1), run(2)
    snapshot, effects = play(serving(stack()), FilesChanged("api", ("shop/main.py",), 5.0))
    assert effects == [
        Tell(AppReloading("api", ("shop/main.py",))),
        Terminate(old),
        Arm(old, Alarm.KILL, GRACE),
        Start(new, ("shop/main.py",)),
    ]
    snapshot, effects = play(snapshot, Imported(new, 5.2))
    assert effects == []
    assert isinstance(snapshot.apps["api"].phase, Holding)
    snapshot, effects = play(snapshot, Exited(old, 0, (), 5.4))
    assert effects == [Begin(new)]
    snapshot, effects = play(snapshot, Started(new, 5.5))
    assert told(effects) == [AppReady("api", "http://127.0.0.1:4000", 0.5, first=False)]
    assert snapshot.apps["api"].reloads == 1
    assert snapshot.apps["api"].reload_seconds == pytest.approx(0.5)


def test_what_outlives_its_grace_is_killed() -> None:
    old, new = run(1), run(2)
    snapshot, effects = play(
        serving(stack()), FilesChanged("api", ("a.py",), 5.0), Imported(new, 5.1), Expired(old, Alarm.KILL, 6.0)
    )
    assert effects[-2:] == [Kill(old), Tell(overdue("api"))]
    _, effects = play(snapshot, Exited(old, -9, (), 6.1), Expired(old, Alarm.KILL, 7.0))
    assert effects == [Begin(new)]


def test_a_save_during_a_start_aborts_that_start() -> None:
    first, second = run(1), run(2)
    snapshot, effects = play(stack(), UpAsked(0.0), Spawned(first, 1, 0.1), FilesChanged("api", ("a.py",), 0.2))
    assert effects == [Start(first), Tell(AppReloading("api", ("a.py",))), Kill(first), Start(second, ("a.py",))]
    snapshot, effects = play(snapshot, Imported(first, 0.3), Started(first, 0.3))
    assert effects == [], "late word of an older run is dropped"
    snapshot, effects = play(snapshot, Imported(second, 0.4), Exited(first, -9, (), 0.5), Started(second, 0.6))
    assert effects[0] == Begin(second)
    assert snapshot.apps["api"].last_death is None


def test_a_reload_that_is_overtaken_is_told_once() -> None:
    snapshot, effects = play(
        serving(stack()),
        FilesChanged("api", ("a.py",), 5.0),
        FilesChanged("api", ("b.py",), 5.1),
        Imported(run(3), 5.2),
    )
    assert told(effects) == [AppReloading("api", ("a.py",))]
    assert [e for e in effects if isinstance(e, Kill)] == [Kill(run(2))]
    snapshot, effects = play(snapshot, Exited(run(2), -9, (), 5.3), Exited(run(1), 0, (), 5.4), Started(run(3), 5.6))
    assert isinstance(effects[0], Begin)
    assert snapshot.apps["api"].reload_seconds == pytest.approx(0.5), "from the newest save"


def test_a_worker_in_its_lifespan_gets_its_grace_even_when_it_only_starts() -> None:
    snapshot, effects = play(stack(), UpAsked(0.0), Imported(run(1), 0.1), FilesChanged("api", ("a.py",), 0.2))
    assert effects[-3:] == [Terminate(run(1)), Arm(run(1), Alarm.KILL, GRACE), Start(run(2), ("a.py",))]


def test_broken_code_is_told_and_mended_by_the_next_save() -> None:
    first = run(1)
    snapshot, effects = play(stack(), UpAsked(0.0), Spawned(first, 5, 0.1), Failed(first, FAILURE, 0.2))
    assert snapshot.apps["api"].phase == Broken(first, 5, FAILURE, 0.2)
    assert told(effects) == [AppBroken("api", FAILURE)]
    snapshot, effects = play(snapshot, Failed(first, FAILURE, 0.3), Imported(first, 0.3), Started(first, 0.3))
    assert effects == []
    snapshot, effects = play(snapshot, Healthy(first, 0.4), FilesChanged("api", ("shop/routes.py",), 9.0))
    assert Start(run(2), ("shop/routes.py",)) in effects
    assert told(effects) == [AppReloading("api", ("shop/routes.py",))]


def test_loaded_files_go_to_the_watcher_only_for_the_newest_run() -> None:
    files = (LoadedFile("/p/a.py", (1, 2, 3)),)
    snapshot, _ = play(serving(stack()), FilesChanged("api", (), 5.0))
    assert play(snapshot, Loaded(run(2), files, 5.1))[1] == [Watch(run(2), files)]
    assert play(snapshot, Loaded(run(1), files, 5.1))[1] == []


def test_health_decides_about_ready() -> None:
    snapshot, effects = play(
        stack(api=AppRules((), health=True, grace=GRACE)), UpAsked(0.0), Imported(run(1), 0.1), Started(run(1), 0.2)
    )
    assert effects[-1] == Probe(run(1))
    assert isinstance(snapshot.apps["api"].phase, Probing)
    assert play(snapshot, Healthy(run(9), 0.3))[1] == []
    snapshot, effects = play(snapshot, Healthy(run(1), 0.3))
    assert isinstance(snapshot.apps["api"].phase, Serving)
    assert play(snapshot, Healthy(run(1), 0.4))[1] == []


def test_dependents_wait_until_their_dependencies_are_ready() -> None:
    rules = {
        "web": AppRules(("api", "auth"), health=False, grace=GRACE),
        "api": AppRules((), health=False, grace=GRACE),
        "auth": AppRules((), health=False, grace=GRACE),
    }
    snapshot, effects = play(stack(**rules), UpAsked(0.0))
    assert effects == [Start(run(1)), Start(run(1, "auth"))]
    snapshot = serving(snapshot)
    assert snapshot.apps["web"].phase == Waiting(("auth",))
    assert play(snapshot, FilesChanged("web", ("a.py",), 0.5))[1] == [], "nothing to reload yet"
    _, effects = play(snapshot, Imported(run(1, "auth"), 0.2), Started(run(1, "auth"), 0.3))
    assert effects[-1] == Start(run(1, "web"))


def test_a_death_restarts_at_once_and_then_with_a_growing_delay_behind_a_page() -> None:
    snapshot, effects = play(serving(stack()), Exited(run(1), -signal.SIGKILL, ("last line",), 2.0))
    assert effects == [Tell(AppExited("api", -9, ("last line",), 0.0)), Start(run(2))]
    assert snapshot.apps["api"].last_death == "signal SIGKILL"
    delays = []
    at = 2.0
    for _ in range(10):
        newest = snapshot.apps["api"].generation
        snapshot, effects = play(snapshot, Exited(run(newest), 3, ("no memory",), at))
        page = run(newest + 1)
        failure = Failure("died", "the worker ended with exit code 3", "no memory")
        assert told(effects)[1:] == [AppBroken("api", failure)]
        assert effects[2] == StartPage(page, failure)
        arm = effects[3]
        assert isinstance(arm, Arm) and arm.alarm is Alarm.RETRY
        delays.append(arm.seconds)
        assert snapshot.apps["api"].phase == Backoff(page, None, failure, at, at + arm.seconds)
        at += arm.seconds
        snapshot, effects = play(snapshot, Spawned(page, 9, at), Expired(page, Alarm.RETRY, at))
        assert effects == [Kill(page), Start(run(newest + 2))]
        snapshot, _ = play(snapshot, Exited(page, -9, (), at))
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == LONGEST_DELAY


def test_a_long_life_forgives_earlier_deaths() -> None:
    snapshot, _ = play(serving(stack()), Exited(run(1), 1, (), 2.0))
    snapshot = serving(snapshot, at=3.0)
    _, effects = play(snapshot, Exited(run(2), 1, (), 100.0))
    assert effects[-1] == Start(run(3))


def test_a_save_ends_the_delay() -> None:
    snapshot, _ = play(serving(stack()), Exited(run(1), 1, (), 2.0), Exited(run(2), 1, (), 2.1))
    assert isinstance(snapshot.apps["api"].phase, Backoff)
    snapshot, effects = play(snapshot, FilesChanged("api", ("a.py",), 2.2))
    assert effects[1:] == [Kill(run(3)), Start(run(4), ("a.py",))]
    assert snapshot.apps["api"].deaths == 0
    assert play(snapshot, Expired(run(3), Alarm.RETRY, 2.6))[1] == []


def test_a_page_process_that_dies_waits_for_its_timer() -> None:
    snapshot, _ = play(
        serving(stack()), Exited(run(1), 1, (), 2.0), Exited(run(2), 1, (), 2.1), Spawned(run(3), 4, 2.2)
    )
    snapshot, effects = play(snapshot, Exited(run(3), -9, (), 2.3))
    assert effects == []
    assert isinstance(snapshot.apps["api"].phase, Backoff)
    assert play(snapshot, Expired(run(3), Alarm.RETRY, 2.6))[1][-1] == Start(run(4))


def test_a_retry_alarm_of_a_worker_is_nothing() -> None:
    snapshot = serving(stack())
    assert play(snapshot, Expired(run(1), Alarm.RETRY, 3.0)) == (
        play(snapshot, Expired(run(1), Alarm.RETRY, 3.0))[0],
        [],
    )


def waiting_stack() -> Snapshot:
    rules = {
        "api": AppRules((), health=False, grace=GRACE),
        "web": AppRules(("api",), health=False, grace=GRACE),
        "cdn": AppRules(("web",), health=False, grace=GRACE),
    }
    return stack(**rules)


def test_who_waits_for_a_broken_app_answers_meanwhile() -> None:
    snapshot, effects = play(waiting_stack(), UpAsked(0.0), Failed(run(1), FAILURE, 0.2))
    reasons = [effect.failure.summary for effect in effects if isinstance(effect, StartPage)]
    assert reasons == ["web waits for api, which is broken", "cdn waits for web, which is broken"]
    assert snapshot.apps["web"].phase == Blocked(run(1, "web"), None, ("api",))
    page = run(1, "web")
    asked = FilesChanged("web", (), 0.3), RestartAsked(("web",), 0.3)
    snapshot, effects = play(snapshot, Spawned(page, 7, 0.3), *asked)
    assert effects == []
    assert snapshot.apps["web"].phase == Blocked(page, 7, ("api",))
    snapshot, effects = play(snapshot, Exited(page, -9, (), 0.4))
    assert effects == []
    events = (
        FilesChanged("api", ("a.py",), 1.0),
        Exited(run(1), 0, (), 1.1),
        Imported(run(2), 1.2),
        Started(run(2), 1.3),
    )
    snapshot, effects = play(snapshot, *events)
    assert effects[-2:] == [Kill(page), Start(run(2, "web"))]
    snapshot, effects = play(snapshot, Exited(page, -9, (), 1.4))
    assert effects == []


def test_a_stack_whose_rest_waits_for_a_broken_app_is_up() -> None:
    snapshot, _ = play(waiting_stack(), UpAsked(0.0), Failed(run(1), FAILURE, 0.2))
    _, effects = play(snapshot, StopAsked(9.0))
    assert set(effects) >= {Kill(run(1, "web")), Kill(run(1, "cdn")), Terminate(run(1))}
    runs = (run(1), run(1, "web"), run(1, "cdn"))
    assert play(snapshot, StopAsked(9.0), *(Exited(one, 0, (), 9.1) for one in runs))[1][-1] == Quit(0)


def test_restart_on_demand() -> None:
    rules = {name: AppRules((), health=False, grace=GRACE) for name in ("api", "auth")}
    snapshot, _ = play(stack(**rules), UpAsked(0.0))
    snapshot = serving(serving(snapshot), "auth")
    _, effects = play(snapshot, RestartAsked((), 5.0))
    assert told(effects) == [AppReloading("api", ()), AppReloading("auth", ())]
    _, effects = play(snapshot, RestartAsked(("auth", "nobody"), 5.0))
    assert told(effects) == [AppReloading("auth", ())]


def test_a_stop_ends_everything_within_grace_and_a_bit() -> None:
    snapshot, effects = play(serving(stack()), StopAsked(5.0))
    assert effects == [Terminate(run(1)), Arm(run(1), Alarm.KILL, GRACE + STOP_MARGIN)]
    assert snapshot.apps["api"].phase == Stopped()
    assert play(snapshot, FilesChanged("api", ("a.py",), 5.1))[1] == []
    assert play(snapshot, Exited(run(1), 0, (), 5.2))[1] == [Quit(0)]


def test_a_second_stop_is_at_once() -> None:
    snapshot, effects = play(serving(stack()), StopAsked(5.0), StopAsked(5.1))
    assert effects[-1] == Kill(run(1))
    assert snapshot.stage == "killing"


def test_an_interrupt_before_the_stack_is_up() -> None:
    assert play(stack(), StopAsked(0.0))[1] == [Quit(130)]
    _, effects = play(stack(), UpAsked(0.0), StopAsked(0.1), Exited(run(1), -9, (), 0.2))
    assert effects[1:] == [Kill(run(1)), Quit(130)]


def test_a_stack_with_a_broken_app_is_up() -> None:
    _, effects = play(stack(), UpAsked(0.0), Failed(run(1), FAILURE, 0.2), StopAsked(9.0), Exited(run(1), -15, (), 9.1))
    assert effects[-1] == Quit(0)


def test_a_stop_while_an_app_waits_or_backs_off() -> None:
    rules = {
        "api": AppRules((), health=False, grace=GRACE),
        "web": AppRules(("api",), health=False, grace=GRACE),
    }
    snapshot, _ = play(stack(**rules), UpAsked(0.0), Exited(run(1), 1, (), 0.1), Exited(run(2), 1, (), 0.2))
    assert isinstance(snapshot.apps["web"].phase, Blocked)
    snapshot, effects = play(snapshot, StopAsked(0.3))
    assert effects == [Kill(run(3)), Kill(run(1, "web"))]
    _, effects = play(snapshot, Exited(run(3), -9, (), 0.4), Exited(run(1, "web"), -9, (), 0.4))
    assert effects == [Quit(0)]
    snapshot, _ = play(waiting_stack(), UpAsked(0.0), StopAsked(0.1))
    assert play(snapshot, Exited(run(1), -9, (), 0.2))[1] == [Quit(130)]


def test_word_of_strangers_is_dropped() -> None:
    snapshot = serving(stack())
    events: list[Event] = [
        Spawned(run(1, "nobody"), 1, 2.0),
        FilesChanged("nobody", (), 2.0),
        Exited(run(7), 0, (), 2.0),
        Spawned(run(7), 1, 2.0),
    ]
    after, effects = play(snapshot, *events)
    assert effects == []
    assert after.apps == snapshot.apps


def test_word_that_comes_too_late_for_its_phase_is_dropped() -> None:
    snapshot = serving(stack())
    _, effects = play(snapshot, Imported(run(1), 2.0), Started(run(1), 2.0), Failed(run(1), FAILURE, 2.0))
    assert effects == []
    leaving, _ = play(snapshot, FilesChanged("api", (), 3.0))
    assert play(leaving, Imported(run(1), 3.1), Expired(run(1), Alarm.RETRY, 3.2))[1] == []


def test_importing_is_the_first_phase() -> None:
    snapshot, _ = play(stack(), UpAsked(0.0))
    assert isinstance(snapshot.apps["api"].phase, Importing)


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "signal SIGKILL"), (-15, "signal SIGTERM"), (-200, "signal 200")],
)
def test_endings(code: int, words: str) -> None:
    assert ending(code) == words


def test_nothing_is_done_before_the_stack_is_up() -> None:
    snapshot, effects = play(stack(), RestartAsked((), 0.0))
    assert effects == []
    assert snapshot.stage == "idle"


def test_an_import_that_fails_beside_an_older_worker_is_tried_again_alone() -> None:
    """The older one may hold what only one process can have: a lock, a port of its own, a database file."""
    failure = Failure("import", "OSError: the lock is taken", "Traceback ...")
    snapshot, effects = play(serving(stack()), FilesChanged("api", ("a.py",), 5.0), Failed(run(2), failure, 5.1))
    assert told(effects) == [AppReloading("api", ("a.py",))]
    assert isinstance(snapshot.apps["api"].phase, Doubtful)
    snapshot, effects = play(snapshot, Exited(run(1), 0, (), 5.3))
    killed_at_last = Arm(run(2), Alarm.KILL, PAGE_SECONDS)
    assert effects == [Terminate(run(2)), killed_at_last, Start(run(3), ("a.py",))], "it may be answering with 503"
    _, effects = play(snapshot, Exited(run(2), -9, (), 5.4), Failed(run(3), failure, 5.5))
    assert told(effects) == [AppBroken("api", failure)]


def test_a_mistake_in_the_code_is_told_at_once() -> None:
    _, effects = play(serving(stack()), FilesChanged("api", ("a.py",), 5.0), Failed(run(2), FAILURE, 5.1))
    assert told(effects) == [AppReloading("api", ("a.py",)), AppBroken("api", FAILURE)]


# --- stopped while the stack is up ----------------------------------------------------------------------------------

STOP = StopPartsAsked(("api",), 5.0)
START = StartPartsAsked(("api",), 6.0)
HALTED = Failure("stopped", "`devrun start api` starts it again", "`devrun start api` starts it again")


def halted() -> Snapshot:
    return play(serving(stack()), STOP, Spawned(run(2), 101, 5.1), Exited(run(1), 0, (), 5.2))[0]


def test_a_stopped_app_answers_with_a_page_and_is_told_once_its_worker_is_gone() -> None:
    snapshot, effects = play(serving(stack()), STOP)
    assert effects == [Terminate(run(1)), Arm(run(1), Alarm.KILL, GRACE), StartPage(run(2), HALTED)]
    snapshot, effects = play(snapshot, Spawned(run(2), 101, 5.1), Failed(run(2), HALTED, 5.1), STOP)
    assert effects == [], "asked twice is asked once"
    snapshot, effects = play(snapshot, Exited(run(1), 0, (), 5.2))
    assert told(effects) == [AppStopped("api")]
    assert snapshot.apps["api"].phase == Halted(run(2), 101)
    assert snapshot.stage == "ready"


def test_neither_a_save_nor_a_restart_of_all_wakes_a_stopped_app() -> None:
    _, effects = play(halted(), FilesChanged("api", ("a.py",), 6.0), RestartAsked((), 6.0))
    assert effects == []


@pytest.mark.parametrize("asked", [START, RestartAsked(("api",), 6.0)])
def test_a_stopped_app_starts_again_when_its_page_is_gone(asked: Event) -> None:
    snapshot, effects = play(halted(), asked)
    assert effects == [Terminate(run(2)), Arm(run(2), Alarm.KILL, GRACE), Start(run(3))]
    snapshot, effects = play(snapshot, Imported(run(3), 6.2))
    assert effects == [], "the page still answers"
    snapshot, effects = play(snapshot, Exited(run(2), 0, (), 6.3), Started(run(3), 6.5))
    assert effects[0] == Begin(run(3))
    assert told(effects) == [AppReady("api", "http://127.0.0.1:4000", 0.5, first=False)]
    assert snapshot.apps["api"].reloads == 0


def test_what_is_not_stopped_is_not_started() -> None:
    assert play(serving(stack()), START, StopPartsAsked(("nobody",), 6.0), StartPartsAsked(("nobody",), 6.0))[1] == []


def test_a_stop_overtakes_a_start_and_a_start_a_stop() -> None:
    snapshot, effects = play(halted(), START, STOP)
    assert effects[-2:] == [Kill(run(3)), StartPage(run(4), HALTED)]
    snapshot, effects = play(snapshot, Exited(run(2), 0, (), 6.2))
    assert effects == []
    snapshot, effects = play(snapshot, Exited(run(3), -9, (), 6.2))
    assert told(effects) == [AppStopped("api")]
    snapshot, effects = play(serving(stack()), STOP, START, Exited(run(2), 0, (), 6.1), Imported(run(3), 6.2))
    assert Begin(run(3)) not in effects, "the worker that was asked to end is still there"
    assert play(snapshot, Exited(run(1), 0, (), 6.3))[1] == [Begin(run(3))]


@pytest.mark.parametrize(
    "events",
    [
        (),
        (Failed(run(1), FAILURE, 0.2),),
        (Exited(run(1), 1, (), 0.2), Exited(run(2), 1, (), 0.3)),
        (Imported(run(1), 0.2),),
    ],
)
def test_an_app_that_is_not_ready_can_be_stopped(events: tuple[Event, ...]) -> None:
    snapshot, _ = play(stack(), UpAsked(0.0), *events, STOP)
    newest = snapshot.apps["api"].generation
    assert snapshot.apps["api"].phase == Halted(run(newest), None)
    (leaving,) = snapshot.apps["api"].leaving
    snapshot, effects = play(snapshot, Exited(leaving, -9, (), 5.1), Expired(leaving, Alarm.RETRY, 5.2))
    assert told(effects) == [AppStopped("api")]
    assert snapshot.apps["api"].deaths == 0


def test_a_stack_is_ready_when_all_are_but_those_that_were_stopped() -> None:
    rules = {name: AppRules((), health=False, grace=GRACE) for name in ("api", "auth")}
    snapshot, _ = play(stack(**rules), UpAsked(0.0), STOP)
    assert serving(snapshot, "auth").stage == "ready"


def test_a_page_of_a_stopped_app_that_dies_comes_again() -> None:
    snapshot, effects = play(halted(), Exited(run(2), -9, (), 6.0))
    assert snapshot.apps["api"].phase == Halted(run(2), None)
    assert effects[0] == Arm(run(2), Alarm.RETRY, 0.5) and len(effects) == 1
    _, effects = play(snapshot, Expired(run(2), Alarm.RETRY, 6.5))
    assert effects == [StartPage(run(3), HALTED)]


def test_who_depends_on_a_stopped_app_waits_for_it() -> None:
    rules = {
        "api": AppRules((), health=False, grace=GRACE),
        "web": AppRules(("api",), health=False, grace=GRACE),
    }
    snapshot, effects = play(stack(**rules), UpAsked(0.0), StopPartsAsked(("web",), 0.1))
    assert told(effects) == [AppStopped("web")], "nothing ran yet"
    snapshot, _ = play(snapshot, Spawned(run(1, "web"), 7, 0.1))
    snapshot = serving(snapshot)
    snapshot, effects = play(snapshot, STOP, StartPartsAsked(("web",), 5.1))
    page = run(2, "web")
    reason = "web waits for api, which is stopped"
    assert effects[-1] == StartPage(page, Failure("waiting", reason, f"{reason}. It starts when api is ready."))
    gone = Exited(run(1), 0, (), 5.2), Exited(run(1, "web"), 0, (), 5.2)
    snapshot, effects = play(snapshot, *gone, START, Exited(run(2), 0, (), 6.1), Imported(run(3), 6.2))
    assert Start(run(3, "web")) not in effects
    _, effects = play(snapshot, Started(run(3), 6.3))
    assert effects[-2:] == [Kill(page), Start(run(3, "web"))]


def test_the_stack_goes_down_with_an_app_that_is_stopped() -> None:
    _, effects = play(halted(), StopAsked(9.0), STOP, START, Exited(run(2), 0, (), 9.1))
    assert effects == [Terminate(run(2)), Arm(run(2), Alarm.KILL, GRACE + STOP_MARGIN), Quit(0)]


# --- the debugger ---------------------------------------------------------------------------------------------------

PLACE = "shop/routes.py:12"


def paused(snapshot: Snapshot, at: float = 2.0) -> Snapshot:
    return play(snapshot, Paused(run(snapshot.apps["api"].generation), PLACE, at))[0]


def test_a_stop_in_the_debugger_is_told_once_and_followed() -> None:
    snapshot, effects = play(serving(stack()), Paused(run(1), PLACE, 2.0))
    assert effects == [Tell(AppPaused("api", PLACE))]
    assert snapshot.apps["api"].pause == Pause(PLACE)
    assert isinstance(snapshot.apps["api"].phase, Serving)
    snapshot, effects = play(snapshot, Paused(run(1), "shop/routes.py:13", 3.0))
    assert effects == []
    assert snapshot.apps["api"].pause == Pause("shop/routes.py:13")
    snapshot, effects = play(snapshot, Resumed(run(1), 4.0))
    assert effects == [Tell(AppResumed("api"))]
    assert snapshot.apps["api"].pause is None
    assert play(snapshot, Resumed(run(1), 5.0))[1] == []


def test_a_stop_in_an_editor_is_told_as_that() -> None:
    snapshot, effects = play(serving(stack()), Paused(run(1), PLACE, 2.0, "editor"))
    assert effects == [Tell(AppPaused("api", PLACE, "editor"))]
    assert snapshot.apps["api"].pause == Pause(PLACE, by="editor")


def test_a_save_waits_until_the_app_runs_on() -> None:
    snapshot, effects = play(paused(serving(stack())), FilesChanged("api", ("a.py",), 3.0))
    assert effects == [Tell(Warned(f"stopped at {PLACE}: reloads when it runs on", "api"))]
    snapshot, effects = play(snapshot, FilesChanged("api", ("b.py", "a.py"), 4.0), Paused(run(1), "x.py:1", 5.0))
    assert effects == []
    snapshot, effects = play(snapshot, Resumed(run(1), 9.0))
    assert effects == [
        Tell(AppResumed("api")),
        Tell(AppReloading("api", ("a.py", "b.py"))),
        Terminate(run(1)),
        Arm(run(1), Alarm.KILL, GRACE),
        Start(run(2), ("a.py", "b.py")),
    ]
    assert snapshot.apps["api"].pause is None
    phase = snapshot.apps["api"].phase
    assert isinstance(phase, Importing) and phase.cycle.since == 9.0, "nobody waited for it before"


def test_a_save_during_a_stop_in_the_import_waits_too() -> None:
    snapshot, _ = play(stack(), UpAsked(0.0), Spawned(run(1), 7, 0.1), Paused(run(1), PLACE, 0.2))
    snapshot, effects = play(snapshot, FilesChanged("api", ("a.py",), 3.0))
    assert [effect for effect in effects if not isinstance(effect, Tell)] == []
    snapshot, effects = play(snapshot, Resumed(run(1), 4.0))
    assert effects[-2:] == [Kill(run(1)), Start(run(2), ("a.py",))]


def test_who_asks_for_a_restart_gets_it() -> None:
    snapshot, effects = play(paused(serving(stack())), RestartAsked(("api",), 3.0))
    assert Terminate(run(1)) in effects and Start(run(2)) in effects
    assert snapshot.apps["api"].pause is None
    assert play(snapshot, Resumed(run(1), 3.1), Paused(run(1), PLACE, 3.2))[1] == [], "late word of an older run"


def test_a_stop_in_the_debugger_holds_up_nobody_who_ends_it() -> None:
    snapshot, effects = play(paused(serving(stack())), StopAsked(3.0))
    assert effects == [Terminate(run(1)), Arm(run(1), Alarm.KILL, GRACE + STOP_MARGIN)]
    assert snapshot.apps["api"].pause is None
    snapshot, effects = play(paused(serving(stack())), StopPartsAsked(("api",), 3.0))
    assert effects[0] == Terminate(run(1)) and snapshot.apps["api"].pause is None


def test_a_worker_that_dies_in_the_debugger() -> None:
    snapshot, _ = play(paused(serving(stack())), FilesChanged("api", ("a.py",), 3.0))
    snapshot, effects = play(snapshot, Exited(run(1), -9, (), 4.0))
    assert snapshot.apps["api"].pause is None
    assert effects[-1] == Start(run(2)), "which imports what was saved, too"

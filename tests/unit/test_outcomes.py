"""What has come of a request, as errors."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict

from devrun.errors import BrokenAppError, DevrunError, NotReadyError
from devrun.outcomes import check_well, failure_of, outcome_in
from devrun.outputs.status import AppStatus, Trouble

READY = AppStatus("api", "ready", "http://127.0.0.1:1", "127.0.0.1", 1)
WAITING = AppStatus("web", "importing", None, None, None)
BROKEN = AppStatus(
    "auth", "broken", None, None, None, why="m.py:1: x", trouble=Trouble("import", "x", text="Traceback\n")
)
FAILED = AppStatus("queue", "failed", None, None, None, why="exit code 3", kind="command")


def answer(*apps: AppStatus) -> dict[str, Any]:
    return {"seconds": 0.5, "apps": [asdict(app) for app in apps]}


def test_what_is_well_is_no_error() -> None:
    check_well(answer(READY), 1)
    assert outcome_in(answer(READY)).apps == (READY,)


def test_what_is_broken_comes_before_what_is_only_on_its_way() -> None:
    with pytest.raises(NotReadyError, match=r"^not ready within 1.5 s: web is importing$"):
        check_well(answer(READY, WAITING), 1.5)
    with pytest.raises(BrokenAppError) as error:
        check_well(answer(WAITING, BROKEN, FAILED), 1)
    assert error.value.message == "auth is broken: m.py:1: x; queue is failed: exit code 3"
    assert (error.value.traceback, str(error.value)) == ("Traceback", f"{error.value.message}\n\nTraceback")
    with pytest.raises(BrokenAppError) as error:
        check_well(answer(FAILED), 1)
    assert str(error.value) == error.value.message == "queue is failed: exit code 3"


def test_what_stands_in_a_debugger_was_not_waited_for() -> None:
    paused = AppStatus("api", "paused", None, None, None, why="at m.py:1, `devrun attach api` opens the debugger")
    with pytest.raises(NotReadyError, match=r"^api is paused: at m.py:1, `devrun attach api` opens the debugger$"):
        check_well(answer(paused, WAITING), 60)


def test_all_reasons_are_in_one_text() -> None:
    error = failure_of([WAITING, BROKEN], "mend it")
    assert (error.message, error.hint) == ("auth is broken: m.py:1: x\nTraceback", "mend it")
    assert failure_of([WAITING]).message == "web is importing"


def test_an_answer_of_another_version_is_said_to_be_one() -> None:
    with pytest.raises(DevrunError, match="another version|not known here"):
        check_well({"seconds": 1, "apps": [{}]}, 1)

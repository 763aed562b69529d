"""The desk: each kind of request, what it posts, and when it answers what. The bytes are held by golden files.

A golden file has the request after ``>``, the answer's lines after ``<``, and what happens in between after ``*``.
``DEVRUN_GOLDEN=write`` writes them anew.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from devrun.control.desk import Desk
from devrun.control.fields import RefusedError
from devrun.control.inspecting import Inspector
from devrun.control.protocol import Handover, answer, parse, part, refusal
from devrun.events import (
    AppReady,
    Event,
    Exited,
    Failed,
    Failure,
    Imported,
    Paused,
    RestartAsked,
    Run,
    Spawned,
    StackStarting,
    Started,
    StartPartsAsked,
    StopAsked,
    StopPartsAsked,
    UpAsked,
)
from devrun.history import History
from devrun.plan import Endpoint
from devrun.reports import EngineReport
from devrun.state import AppRules, Snapshot
from devrun.step import initial, step

GOLDEN = Path(__file__).parent / "golden" / "control"
BROKEN = Failure("import", "SyntaxError: invalid syntax", "Traceback ...", "auth/main.py", 12)


class Table:
    """A desk with a stack behind it that does what it is told: two apps, and a clock that stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: 100.0)
        monkeypatch.setattr("os.getpid", lambda: 4242)
        self.history = History(lambda: 1764102000.5)
        self.posted: list[Event] = []
        inspector = Inspector("/home/me/shop", lambda: EngineReport({}))
        self.desk = Desk("shop-1a2b3c4d", self.post, self.history, inspector)
        endpoints = {name: Endpoint(name, "127.0.0.1", port) for name, port in (("api", 41507), ("auth", 38211))}
        self.snapshot: Snapshot = initial("shop", endpoints, {name: AppRules((), False, 1.0) for name in endpoints})
        self.transcript: list[str] = []

    def post(self, event: Event) -> None:
        self.posted.append(event)
        self.play(event)

    def play(self, *events: Event) -> None:
        for event in events:
            self.snapshot, _ = step(self.snapshot, event)

    def happens(self, what: str, *events: Event) -> None:
        self.play(*events)
        self.transcript.append(f"* {what}")
        self.desk.update(self.snapshot)

    def up(self, *broken: str) -> None:
        self.play(UpAsked(90.0))
        for name in self.snapshot.apps:
            self.play(Spawned(Run(name, 1), 5000 + len(name), 90.0))
            self.ready(name)
        for name in broken:
            self.play(
                RestartAsked((name,), 95.0), Exited(Run(name, 1), 0, (), 95.0), Failed(Run(name, 2), BROKEN, 95.0)
            )
        self.desk.update(self.snapshot)

    def ready(self, name: str, at: float = 91.0) -> None:
        run = Run(name, self.snapshot.apps[name].generation)
        self.play(*(Exited(old, 0, (), at) for old in self.snapshot.apps[name].leaving))
        self.play(Imported(run, at), Started(run, at))

    async def more(self, data: Mapping[str, Any]) -> None:
        self.transcript.append(f"< {part(self.request, data).decode().rstrip()}")

    async def ask(self, **request: object) -> None:
        line = json.dumps({"v": 1, **request})
        self.transcript.append(f"> {line}")
        self.request = parse(line.encode())
        try:
            found = await self.desk.answer(self.request, self.more)
            reply = answer(self.request, found.data if isinstance(found, Handover) else found)
        except RefusedError as error:
            reply = refusal(error)
        self.transcript.append(f"< {reply.decode().rstrip()}")

    def golden(self, name: str) -> None:
        file = GOLDEN / f"{name}.txt"
        text = "\n".join(self.transcript) + "\n"
        if os.environ.get("DEVRUN_GOLDEN") == "write":
            file.write_text(text)
        assert text == file.read_text()


@pytest.fixture
def at_the_desk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Table], Any]], Table]:
    def play(talk: Callable[[Table], Any]) -> Table:
        async def run() -> Table:
            table = Table(monkeypatch)
            async with asyncio.timeout(None):
                await talk(table)
            return table

        return asyncio.run(run())

    return play


AtTheDesk = Callable[[Callable[[Table], Any]], Table]


async def asked(table: Table, **request: object) -> asyncio.Task[None]:
    task = asyncio.create_task(table.ask(**request))
    for _ in range(5):
        await asyncio.sleep(0)
    return task


def test_status(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up("auth")
        await table.ask(ask="status")

    at_the_desk(talk).golden("status")


def test_a_restart_is_answered_when_all_are_ready_or_in_trouble(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up()
        task = await asked(table, ask="restart")
        table.happens("api is ready", *ready_again(table, "api"))
        await asyncio.sleep(0)
        assert not task.done()
        gone = Exited(Run("auth", 1), 0, (), 100.0)
        table.happens("auth is broken", gone, Failed(Run("auth", 2), BROKEN, 100.0))
        await task

    table = at_the_desk(talk)
    assert table.posted == [RestartAsked(("api", "auth"), 100.0)]
    table.golden("restart")


def ready_again(table: Table, name: str) -> tuple[Event, ...]:
    run = Run(name, table.snapshot.apps[name].generation)
    gone = (Exited(old, 0, (), 100.0) for old in table.snapshot.apps[name].leaving)
    return *gone, Imported(run, 100.0), Started(run, 100.0)


def test_a_restart_of_an_app_that_is_ready_waits_for_the_new_worker(at_the_desk: AtTheDesk) -> None:
    """The request is an event like any other: until it is taken, the snapshot shows the old worker."""

    async def talk(table: Table) -> None:
        table.up()
        table.post = lambda event: None  # type: ignore[method-assign]
        table.desk = Desk("x", table.posted.append, table.history, table.desk._inspector)
        table.desk.update(table.snapshot)
        task = await asked(table, ask="restart", apps=["api"])
        assert not task.done()
        table.happens("the queue is empty", *table.posted)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        table.happens("api is ready", *ready_again(table, "api"))
        await task

    at_the_desk(talk)


def test_stop_and_start(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up()
        task = await asked(table, ask="stop", apps=["api"])
        table.happens("api is asked to end")
        await asyncio.sleep(0)
        assert not task.done()
        table.happens("api is gone", Exited(Run("api", 1), 0, (), 100.0))
        await task
        task = await asked(table, ask="start", apps=["api", "auth"])
        table.happens("its page is gone, and api ready", *ready_again(table, "api"))
        await task

    table = at_the_desk(talk)
    assert table.posted == [StopPartsAsked(("api",), 100.0), StartPartsAsked(("api", "auth"), 100.0)]
    table.golden("stop-start")


def test_wait(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up("auth")
        await table.ask(ask="wait", apps=["api"])
        await table.ask(ask="wait", or_broken=True)
        await table.ask(ask="wait", apps=["auth"], seconds=0)
        task = await asked(table, ask="wait")
        table.happens("auth is mended", RestartAsked(("auth",), 100.0))
        await asyncio.sleep(0)
        assert not task.done()
        table.happens("auth is ready", *ready_again(table, "auth"))
        await task

    at_the_desk(talk).golden("wait")


def test_a_wait_is_for_what_was_saved_before_it(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up()
        looked = asyncio.Event()

        async def catch_up() -> None:
            await looked.wait()

        table.desk.catch_up = catch_up
        task = await asked(table, ask="wait", apps=["api"])
        await asyncio.sleep(0)
        assert not task.done(), "nobody knows yet whether api is what was saved"
        table.happens("a save is found", RestartAsked(("api",), 100.0))
        looked.set()
        await asyncio.sleep(0)
        assert not task.done()
        table.happens("api is ready", *ready_again(table, "api"))
        await task

    at_the_desk(talk)


def test_down_asks_once(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up()
        task = await asked(table, ask="wait", apps=["api"], seconds=3)
        await task
        table.transcript.clear()
        await table.ask(ask="down")
        table.desk.update(table.snapshot)
        await table.ask(ask="down")
        await table.ask(ask="restart")

    table = at_the_desk(talk)
    assert [event for event in table.posted if isinstance(event, StopAsked)] == [StopAsked(100.0)]
    table.golden("down")


def test_down_needs_no_stack_that_has_begun(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        await table.ask(ask="down")

    assert at_the_desk(talk).posted == [StopAsked(100.0)]


def test_logs(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up()
        table.history.tell(StackStarting("shop", ("api", "auth")))
        table.history.add(Run("api", 1), ["one", "\x1b[32mtwo\x1b[0m", "three \udcff"])
        table.history.add(Run("auth", 1), ["four"])
        await table.ask(ask="logs")
        await table.ask(ask="logs", apps=["api"], last=1)
        await table.ask(ask="logs", apps=["api", "auth"], last=2)
        await table.ask(ask="logs", stack="shop-1a2b3c4d", after=2)
        await table.ask(ask="logs", stack="another", after=2, apps=[])
        task = await asked(table, ask="logs", apps=["auth"], notices=True, follow=True, last=0)
        table.history.add(Run("api", 1), ["not asked for"])
        table.history.add(Run("auth", 1), ["five"])
        table.history.tell(AppReady("auth", "http://127.0.0.1:38211", 0.41, first=False))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()

    at_the_desk(talk).golden("logs")


def test_a_follower_that_reads_too_little_is_told_so(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up()
        task = await asked(table, ask="logs", follow=True)
        for _ in range(50):
            table.history.add(Run("api", 1), ["x" * 100_000])
        await task

    transcript = at_the_desk(talk).transcript
    assert json.loads(transcript[-1][2:])["error"] == "too-slow"
    assert 30 < len(transcript) < 45, "what was in its queue is still sent"


def test_endpoints(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up()
        await table.ask(ask="endpoints")
        task = await asked(table, ask="endpoints", follow=True)
        table.happens("nothing of them")
        moved = {**table.snapshot.endpoints, "auth": Endpoint("auth", "127.0.0.1", 5173)}
        await asyncio.sleep(0)
        table.snapshot = replace(table.snapshot, endpoints=moved)
        table.happens("auth is elsewhere")
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()

    at_the_desk(talk).golden("endpoints")


def test_refusals(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        table.up()
        await table.ask(ask="restart", apps=["api", "aut"])
        await table.ask(ask="wait", apps=["nothing-like-it"])
        await table.ask(ask="logs", apps=["\x1b[2J"])
        await table.ask(ask="stop", apps=["x" * 1000])

    at_the_desk(talk).golden("refusals")


def test_a_debugger_is_handed_over_once(at_the_desk: AtTheDesk) -> None:
    async def talk(table: Table) -> None:
        consoles = {Run("api", 1): 77}
        table.desk.take_console = lambda run: consoles.pop(run, None)
        table.up()
        await table.ask(ask="attach", app="api")
        table.happens("api stops at a breakpoint", Paused(Run("api", 1), "shop/routes.py:12", 100.0))
        await table.ask(ask="attach", app="api")
        await table.ask(ask="attach", app="api")
        await table.ask(ask="attach", app="apy")
        table.happens("the stack is to go down", StopAsked(100.0))
        await table.ask(ask="attach", app="api")

    at_the_desk(talk).golden("attach")

"""The loop: what it hands to the views, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from devrun.events import (
    Exited,
    Failure,
    Imported,
    LoadedFile,
    Notice,
    Run,
    Spawned,
    StackReady,
    Started,
    StopAsked,
    UpAsked,
)
from devrun.plan import Endpoint
from devrun.state import AppRules, Snapshot, Stopped
from devrun.step import initial
from devrun.supervisor import Supervisor


class Nobody:
    """Starts nothing and watches nothing."""

    def start(self, run: Run, paths: tuple[str, ...]) -> None: ...

    def start_page(self, run: Run, failure: Failure) -> None: ...

    def begin(self, run: Run) -> None: ...

    def terminate(self, run: Run) -> None: ...

    def kill(self, run: Run) -> None: ...

    def loaded(self, run: Run, files: Sequence[LoadedFile]) -> None: ...

    def settle(self, run: Run) -> None: ...


class Tracker(Nobody):
    def begin(self, run: Run) -> None: ...


class Launcher(Nobody):
    def has(self, run: Run) -> bool:
        return False

    def launch(self, run: Run) -> None: ...


class View:
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.notices: list[Notice] = []

    def update(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)


async def play() -> tuple[int, View]:
    loop, view, run = asyncio.get_running_loop(), View(), Run("api", 1)
    supervisor = Supervisor(loop, [view])
    for event in (UpAsked(0), Spawned(run, 1, 0), Imported(run, 0), Started(run, 0)):
        supervisor.post(event)
    snapshot = initial("shop", {"api": Endpoint("api", "127.0.0.1", 1)}, {"api": AppRules((), health=False, grace=0)})
    loop.call_later(0.01, supervisor.post, StopAsked(1))
    loop.call_later(0.02, supervisor.post, Exited(run, -15, (), 1))
    healthy = loop.create_future
    return await supervisor.run(snapshot, Nobody(), Tracker(), lambda _: healthy(), Launcher()), view


def test_views_hear_all_notices_and_see_the_newest_snapshot_once_all_is_done() -> None:
    code, view = asyncio.run(play())
    assert code == 0
    assert StackReady((("api", 1),)) in view.notices
    assert [snapshot.stage for snapshot in view.snapshots][:2] == ["ready", "stopping"]
    assert isinstance(view.snapshots[-1].apps["api"].phase, Stopped)
    assert not view.snapshots[-1].apps["api"].leaving


def test_it_is_settled_when_the_views_know_of_every_event() -> None:
    async def main() -> None:
        loop, view = asyncio.get_running_loop(), View()
        supervisor = Supervisor(loop, [view])
        await supervisor.settled()
        running = asyncio.create_task(
            supervisor.run(
                initial("shop", {"api": Endpoint("api", "127.0.0.1", 1)}, {"api": AppRules((), False, 1.0)}),
                Nobody(),
                Tracker(),
                lambda app: loop.create_future(),
                Launcher(),
            )
        )
        supervisor.post(UpAsked(0.0))
        supervisor.post(Spawned(Run("api", 1), 7, 0.0))
        await supervisor.settled()
        assert [snapshot.seq for snapshot in view.snapshots] == [2]
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())

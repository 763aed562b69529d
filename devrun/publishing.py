"""Keeps ``state.toml`` and the env files what the stack is, from before its apps start until they are gone.

A view of the stack: whatever changes an endpoint in the snapshot, the files follow. Decides nothing about the stack;
what is written is ``planning``'s and ``envfiles``'.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from itertools import takewhile

from devrun.cautions import cautions
from devrun.envfiles import EnvFiles, Followed, Wanted
from devrun.errors import DevrunError
from devrun.events import Notice, Warned, Wrote
from devrun.lock import State
from devrun.plan import Endpoint, Plan
from devrun.planning import command_environments, env_file_variables
from devrun.state import Snapshot


class Publisher:
    """Writes where everything is: ``publish`` once, then ``update`` and ``replan`` in the loop's thread, and ``close``.

    While the stack is up it writes in a thread of its own, for a disk may be slow, one round at a time; what changes
    meanwhile is in the next round. ``tell`` hears of what was written and what failed.
    """

    def __init__(self, plan: Plan, state: State, tell: Callable[[Notice], None]) -> None:
        self._plan = plan
        self._state = state
        self._files = EnvFiles(state)
        self._tell_all = tell
        self._endpoints: Mapping[str, Endpoint] = {}
        self._complaints: tuple[str, ...] = ()
        self._cautions: set[str] = set()
        self._stale = False
        self._task: asyncio.Task[None] | None = None
        self._cautioning: asyncio.Task[None] | None = None
        self._writing = threading.Lock()
        self._closed = False

    def publish(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Write everything for the first time. Raises ``DevrunError``; the env files are as before then."""
        self._endpoints = endpoints
        self._state.save(stack=self._plan.stack, name=self._plan.name, endpoints=endpoints.values())
        for path in self._files.install(wanted(self._plan, endpoints)):
            self._tell_all(Wrote(path))
        self._caution_soon()

    def update(self, snapshot: Snapshot) -> None:
        before, self._endpoints = self._endpoints, snapshot.endpoints
        if before != snapshot.endpoints:
            self._follow_soon()
        if before.keys() != snapshot.endpoints.keys():
            self._caution_soon()

    def tell(self, notice: Notice) -> None:
        """Nothing that is told is written to a file."""

    def replan(self, plan: Plan) -> None:
        """Write the env files of this plan from now on, and no longer those of the last one."""
        self._plan = plan
        self._follow_soon()
        self._caution_soon()

    def close(self) -> None:
        """Restore the env files and forget the stack. Raises ``FileError`` when not every file could be restored."""
        with self._writing:
            self._closed = True
            for task in (self._task, self._cautioning):
                if task is not None:
                    task.cancel()
            self._files.remove()
            self._state.clear()

    def _follow_soon(self) -> None:
        self._stale = True
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._follow())

    def _caution_soon(self) -> None:
        if self._cautioning is not None:
            self._cautioning.cancel()
        if not self._closed:
            self._cautioning = asyncio.create_task(self._caution())

    async def _follow(self) -> None:
        while self._stale:
            self._stale = False
            followed = await asyncio.to_thread(self._write, self._plan, self._endpoints)
            for path in followed.written:
                self._tell_all(Wrote(path))
            # What fails again is not told again.
            for complaint in followed.complaints:
                if complaint not in self._complaints:
                    self._tell_all(Warned(complaint))
            self._complaints = followed.complaints
        self._task = None

    async def _caution(self) -> None:
        """Tell, each once, what wins over the files and what git would do with them. No file waits for that."""
        if self._task is not None:
            await asyncio.wait([self._task])
        for caution in await asyncio.to_thread(self._look, self._plan, self._endpoints):
            if caution not in self._cautions:
                self._cautions.add(caution)
                self._tell_all(Warned(caution))

    def _look(self, plan: Plan, endpoints: Mapping[str, Endpoint]) -> list[str]:
        environments = command_environments(plan, endpoints)
        found = cautions(wanted(plan, endpoints), self._state.project, plan.environ, environments)
        return list(takewhile(lambda _: not self._closed, found))

    def _write(self, plan: Plan, endpoints: Mapping[str, Endpoint]) -> Followed:
        with self._writing:
            if self._closed:
                return Followed((), ())
            try:
                self._state.move(endpoints.values())
                return self._files.follow(wanted(plan, endpoints))
            except DevrunError as error:
                return Followed((), (error.message,))


def wanted(plan: Plan, endpoints: Mapping[str, Endpoint]) -> list[Wanted]:
    """Return the env files of a plan with what goes into each."""
    return [(file, env_file_variables(plan, file, endpoints)) for file in plan.env_files]

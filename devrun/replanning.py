"""Follows the config of a running stack: a save of devrun.toml or of an ``env_file`` becomes another plan.

Reads, holds the new plan against the old one, and tells; what then happens to the parts is the core's to decide. A
config that is wrong is told, and everything stays as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from devrun.difference import parts
from devrun.errors import ConfigError, DevrunError
from devrun.events import FilesChanged, Notice, Reconfigured, Warned
from devrun.folders import file_stamp
from devrun.holdings import Holdings
from devrun.loaded import Stamp
from devrun.plan import Plan
from devrun.project import Project, last_ports, remember_ports
from devrun.state import Snapshot

QUIET_SECONDS = 0.05
"""A save is over when the files have stayed as they are for so long: half of a config is often a valid one."""
MOST_SECONDS = 2.0


Stamps = Mapping[Path, Stamp | None]
"""How files were when they were read; None: there was none."""


class Follower(Protocol):
    """What must know of another plan before the core does, and what may only know of it afterwards."""

    def adopt(self, plan: Plan, recipes: frozenset[str], stamps: Stamps) -> None: ...

    def settle(self, plan: Plan, gone: frozenset[str]) -> None: ...


class Replanning:
    """A view of the stack, too: what is written to files follows the snapshot that the new plan has led to.

    ``read`` returns the plan that the files say now; it is called in a thread. Raises DevrunError.
    """

    def __init__(
        self,
        read: Callable[[], Plan],
        holdings: Holdings,
        project: Project,
        follower: Follower,
        post: Callable[[Reconfigured], None],
        tell: Callable[[Notice], None],
    ) -> None:
        self._read = read
        self._holdings = holdings
        self._project = project
        self._follower = follower
        self._post = post
        self._tell = tell
        self._paths: set[str] = set()
        self._posted: Reconfigured | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    def saved(self, event: FilesChanged) -> None:
        """Files of the config have changed."""
        self._paths.update(event.paths)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    async def caught_up(self) -> None:
        """Return when what was told so far has been read, and posted if it is another plan."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def update(self, snapshot: Snapshot) -> None:
        if self._posted is not None and snapshot.rules is self._posted.apps:
            self._posted = None
            gone = self._holdings.settle()
            self._follower.settle(self._holdings.plan, gone)

    def tell(self, notice: Notice) -> None:
        """Nothing that is told changes the config."""

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        while self._paths:
            stamps = await self._settle()
            paths, self._paths = tuple(sorted(self._paths)), set()
            try:
                plan = await asyncio.to_thread(self._read)
                self._adopt(replace(plan, stack=self._holdings.plan.stack), paths, stamps)
            except ConfigError as error:
                for mistake in error.mistakes:
                    self._warn(str(mistake))
            except DevrunError as error:
                self._warn(error.message)

    async def _settle(self) -> Stamps:
        """Wait for the end of a save; return the stamps of what was saved."""
        until = self._loop.time() + MOST_SECONDS
        seen = stamps_of(self._project, self._holdings.plan)
        while self._loop.time() < until:
            await asyncio.sleep(QUIET_SECONDS)
            before, seen = seen, stamps_of(self._project, self._holdings.plan)
            if before == seen:
                break
        return seen

    def _adopt(self, plan: Plan, paths: tuple[str, ...], stamps: Stamps) -> None:
        """Rest upon another plan. Raises BindError, with everything as before."""
        before = self._holdings.plan
        adopted = self._holdings.adopt(plan, last_ports(self._project))
        for note in (*(warning for warning in plan.warnings if warning not in before.warnings), *adopted.notes):
            self._warn(note)
        for key in adopted.found.later:
            self._warn(f"{self._project.config.name}: another {key} counts when the stack is started anew")
        known = {path: stamps.get(path, found) for path, found in stamps_of(self._project, plan).items()}
        self._follower.adopt(plan, adopted.recipes, known)
        self._posted = Reconfigured(
            apps=self._holdings.app_rules,
            commands=self._holdings.command_rules,
            endpoints=self._holdings.endpoints,
            externals=tuple(plan.externals),
            changed=adopted.found.changed,
            paths=paths,
            at=self._loop.time(),
        )
        self._post(self._posted)
        if self._holdings.sticky:
            with suppress(DevrunError):  # it serves the next time only
                remember_ports(self._project, self._holdings.sticky)

    def _warn(self, message: str) -> None:
        self._tell(Warned(message))


def stamps_of(project: Project, plan: Plan) -> Stamps:
    """Return how the files are now whose save makes another plan."""
    files = (file for part in parts(plan).values() for file in part.env_paths)
    return {file: file_stamp(str(file)) for file in (project.config, *files)}

"""Follows the config of a running stack: a save of devrun.toml or of an ``env_file`` becomes another plan.

Reads, holds the new plan against the old one, and tells; what then happens to the parts is the core's to decide. A
config that is wrong is told, and everything stays as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from devrun.difference import parts
from devrun.errors import ConfigError, DevrunError
from devrun.events import FilesChanged, Notice, Reconfigured, Warned
from devrun.folders import file_stamp
from devrun.holdings import Holdings
from devrun.plan import Plan
from devrun.project import Project, last_ports, remember_ports
from devrun.state import Snapshot

QUIET_SECONDS = 0.05
"""A save is over when the files have stayed as they are for so long: half of a config is often a valid one."""
MOST_SECONDS = 2.0


class Follower(Protocol):
    """What must know of another plan before the core does, and what may only know of it afterwards."""

    def adopt(self, plan: Plan, recipes: frozenset[str]) -> None: ...

    def publish(self, plan: Plan) -> None: ...


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

    def update(self, snapshot: Snapshot) -> None:
        if self._posted is not None and snapshot.rules is self._posted.apps:
            self._posted = None
            self._follower.publish(self._holdings.plan)

    def tell(self, notice: Notice) -> None:
        """Nothing that is told changes the config."""

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        while self._paths:
            await self._settle()
            paths, self._paths = tuple(sorted(self._paths)), set()
            try:
                plan = await asyncio.to_thread(self._read)
                self._adopt(replace(plan, stack=self._holdings.plan.stack), paths)
            except ConfigError as error:
                for mistake in error.mistakes:
                    self._warn(str(mistake))
            except DevrunError as error:
                self._warn(error.message)

    async def _settle(self) -> None:
        until = self._loop.time() + MOST_SECONDS
        seen = self._stamps()
        while self._loop.time() < until:
            await asyncio.sleep(QUIET_SECONDS)
            before, seen = seen, self._stamps()
            if before == seen:
                return

    def _stamps(self) -> list[object]:
        return [file_stamp(str(path)) for path in config_files(self._project, self._holdings.plan)]

    def _adopt(self, plan: Plan, paths: tuple[str, ...]) -> None:
        """Rest upon another plan. Raises BindError, with everything as before."""
        adopted = self._holdings.adopt(plan, last_ports(self._project))
        for note in adopted.notes:
            self._warn(note)
        for key in adopted.found.later:
            self._warn(f"{self._project.config.name}: another {key} counts when the stack is started anew")
        self._follower.adopt(plan, adopted.recipes)
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


def config_files(project: Project, plan: Plan) -> Sequence[Path]:
    """Return the files whose save makes another plan."""
    files = (file for part in parts(plan).values() for file in part.env_paths)
    return tuple(dict.fromkeys((project.config, *files)))

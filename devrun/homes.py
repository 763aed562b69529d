"""The fork servers of a stack: one for all apps that have the same interpreter and the same environment.

Decides what each of them imports, from what the apps were seen to import.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from devrun.engine import Recipe
from devrun.forkserver import ForkServer, Terms
from devrun.preloads import Module, Preloads, Record
from devrun.reports import ServerReport

ROUNDS = 8
"""How often a server is started anew because modules had to be left out; then it imports nothing ahead."""

PATIENCE_SECONDS = 2.0
"""How long a run waits for a server that is busy importing, before it gets a fresh interpreter."""

RAISING_SECONDS = 8.0
"""How long it waits where there is no server yet, at least: much more than that takes on a busy machine."""

Preload = Literal["auto", "off"] | tuple[str, ...]


class Home:
    """One fork server, started anew when it is of no use any more. ``apps``: those whose workers come from it."""

    def __init__(self, recipe: Recipe, apps: set[str], homes: Homes, key: object = None) -> None:
        """``key``: what the apps have in common that may live here, too; None: nobody else may."""
        self.apps = apps
        self.key = key
        self.server: ForkServer | None = None
        self.error: str | None = None
        """Why there is no server that could fork."""
        self.record = Record()
        self._recipe = recipe
        self._homes = homes
        self._raising: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        """The first server of ``_raising`` can fork, or has been thrown away."""
        self._extending: asyncio.Task[None] | None = None
        self._old: list[ForkServer] = []

    async def ready(self, patience: float) -> None:
        """Wait for a server, these seconds at most, and for no other than the first. Raises what exec does.

        Then ``idle`` tells whether it can fork; it is None if it cannot be had.
        """
        if self.server is not None and self.server.gone.done():
            self.renew(self.server)
        raising = self._begin()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), patience)
        if raising.cancelled() and self._raising is not raising:  # by ``renew``
            await self.ready(patience)
        elif raising.done():
            raising.result()

    def _begin(self) -> asyncio.Task[None]:
        """Raise a server, if that is not done or begun yet."""
        if self._raising is None:
            first = self._first = asyncio.Event()
            self._raising = asyncio.create_task(self._raise(first))
            self._raising.add_done_callback(lambda raising: self._raised(raising, first))
        return self._raising

    def _raised(self, raising: asyncio.Task[None], first: asyncio.Event) -> None:
        first.set()
        if raising.cancelled():
            return
        failed = raising.exception() is not None  # looked at here: nobody may be waiting any more
        if self._raising is raising and (failed or self.server is None):
            self._raising = None  # the next run tries again: uvicorn may have been installed

    def renew(self, server: ForkServer) -> None:
        """Let this server's workers live on, and fork the next ones from a new server, if that is not done yet."""
        if self.server is not server:
            return
        server.forker.retire()
        self._let_go(server)
        raising, self._raising = self._raising, None
        if raising is not None:  # this server may be the one that it waits for
            raising.cancel()

    def _let_go(self, server: ForkServer) -> None:
        self._old = [old for old in (*self._old, server) if not old.gone.done()]
        self.server = None

    async def idle(self) -> bool:
        """Wait for a moment while the server imports what was learned; return whether it can fork now."""
        if self._is_raising():
            return False
        if self._extending is None or self._extending.done():
            return True
        await asyncio.wait([self._extending], timeout=PATIENCE_SECONDS)
        return self._extending.done() and not self._is_raising()

    def extend(self) -> None:
        """Let the server import what was learned since it was started."""
        busy = self._is_raising() or (self._extending is not None and not self._extending.done())
        if self.server is not None and not busy and self._missing(self.server):
            self._extending = asyncio.create_task(self._extend(self.server))

    def abandon(self) -> None:
        """Fork no more, for nobody lives here any more; what was forked lives on."""
        if self._raising is not None and not self._raising.done():
            self._raising.add_done_callback(lambda _: self.abandon())
        elif self.server is not None:
            self.renew(self.server)

    def _is_raising(self) -> bool:
        return self._raising is not None and not self._raising.done()

    def report(self) -> ServerReport:
        server = self.server
        return ServerReport(
            str(self._recipe.plan.python),
            tuple(sorted(self.apps)),
            None if server is None else server.pid,
            () if server is None else tuple(server.preloaded),
            dict(self.record.left_out),
            self.record.changes(self.apps) if self._homes.preload == "auto" else {},
        )

    async def close(self) -> None:
        tasks = [task for task in (self._raising, self._extending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        servers = [*self._old, *([] if self.server is None else [self.server])]
        await asyncio.gather(*(server.close() for server in servers))

    async def _raise(self, first: asyncio.Event) -> None:
        """Start servers until one has imported without a fault.

        Each of them imports everything anew. So nobody waits for more than the first of them, when ``first`` is set.
        """
        for number in range(ROUNDS + 1):
            if not self.apps:
                return  # nobody lives here any more
            server = await self._homes.start(self._recipe, self.apps)
            self.server, self.error = server, server.error
            if server.error is not None:
                self.server = None
                await server.close()
                return
            self._remember(server)
            try:
                wanted = self._missing(server) if number < ROUNDS else ()
                left_out = await server.preload(wanted, self.record.blamed())
            except OSError:  # it has ended over that; the next run tries again
                self._let_go(server)
                return
            if self.record.forget(server.uninstalled):
                self._homes.preloads.save()
            if not left_out:
                return
            self._leave_out(left_out)
            self._let_go(server)
            first.set()
            await server.close()

    def _remember(self, server: ForkServer) -> None:
        """Look up what is known; after an installation start from what was known before it."""
        before, self.record = self.record, self._homes.preloads.record(str(self._recipe.plan.python), server.packages)
        if self.record is not before and not self.record.modules:
            self.record.modules.update(before.modules)
            self.record.apps.update(before.apps)
            self.record.after.update(before.after)
        self._homes.part(self, self.record.after)

    def _missing(self, server: ForkServer) -> Sequence[Module]:
        preload = self._homes.preload
        if preload == "off":
            return ()
        if preload == "auto":
            wanted = self.record.wanted(self.apps)
        else:
            wanted = [(name, "") for name in preload if name not in self.record.left_out]
        return [module for module in wanted if module[0] not in server.preloaded]

    async def _extend(self, server: ForkServer) -> None:
        missing = self._missing(server)
        try:
            left_out = await server.preload(missing)
        except OSError:
            return  # it has ended; the next run will notice
        if not left_out:
            self._forget(missing, frozenset(server.preloaded))
        else:  # the import may have been broken off at the first of them
            self._leave_out(left_out)
            self.renew(server)
            self._begin()
        self._homes.preloads.save()

    def _forget(self, missing: Sequence[Module], loaded: frozenset[str]) -> None:
        """Modules that are not there any more."""
        for name, _ in missing:
            if name not in loaded:
                self.record.modules.pop(name, None)

    def _leave_out(self, left_out: Mapping[str, str]) -> None:
        self.record.left_out.update(left_out)
        self._homes.preloads.save()
        if not isinstance(self._homes.preload, str):
            for name, reason in left_out.items():
                self._homes.warn(f"reload.preload: {name} is left out: {reason}")


class Homes:
    """All of them. ``warn`` hears what a person should know; ``log`` what a server prints, for one of its apps."""

    def __init__(
        self,
        recipes: Mapping[str, Recipe],
        preload: Preload,
        cache: Path,
        terms: Terms,
        warn: Callable[[str], None],
        log: Callable[[str, Sequence[str]], None],
    ) -> None:
        self.preload = preload
        self.preloads = Preloads(cache)
        self.terms = terms
        self.warn = warn
        self._recipes = recipes
        self._log = log
        self._homes: dict[str, Home] = {}
        self._left: list[Home] = []
        self._house(recipes)

    @property
    def apps(self) -> Sequence[str]:
        return tuple(self._recipes)

    def adopt(self, names: Collection[str]) -> None:
        """The recipes of these apps are new ones, or there are none any more."""
        for name in names:
            if home := self._homes.get(name):
                home.apps.discard(name)
        self._house([name for name in names if name in self._recipes])
        for home in dict.fromkeys(self._homes[name] for name in names):
            if not home.apps:
                self._left.append(home)
                home.abandon()

    def _house(self, names: Iterable[str]) -> None:
        """Give each app the home of those that have the same interpreter and environment."""
        shared = {home.key: home for name, home in self._homes.items() if name in home.apps and home.key is not None}
        for name in names:
            recipe = self._recipes[name]
            key = (recipe.plan.python, frozenset(_shared_environ(recipe).items()), _search_folder(recipe))
            home = shared.setdefault(key, Home(recipe, set(), self, key))
            home.apps.add(name)
            self._homes[name] = home

    def home(self, app: str) -> Home:
        return self._homes[app]

    async def ready(self, app: str) -> Home:
        """Return the home of an app, when it can fork, has given up, or is busy for too long."""
        while True:
            home = self._homes[app]
            # Where the packages take long, they do so too when the app imports them by itself.
            await home.ready(max(RAISING_SECONDS, 2.0 * self.preloads.seconds.get(app, 0)))
            if self._homes[app] is home:
                return home

    def part(self, home: Home, apps: Mapping[str, str]) -> None:
        """Give these apps homes of their own: they import in another environment what the others import ahead."""
        for app in home.apps.intersection(apps):
            if len(home.apps) > 1:
                home.apps.discard(app)
                self._homes[app] = Home(self._recipes[app], {app}, self)

    def learn(self, app: str, modules: Sequence[Module], after: str | None, seconds: float | None = None) -> None:
        """An app was seen to import these modules, in this order; in what time, if nothing was imported ahead of it."""
        home = self._homes[app]
        took = seconds is not None and self.preloads.took(app, seconds)
        if home.record.learn(app, modules, after) or took:
            self.preloads.save()
        self.part(home, home.record.after)

    def import_nothing_for(self, app: str, variable: str) -> None:
        """An app changes a variable that what is imported ahead of it cannot see."""
        self.learn(app, (), variable)
        home = self._homes[app]
        if home.server is not None:
            home.renew(home.server)

    async def start(self, recipe: Recipe, apps: set[str]) -> ForkServer:
        """Start a fork server. Raises OSError or ValueError."""
        plan = recipe.plan
        speaker = min(apps)
        return await ForkServer.start(
            plan.python,
            _shared_environ(recipe),
            plan.cwd,
            self.terms,
            lambda lines: self._log(speaker, lines),
        )

    def report(self) -> tuple[ServerReport, ...]:
        return tuple(home.report() for home in dict.fromkeys(map(self._homes.__getitem__, self._recipes)))

    async def close(self) -> None:
        await asyncio.gather(*(home.close() for home in dict.fromkeys((*self._homes.values(), *self._left))))


def _search_folder(recipe: Recipe) -> Path | None:
    """The folder that a relative PYTHONPATH starts from; None if there is none."""
    search = recipe.environ.get("PYTHONPATH", "")
    return recipe.plan.cwd if search and not all(map(os.path.isabs, search.split(os.pathsep))) else None


def _shared_environ(recipe: Recipe) -> dict[str, str]:
    """What a fork server gets: all but what tells its apps apart anyway."""
    return {name: value for name, value in recipe.environ.items() if name != "DEVRUN_APP"}

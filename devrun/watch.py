"""The one file watcher of the launcher: the outside world's saves become ``FilesChanged`` events.

Restarts nothing and prints nothing. Which app a save concerns is decided in ``devrun.changes``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from devrun.changes import Changes
from devrun.events import Event, FilesChanged, LoadedFile, Run
from devrun.folders import MOST_FOLDERS, Identity, walk
from devrun.inotify import Change
from devrun.loaded import Stamp
from devrun.matching import CONFIG, Root, interest, interest_in, is_pruned
from devrun.notify import Opener, first_cause, is_exhausted, open_best
from devrun.pace import BURST_MOST, Pace
from devrun.plan import AppPlan

# Editors that delete and create, or move away and back, are done within the sum of these.
RETURN_STEPS = (0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.04)
# The safety net: loaded files are looked at even if nothing was heard, for network mounts, lost events, and a poller
# that misses a second save within one second. It may take NET_SHARE of the time.
NET_SECONDS = 1.0
NET_SECONDS_POLLING = 0.3
NET_SHARE = 0.002
WALK_SHARE = 0.2
CHUNK = 100
# A watcher that has worked for STEADY_SECONDS has not failed again, but anew.
STEADY_SECONDS = 1.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
QUIET_FAILURES = 5
# Longer than a look at all files takes, with a burst that is heard out. A watcher that fails looks at nothing.
CATCH_UP_SECONDS = 2.0
FOLDER_VANISHED = FileNotFoundError | NotADirectoryError | PermissionError


class Scope(Struct, frozen=True):
    """What is watched: the apps, and ``files`` that concern the whole stack (told as those of the app ``CONFIG``).

    Of each of these the stamp is given that it had when it was read: what was saved since is told. ``own`` are files
    and folders that devrun itself writes: they never concern an app.
    """

    apps: Iterable[AppPlan]
    own: Iterable[Path] = ()
    files: Mapping[Path, Stamp | None] = field(default_factory=dict[Path, Stamp | None])


class Watcher:
    """Watches for all apps. Everything is to be called in the loop's thread."""

    opener: Opener = staticmethod(open_best)

    def __init__(
        self,
        scope: Scope,
        project: Path,
        *,
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        warn: Callable[[str], None],
    ) -> None:
        self._folder = os.path.normpath(project)
        self._care(scope)
        self._changes = Changes(self._interests, project, scope.own)
        self._changes.know(scope.files)
        self._emit = emit
        self._clock = clock
        self._warn = warn
        self._watched: dict[str, Identity] = {}
        self._events: set[str] = set()
        self._checks: set[str] = set()
        self._askers: list[asyncio.Future[None]] = []
        self._heard_at: float | None = None
        self._last_at = 0.0
        self._pace = Pace()
        self._wake = asyncio.Event()
        self._folders_moved = False
        self._walk_due = False
        self._walk_first = True
        self._walk_not_before = 0.0
        self._net_at = 0.0
        self._polling = False
        self._cut_told = False

    def reconfigure(self, scope: Scope) -> None:
        """Watch for these from now on."""
        self._care(scope)
        self._changes.reconfigure(self._interests, scope.own)
        self._changes.know(scope.files)
        self._walk_due = self._walk_first = True
        self._wake.set()

    def _care(self, scope: Scope) -> None:
        interests = [interest(plan, self._folder, os.path.isdir) for plan in scope.apps if plan.reload]
        if named := [os.path.normpath(file) for file in scope.files]:
            interests.append(interest_in(named))
        self._interests = tuple(interests)
        roots = [Root(self._folder), *(root for one in interests for root in one.roots)]
        self._roots = tuple(dict.fromkeys(roots))
        self._named = frozenset(root.path for root in self._roots)

    def begin(self, run: Run) -> None:
        """A new run starts; files that it has not reported yet still count if an older run loaded them."""
        self._changes.begin(run)

    def loaded(self, run: Run, files: Sequence[LoadedFile]) -> None:
        """From now on these files belong to the run's app; one that has changed since it was read is told."""
        if keys := self._changes.load(run, files):
            self._checks |= keys
            self._folders_moved = True
            self._wake.set()

    def settle(self, run: Run) -> None:
        """Files that only older runs loaded no longer count."""
        self._changes.settle(run)
        self._pace.settled(run.app)

    async def caught_up(self) -> None:
        """Return when all that was saved until now is told; after ``CATCH_UP_SECONDS`` in any case."""
        if self._interests:
            asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._askers.append(asker)
            self._checks |= self._changes.known_keys
            self._wake.set()
            await asyncio.wait([asker], timeout=CATCH_UP_SECONDS)

    async def run(self) -> None:
        """Watch until cancelled. A watcher that fails is made anew, after a pause that grows."""
        if not self._interests:
            await asyncio.Event().wait()
        failures, lost = 0, True
        while True:
            began = asyncio.get_running_loop().time()
            try:
                if lost:
                    await self._walk()
                    lost = False
                await self._watch()
            except Exception as error:
                steady = asyncio.get_running_loop().time() - began > STEADY_SECONDS
                failures = 1 if steady else failures + 1
                lost = True
                await self._recover(error, failures)

    async def _recover(self, error: Exception, failures: int) -> None:
        if not self._polling and is_exhausted(error):
            self._polling = True
            self._warn(
                f"no inotify watches left ({first_cause(error)}): files are polled, which is slower; "
                "raise fs.inotify.max_user_watches or fs.inotify.max_user_instances (sysctl)"
            )
        elif failures > QUIET_FAILURES or not isinstance(error, FOLDER_VANISHED):
            pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 9), LONGEST_PAUSE)
            self._warn(f"the file watcher failed, next try in {pause:g} s: {first_cause(error)}")
            await asyncio.sleep(pause)
        # else a folder has vanished between the walk and the watch

    async def _watch(self) -> None:
        """Watch the folders known now; return when there are more."""
        self._watched = dict(self._changes.folders)
        self._folders_moved = False
        stop = asyncio.Event()
        pump = asyncio.create_task(self._pump(sorted(self._watched), stop))
        pump.add_done_callback(lambda _: self._wake.set())
        try:
            # Openers set up their watches before they first wait. What was saved or made since the walk that found
            # these folders had nobody to hear it: walk again.
            await asyncio.sleep(0)
            self._walk_due = True
            while not (self._folders_moved and not self._walk_due and self._has_grown()):
                await self._turn()
                if pump.done():
                    pump.result()
                    raise RuntimeError("it ended without being asked to")
        finally:
            stop.set()
            await asyncio.gather(pump, return_exceptions=True)

    async def _pump(self, folders: Sequence[str], stop: asyncio.Event) -> None:
        async for changes in self.opener(folders, stop, self._polling):
            if self._heard_at is None:
                self._heard_at = self._clock()
            self._last_at = asyncio.get_running_loop().time()
            if not changes:
                self._watched = {}
                self._walk_due = True
            for change, path in changes:
                self._events.add(path)
                if change is not Change.MODIFIED:
                    self._hear_of_folder(path)
            self._wake.set()

    def _hear_of_folder(self, path: str) -> None:
        """A folder that came or went: the kernel's watches of an old one with the same name mean nothing any more."""
        if path in self._watched:
            self._watched = {name: one for name, one in self._watched.items() if not f"{name}/".startswith(f"{path}/")}
            self._walk_due = True
        elif path in self._named or not is_pruned(os.path.basename(path)):
            self._walk_due |= os.path.isdir(path) or any(name == path for _, name in self._changes.tree.links)

    def _has_grown(self) -> bool:
        self._folders_moved = False
        return any(self._watched.get(folder) != found for folder, found in self._changes.folders.items())

    async def _turn(self) -> None:
        """Wait for something to do, and do it. The walk comes after the events: a save must not wait for it."""
        loop = asyncio.get_running_loop()
        await self._wait_until(min(self._net_at, self._walk_not_before) if self._walk_due else self._net_at)
        await self._look()
        if loop.time() >= self._net_at:
            await self._cast_net()
        if self._walk_due and loop.time() >= self._walk_not_before:
            await self._walk()
            await self._look()

    async def _wait_until(self, when: float) -> None:
        try:
            async with asyncio.timeout_at(when):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _cast_net(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._checks |= self._changes.loaded_keys
        await self._look()
        if any(map(os.path.exists, self._changes.tree.missing)):
            self._walk_due = True
        least = NET_SECONDS_POLLING if self._polling else NET_SECONDS
        self._net_at = loop.time() + max(least, (loop.time() - began) / NET_SHARE)

    async def _walk(self) -> None:
        """Find the folders of own files anew, not so often that it takes more than ``WALK_SHARE`` of the time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._walk_due = False
        first = self._walk_first
        tree = await asyncio.to_thread(walk, self._roots, self._is_wanted, self._is_skipped)
        self._checks |= self._changes.adopt(tree, first=first)
        self._walk_first &= not first
        self._folders_moved = True
        self._walk_not_before = loop.time() + (loop.time() - began) / WALK_SHARE
        if tree.cut and not self._cut_told:
            self._cut_told = True
            self._warn(f"more than {MOST_FOLDERS} folders: the others are not watched; name big ones in `ignore`")

    def _is_wanted(self, path: str) -> bool:
        return any(one.wants(path) and not one.ignores(path) for one in self._interests)

    def _is_skipped(self, path: str) -> bool:
        return all(one.ignores(path) for one in self._interests)

    async def _look(self) -> None:
        """Tell the apps of what has changed among the paths that were heard of or reported."""
        checks, self._checks = self._checks, set()
        askers, self._askers = self._askers, []
        at = self._clock() if self._heard_at is None else self._heard_at
        suspects = await self._suspects(checks)
        await self._hear_out(suspects)
        for step in RETURN_STEPS:
            if not any(map(self._changes.unfinished, suspects)):
                break
            await asyncio.sleep(step)
        await self._hear_out(suspects)
        self._heard_at = None
        # Without a pause from here on: the stamps are read once more, against the runs as they are now.
        told = self._changes.tell(suspects)
        if told:
            self._pace.told(asyncio.get_running_loop().time(), suspects, told.keys() - {CONFIG})
        for app, paths in told.items():
            self._emit(FilesChanged(app, paths, at))
        for asker in askers:
            asker.set_result(None)

    async def _hear_out(self, suspects: set[str]) -> None:
        """Add what was heard of that concerns anyone; of a burst, all of it.

        A file that concerns nobody and is written again and again, as a log, does not prolong a burst.
        """
        heard = self._take()
        suspects |= await self._suspects(heard)
        loop = asyncio.get_running_loop()
        began, fresh_at, at_once = loop.time(), self._last_at, len(heard)
        while True:
            until = min(fresh_at + self._pace.quiet(began, at_once, suspects), began + BURST_MOST)
            if (now := loop.time()) >= until:
                return
            await asyncio.sleep(until - now)
            more = self._take()
            found = await self._suspects(more)
            if found or not more <= heard:
                fresh_at = self._last_at
            at_once = max(at_once, len(more))
            heard |= more
            suspects |= found

    def _take(self) -> set[str]:
        heard, self._events = self._events, set()
        return heard

    async def _suspects(self, keys: set[str]) -> set[str]:
        """The keys that concern anyone, found without holding up the loop."""
        found: set[str] = set()
        for count, key in enumerate(keys, 1):
            if self._changes.concerned(key):
                found.add(key)
            if count % CHUNK == 0:
                await asyncio.sleep(0)
        return found

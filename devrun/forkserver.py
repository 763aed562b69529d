"""A fork server process, seen from the launcher: started by exec, told what to import, ended.

Which there are, and what each imports, is decided in ``homes``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from devrun.engine import Groups
from devrun.forker import Exits, Forker
from devrun.logs import LineReader
from devrun.matching import JUNK, PRUNED
from devrun.preloads import Module
from devrun.spawning import Spawned, wires

NAMES: Mapping[str, Sequence[str]] = {"junk": (*JUNK, "*-journal", "*-wal", "*-shm"), "pruned": sorted(PRUNED)}
"""Names that come and go in a folder without any meaning for what is imported, and folders that hold no source."""
END_SECONDS = 0.5
"""How long its end is waited for before it is killed: it may be busy importing."""

Log = Callable[[Sequence[str]], None]


class Terms(Struct, frozen=True):
    """What all fork servers of a stack share. ``terminal``: where their output ends up, as for workers."""

    terminal: tuple[int, int] | None
    groups: Groups
    exits: Exits


class ForkServer:
    """``start`` makes one. ``error``: why it cannot fork workers; ``packages``: a digest of what is installed.

    ``uninstalled``: the packages that ``preload`` asked after in vain.
    """

    def __init__(self, process: Spawned, forker: Forker, output: LineReader, groups: Groups) -> None:
        self.forker = forker
        self.preloaded: list[str] = []
        self.error: str | None = None
        self.packages = ""
        self.uninstalled: frozenset[str] = frozenset()
        self._process = process
        self._output = output
        self._groups = groups
        groups.add(process.pid)
        self.gone = asyncio.create_task(self._follow())

    @classmethod
    async def start(
        cls,
        python: Path,
        environ: Mapping[str, str],
        folder: Path,
        terms: Terms,
        log: Log,
    ) -> ForkServer:
        """Start one and hear its greeting. Raises OSError or ValueError."""
        with wires(terms.terminal) as ends:
            spawned = await ends.spawn([str(python)], "fork", folder=folder, environ=environ)
            ends.made(spawned)
        return await cls._greet(spawned, ends.ours, ends.output, terms, log)

    @classmethod
    async def _greet(cls, process: Spawned, sock: socket.socket, output: int, terms: Terms, log: Log) -> ForkServer:
        forker = Forker(sock, terms.exits, lambda line: log([line]))
        server = cls(process, forker, LineReader(output, log), terms.groups)
        try:
            greeting = await forker.greeting
        except asyncio.CancelledError:  # nobody else knows of it yet
            await server.close()
            raise
        server.error = "the fork server ended at once" if greeting is None else greeting["error"]
        server.packages = "" if greeting is None else greeting["packages"]
        return server

    @property
    def pid(self) -> int | None:
        return None if self.gone.done() else self._process.pid

    async def preload(self, modules: Sequence[Module], ask_after: Sequence[str] = ()) -> dict[str, str]:
        """Import these. Return what must be left out, and why; if there is any, this server is of no use any more.

        ``ask_after`` are packages that may not be installed. Raises OSError if it ends over that.
        """
        answer = await self.forker.preload({"modules": modules, "ask_after": ask_after, **NAMES})
        self.preloaded += answer["modules"]
        self.uninstalled = frozenset(answer["uninstalled"])
        left_out: dict[str, str] = answer["left_out"]
        return left_out

    async def close(self) -> None:
        """End it, and wait for that."""
        self.forker.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.gone), END_SECONDS)
            return
        self._process.kill()
        await self.gone

    async def _follow(self) -> None:
        await self._process.wait()
        self._groups.remove(self._process.pid)
        self._output.close()

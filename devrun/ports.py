"""Where a command is reached: chosen among the places where its processes listen, and followed as long as it runs.

The rule: the port that was asked for; else the lowest that answers HTTP; else the lowest. Of its addresses, one that a
client can connect to, IPv4 first. Starts and ends nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

from msgspec.structs import replace

from devrun.outputs.text import log_text
from devrun.plan import Endpoint
from devrun.probe import answers, speaks_http
from devrun.tree import Place, members, places

# A dev server listens within a second or two, and says so: what it prints is a reason to look at once.
FIRST_PAUSE = 0.05
PAUSE_GROWTH = 1.2
LONGEST_PAUSE = 0.5
CALM_PAUSE = 3.0
"""Seconds between two looks once it listens. A dev server may move at any time."""
IMPATIENT_SECONDS = 10.0
"""What does not listen by now is hardly going to: it is looked at as calmly as what does."""

_WILDCARDS = {"0.0.0.0": ("127.0.0.1",), "::": ("127.0.0.1", "::1")}
_MAPPED = "::ffff:"
_SECURE = re.compile(r"https://(?:\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})\b")


async def choose(name: str, found: Collection[Place], asked: int | None) -> Endpoint | None:
    """Return where a command that listens at these places is reached; None where nobody can connect."""
    ports = sorted({place.port for place in found}, key=lambda port: (port != asked, port))
    reached = [(port, host) for port in ports if (host := await _host(port, found)) is not None]
    if len(reached) > 1 and reached[0][0] != asked:
        speaking = [(port, host) for port, host in reached if await speaks_http(host, port)]
        reached = speaking or reached
    return Endpoint(name, reached[0][1], reached[0][0]) if reached else None


async def _host(port: int, found: Iterable[Place]) -> str | None:
    hosts = {host for place in found if place.port == port for host in _connectable(place.address)}
    for host in sorted(hosts, key=lambda host: (host != "127.0.0.1", host != "::1", host)):
        if await answers(host, port):
            return host
    return None


def _connectable(address: str) -> tuple[str, ...]:
    return _WILDCARDS.get(address, (address.removeprefix(_MAPPED),))


class PortWatch:
    """Follows where one command listens; ``moved`` hears of it. ``hear`` takes what the command prints."""

    def __init__(self, name: str, leader: int, asked: int | None, moved: Callable[[Endpoint], None]) -> None:
        self._name = name
        self._leader = leader
        self._asked = asked
        self._moved = moved
        self._wake = asyncio.Event()
        self._calm = False
        self._secure: set[int] = set()
        self._known_secure: frozenset[int] = frozenset()
        self.tree: set[int] = set()
        """The command's processes at the newest look."""

    def hear(self, lines: Sequence[str]) -> None:
        """Look now: what a command prints when it starts is often where it listens, and whether with TLS."""
        for line in lines:
            if "https://" in line:
                self._secure.update(int(port) for port in _SECURE.findall(log_text(line, colour=False)))
        if not self._calm or self._secure - self._known_secure:
            self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        impatient_at = loop.time() + IMPATIENT_SECONDS
        told, known, pause = None, None, FIRST_PAUSE
        while True:
            self._wake.clear()
            self._known_secure = frozenset(self._secure)
            found = await asyncio.to_thread(self._look)
            if found and (told is None or (found, self._known_secure) != known):
                endpoint = await choose(self._name, found, self._asked)
                known = found, self._known_secure
                if endpoint is not None and endpoint.port in self._known_secure:
                    endpoint = replace(endpoint, scheme="https")
                if endpoint is not None and endpoint != told:
                    told = endpoint
                    self._moved(endpoint)
            self._calm = told is not None or loop.time() > impatient_at
            pause = CALM_PAUSE if self._calm else min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
            await self._rest(pause)

    def _look(self) -> frozenset[Place]:
        self.tree = members(self._leader)
        return places(self.tree)

    async def _rest(self, pause: float) -> None:
        await asyncio.sleep(min(pause, LONGEST_PAUSE) / 4)  # some print without end
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()

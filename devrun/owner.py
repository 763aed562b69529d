"""Who listens on a TCP port: the process, its command line, its folder.

Reads the process table through psutil, which is imported at the first question: only a taken port asks one.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import psutil

_WILDCARDS = ("0.0.0.0", "::")
_LONGEST = 200


class Owner(Struct, frozen=True):
    """A process that listens. ``command`` is quoted as for a shell; ``folder`` is None where it may not be read."""

    pid: int
    command: str
    folder: str | None

    def __str__(self) -> str:
        command = self.command if len(self.command) <= _LONGEST else f"{self.command[:_LONGEST]}..."
        text = f"process {self.pid} ({command})"
        if self.folder is not None:
            text += f" in {self.folder}"
        # A command line is a stranger's text and goes to a terminal: no escape sequences, no newlines.
        return "".join(char if char.isprintable() else "?" for char in text)


class _Held(Struct, frozen=True):
    pid: int
    address: str
    port: int


def owner_of(port: int, address: str = "") -> Owner | None:
    """The process that listens on a TCP port; None where there is none or this user may not see it. Never raises.

    Where several processes listen on the port at different addresses, the one at ``address`` is meant. Where one
    socket is shared by parent and children, the parent is meant.
    """
    return owners_of([(address, port)]).get((address, port))


def owners_of(places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Owner]:
    """As ``owner_of`` for many (address, port) pairs, reading the process table once. Unknown owners are left out."""
    table = list(_table())
    # The ancestors of many owners are the same few, and to ask one means to read the table of all connections.
    held_by = cache(_held_by)
    found: dict[tuple[str, int], Owner] = {}
    for address, port in places:
        here = [held for held in table if held.port == port]
        nearest = min(here, key=lambda held: (_distance(held.address, address), held.pid), default=None)
        owner = None if nearest is None else _describe_eldest(nearest, held_by)
        if owner is not None:
            found[address, port] = owner
    return found


def _distance(held: str, wanted: str) -> int:
    return 0 if held == wanted else 1 if held in _WILDCARDS else 2


def _table() -> Iterator[_Held]:
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        # macOS shows the whole machine to root alone; one's own processes can still be asked one by one.
        for process in psutil.process_iter():
            yield from _held_by(process)
        return
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.pid is not None and one.laddr:
            yield _Held(one.pid, one.laddr.ip, one.laddr.port)


def _held_by(process: psutil.Process) -> list[_Held]:
    import psutil

    try:
        connections = process.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return []
    return [
        _Held(process.pid, one.laddr.ip, one.laddr.port)
        for one in connections
        if one.status == psutil.CONN_LISTEN and one.laddr
    ]


def _describe_eldest(held: _Held, held_by: Callable[[psutil.Process], list[_Held]]) -> Owner | None:
    """The outermost of the process and its ancestors that hold the socket: of a server, the parent and not a worker."""
    import psutil

    try:
        process = psutil.Process(held.pid)
    except (psutil.Error, OSError):
        return None
    eldest = process
    with suppress(psutil.Error, OSError):
        # The table names only one of the processes that share a socket, on Linux the youngest.
        for ancestor in process.parents():
            if any((one.address, one.port) == (held.address, held.port) for one in held_by(ancestor)):
                eldest = ancestor
    return _describe(eldest)


def _describe(process: psutil.Process) -> Owner | None:
    import psutil

    command, folder = "", None
    with suppress(psutil.Error, OSError):
        folder = process.cwd() or None
    with suppress(psutil.Error, OSError):
        command = shlex.join(process.cmdline())
    with suppress(psutil.Error, OSError):
        return Owner(process.pid, command or process.name(), folder)
    return None

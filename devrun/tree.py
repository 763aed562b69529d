"""A command's processes and where they listen: read off the system's tables.

Takes its time: to be called in a thread. On Linux read from /proc, which is quick enough to be done again and again;
elsewhere asked of psutil. Decides nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from msgspec import Struct

_DEAD = (b"Z", b"X")


class Place(Struct, frozen=True, order=True):
    """An address at which somebody listens, as the system's table has it: it may be a wildcard."""

    port: int
    address: str


class _Entry(Struct, frozen=True):
    parent: int
    group: int


def members(leader: int, known: Iterable[int] = ()) -> set[int]:
    """Return the living processes of a tree: the leader's group, those known, and all below, whatever its session."""
    table = _table()
    found = {pid for pid, entry in table.items() if entry.group == leader} | (table.keys() & set(known))
    below: dict[int, list[int]] = {}
    for pid, entry in table.items():
        below.setdefault(entry.parent, []).append(pid)
    queue = list(found)
    while queue:
        children = [child for child in below.get(queue.pop(), ()) if child not in found]
        found.update(children)
        queue.extend(children)
    return found


def places(pids: Iterable[int]) -> frozenset[Place]:
    """Return where these processes listen (TCP)."""
    return _read_sockets(pids) if sys.platform == "linux" else _ask_sockets(pids)


def signal_all(pids: Iterable[int], signum: signal.Signals) -> None:
    """Send a signal to each; those that are gone, or belong to somebody else, are passed over."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)


def _table() -> Mapping[int, _Entry]:
    return _read_proc() if sys.platform == "linux" else _ask_psutil()


def _read_proc() -> Mapping[int, _Entry]:
    table: dict[int, _Entry] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The fields after the name, which may hold anything: state, parent, group (proc_pid_stat(5)).
                state, parent, group = file.read().rpartition(b")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # gone meanwhile
        if state not in _DEAD:
            table[int(name)] = _Entry(int(parent), int(group))
    return table


def _ask_psutil() -> Mapping[int, _Entry]:
    import psutil

    table: dict[int, _Entry] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE:
                table[process.pid] = _Entry(process.ppid(), os.getpgid(process.pid))
    return table


def _read_sockets(pids: Iterable[int]) -> frozenset[Place]:
    """The kernel's table holds those that listen first: the connections, thousands at times, need not be read."""
    inodes = {inode for pid in pids for inode in _inodes(pid)}
    found: set[Place] = set()
    for name in ("tcp", "tcp6") if inodes else ():
        with suppress(OSError), open(f"/proc/net/{name}", "rb") as file:  # there may be no IPv6
            file.readline()
            for fields in map(bytes.split, file):
                if fields[3] != b"0A":  # TCP_LISTEN (include/net/tcp_states.h)
                    break
                if fields[9] in inodes:
                    found.add(_place(fields[1].decode()))
    return frozenset(found)


def _inodes(pid: int) -> Iterator[bytes]:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return  # gone meanwhile, or another user's
    for descriptor in descriptors:
        with suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1].encode()


def _place(field: str) -> Place:
    """Read ``0100007F:1F90``: an address in words of the machine's byte order, and a port."""
    address, port = field.split(":")
    words = (int(address[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(address), 8))
    family = socket.AF_INET if len(address) == 8 else socket.AF_INET6
    return Place(int(port, 16), socket.inet_ntop(family, b"".join(words)))


def _ask_sockets(pids: Iterable[int]) -> frozenset[Place]:
    import psutil

    found: set[Place] = set()
    for pid in pids:
        with suppress(psutil.Error, OSError):  # gone meanwhile, or another user's
            for one in psutil.Process(pid).net_connections(kind="tcp"):
                if one.status == psutil.CONN_LISTEN and one.laddr:
                    found.add(Place(one.laddr.port, one.laddr.ip))
    return frozenset(found)

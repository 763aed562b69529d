"""The guard: ends every process of a stack when the launcher is gone, however it went.

Started as ``python -I -S guard.py MARK`` in a session of its own, with a pipe from the launcher as standard input. The
launcher names each process group as it comes and goes (``+PGID``, ``-PGID``, a line each); ``.`` and the end of the
file mean that it has ended. So does its end itself, where that can be seen: a process that it has forked may hold the
pipe open. A process that left its group is found by MARK in its environment (DEVRUN_STACK=...), where the system shows
other processes' environments (Linux's /proc); elsewhere the groups have to do.

Standard library only; runs in devrun's own interpreter.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator

PATIENCE_SECONDS = 1.5
PAUSE_SECONDS = 0.02
QUIET_SECONDS = 0.3
DEAD = (b"Z", b"X")


def main() -> None:
    """Follow the launcher's word until it ends; then end the rest."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(signum, signal.SIG_IGN)
    mark = os.fsencode(sys.argv[1])
    groups, told = read_groups()
    sweep(groups, mark, 0.0 if told else QUIET_SECONDS)


def read_groups() -> tuple[set[int], bool]:
    """Return the process groups that are alive when the launcher ends, and whether it has told of its end.

    A line cut off by its death is dropped.
    """
    groups: set[int] = set()
    pending = b""
    launcher = parent()
    while chunk := read(launcher):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            if line[:1] == b"+":
                groups.add(int(line[1:]))
            elif line[:1] == b"-":
                groups.discard(int(line[1:]))
            else:
                return groups, True
    return groups, False


def parent() -> list[int]:
    """Return a descriptor that tells of the launcher's end; none where there is no such thing."""
    try:
        return [os.pidfd_open(os.getppid())]
    except (AttributeError, OSError):  # not Linux, or an old one
        return []


def read(launcher: list[int]) -> bytes:
    """Return what the launcher says next; nothing when it has ended."""
    readable, _, _ = select.select([0, *launcher], [], [])
    return os.read(0, 65536) if 0 in readable else b""


def sweep(groups: set[int], mark: bytes, quiet: float) -> None:
    """Kill until nothing has been left for ``quiet`` seconds: a process may fork between the look and the kill.

    What a launcher was starting when it was killed is in no group that it has told of, and bears no mark before its
    program runs.
    """
    now = time.monotonic()
    deadline, since = now + PATIENCE_SECONDS, now
    while now < deadline:
        groups = living({group for group in groups if kill(-group)})
        marked = [pid for pid in marked_processes(mark) if kill(pid)]
        now = time.monotonic()
        if groups or marked:
            since = now
        elif now - since >= quiet:
            return
        time.sleep(PAUSE_SECONDS)


def kill(pid: int) -> bool:
    """Send SIGKILL; return whether there was anything to kill."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def living(groups: set[int]) -> set[int]:
    """Return the groups that hold more than zombies; all of them where /proc does not show who is one."""
    if not os.path.isdir("/proc/self"):
        return groups
    return groups & {group for _, group in living_processes()}


def marked_processes(mark: bytes) -> list[int]:
    """Return the living processes whose environment bears the mark; none where /proc does not show it."""
    found: list[int] = []
    for pid, _ in living_processes():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if pid != os.getpid() and mark in file.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            continue  # gone meanwhile, or another user's
    return found


def living_processes() -> Iterator[tuple[int, int]]:
    """Yield (pid, group) of each process but the zombies, which are dead but that nobody has reaped yet."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The fields after the name, which may hold anything: state, parent, group (proc_pid_stat(5)).
                state, _, group = file.read().rpartition(b")")[2].split()[:3]
        except OSError:
            continue  # gone meanwhile
        if state not in DEAD:
            yield pid, int(group)


if __name__ == "__main__":
    main()

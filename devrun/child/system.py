"""What this process has of the system: threads, children, descriptors, timers. What Linux does in its own way is here.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Container

_SET_CHILD_SUBREAPER = 36
_MOMENT_SECONDS = 0.3
_PAUSE_SECONDS = 0.005


def thread_count() -> int:
    """Return how many threads there are."""
    return len(thread_numbers())


def thread_numbers() -> list[int]:
    """Return a number for each thread; where the system does not tell, for those that Python has started."""
    try:
        return [int(name) for name in os.listdir("/proc/self/task")]
    except OSError:
        return [thread.ident or 0 for thread in threading.enumerate()]


def open_descriptors(known: Container[int] = ()) -> dict[int, str]:
    """Return the open descriptors, without the ``known``, each with what it is where the system tells."""
    found: dict[int, str] = {}
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            for number in map(int, os.listdir(folder)):
                if number not in known:
                    with contextlib.suppress(OSError):  # the one that listed the folder is closed by now
                        os.fstat(number)
                        found[number] = _target(f"{folder}/{number}")
            return found
    return found


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return "a file"


def shared_memory() -> frozenset[bytes]:
    """Return the addresses of the memory that a fork would share, not copy; none where the system does not tell.

    multiprocessing's locks and an anonymous mmap are of that kind.
    """
    try:
        with open("/proc/self/maps", "rb") as file:
            return frozenset(line.split(None, 1)[0] for line in file if line.split(None, 2)[1][1:4:2] == b"ws")
    except OSError:
        return frozenset()


def own_children() -> str | None:
    """A child can only be waited for by the process that has started it."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (ChildProcessError, AttributeError):
        return None
    return "starts a process"


def armed_timers() -> str | None:
    """A fork has none of them (setitimer(2))."""
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    return "sets a timer" if any(signal.getitimer(timer)[0] for timer in timers) else None


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that somebody reaps it (Linux's prctl(2)).

    Elsewhere the system's first process does.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return  # a Python without ctypes, a system library without prctl


def outlasts_fork(threads: int) -> str | None:
    """Return why this process cannot be forked, or None. ``threads``: as many of the system's as it may have.

    Some libraries keep threads that they end themselves at a fork and start again when they need them
    (pthread_atfork(3): OpenBLAS does). A fork that comes to nothing tells them from the others.
    """
    if thread_count() <= threads:
        return None
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    if thread_count() <= threads:
        return None
    names = ", ".join(sorted(thread.name for thread in threading.enumerate() if thread is not threading.main_thread()))
    return f"starts a thread ({names})" if names else "starts a thread"


def bury() -> tuple[int, int] | None:
    """Reap a child that has ended, and kill what is left of its group. Return its pid and exit code, or None."""
    try:
        if hasattr(os, "waitid"):
            # Not reaped yet: meanwhile its number, and that of its group, cannot be given to others.
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return None
            end_group(found.si_pid)
            pid, status = os.waitpid(found.si_pid, 0)
        else:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return None
            end_group(pid)
    except ChildProcessError:
        return None
    return pid, os.waitstatus_to_exitcode(status)


def bury_all() -> None:
    """Reap what ends by itself in a moment, as checkpoints do: some systems' first process reaps nothing."""
    deadline = time.monotonic() + _MOMENT_SECONDS
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(_PAUSE_SECONDS)


def end_group(pid: int) -> None:
    """Kill a process group, or the process that is about to lead it."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)
            return

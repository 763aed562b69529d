"""What phases and ends have in common for whoever decides or shows. A part of the pure core.

Decides nothing about what is done; imports no asyncio, clock, logging or disk.
"""

from __future__ import annotations

import signal

from msgspec.structs import replace

from devrun.events import Run
from devrun.state import Phase, Stopped, Waiting

STABLE_SECONDS = 10.0
"""A worker that served this long did not die of its start: the count of deaths begins anew."""
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0


def pause_after(deaths: int) -> float:
    """Return how many seconds to wait after that many deaths in a row; none after the first."""
    return 0.0 if deaths == 1 else min(FIRST_DELAY * 2 ** min(deaths - 2, 16), LONGEST_DELAY)


def run_of(phase: Phase) -> Run | None:
    """Return the run that a phase is about."""
    return None if isinstance(phase, (Waiting, Stopped)) else phase.run


def pid_of(phase: Phase) -> int | None:
    """Return the process of the newest run, if there is one."""
    return None if isinstance(phase, (Waiting, Stopped)) else phase.pid


def with_pid(phase: Phase, pid: int) -> Phase:
    return phase if isinstance(phase, (Waiting, Stopped)) else replace(phase, pid=pid)


def ending(code: int) -> str:
    """Say in a few words how a process ended: ``exit code 3``, ``signal SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"

"""What the processes of a stack take in memory, by their kind.

Reads the process table through psutil, which takes its time: to be called in a thread. Imported at the first question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from devrun.outputs.status import MEMORY_KINDS, KindMemory, Memory

if TYPE_CHECKING:
    import psutil


class _Size(Struct, frozen=True):
    kind: str
    rss: int
    pss: int | None


def measure(launcher: int, known: Mapping[int, str]) -> Memory:
    """Return what the launcher and everything below it takes. ``known``: the kind of the processes that have names."""
    sizes: list[_Size] = []
    for process, kind in _kinds(launcher, {**known, launcher: "launcher"}):
        size = _size(process, kind)
        if size is not None:
            sizes.append(size)
    # One figure for all: a sum of both kinds would mean nothing.
    proportional = all(size.pss is not None for size in sizes)
    counts: defaultdict[str, int] = defaultdict(int)
    totals: defaultdict[str, int] = defaultdict(int)
    for size in sizes:
        counts[size.kind] += 1
        totals[size.kind] += size.rss if size.pss is None or not proportional else size.pss
    kinds = tuple(KindMemory(kind, counts[kind], totals[kind]) for kind in MEMORY_KINDS if counts[kind])
    return Memory("pss" if proportional else "rss", kinds)


def _kinds(launcher: int, known: Mapping[int, str]) -> Iterable[tuple[psutil.Process, str]]:
    """Every process of the stack that is alive, and its kind."""
    import psutil

    found: dict[int, psutil.Process] = {}
    for pid in (launcher, *known):
        # A process that was forked by one that has ended is no descendant of the launcher's any more.
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            found[pid] = process
            found.update((child.pid, child) for child in process.children(recursive=True))
    for pid, process in found.items():
        yield process, known.get(pid) or _kind_below(process, known)


def _kind_below(process: psutil.Process, known: Mapping[int, str]) -> str:
    """The kind of a process without a name, by the nearest of its ancestors that has one."""
    import psutil

    above = "launcher"
    with suppress(psutil.Error):
        above = next((known[parent.pid] for parent in process.parents() if parent.pid in known), above)
    if above in ("workers", "children of workers"):
        return "children of workers"
    if above == "commands":
        return above
    # These fork nothing but workers: one that is on its way out, or so new that it is not announced yet.
    return "workers" if above in ("fork servers", "checkpoints") else "others"


def _size(process: psutil.Process, kind: str) -> _Size | None:
    """What a process takes; None if it is gone, or may not be looked at."""
    import psutil

    with suppress(psutil.Error):
        rss = process.memory_info().rss
        pss: int | None = None
        with suppress(psutil.AccessDenied):
            pss = getattr(process.memory_full_info(), "pss", None)
        return _Size(kind, rss, pss)
    return None

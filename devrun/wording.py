"""What a worker says of itself, as events.

Must not act on any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from devrun.events import Event, Failed, Failure, Imported, Loaded, LoadedFile, Paused, Resumed, Run, Started

OTHER_WORDS = ("modules", "parked", "unparked", "unfit", "environ", "debuggable", "undebuggable")
"""What a worker says to its engine, and to whoever lets editors in."""


def read_report(run: Run, message: Mapping[str, Any], at: float, folder: Path) -> Event | None:
    """Turn a worker's message into an event; None if it is of no concern to the core.

    Raises ValueError, TypeError or KeyError for anything else.
    """
    match message["is"]:
        case "loaded":
            files = (LoadedFile(path, tuple(stamp) if stamp else None) for path, stamp in message["files"])
            return Loaded(run, tuple(files), at)
        case "imported":
            return Imported(run, at)
        case "started":
            return Started(run, at)
        case "failed":
            failure = Failure(**message["failure"])
            return Failed(run, replace(failure, file=_relative(failure.file, folder)), at)
        case "paused":
            return Paused(run, f"{_relative(message['file'], folder)}:{message['line']}", at)
        case "resumed":
            return Resumed(run, at)
        case word if word in OTHER_WORDS:
            return None
        case unknown:
            raise ValueError(unknown)


def _relative(file: str | None, folder: Path) -> str | None:
    if file is None:
        return None
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file

"""Which stacks of this user are up on this machine: a folder with a small file for each, written by their launchers.

A file only says where to look: whether a stack is up there, its lock alone decides, and what is stale is removed. No
daemon, no pid. Must not read configs or print.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from devrun.errors import FileError
from devrun.lookup import LOCK_NAME, STATE_NAME, try_lock
from devrun.outputs import statefile, writer
from devrun.outputs.statefile import StackRecord

_LONGEST = 4096


@contextmanager
def registered(state_dir: Path, environ: Mapping[str, str]) -> Generator[None]:
    """Have the stack with this state folder in the list. Where no list can be kept, it is missing there, no more."""
    entry = _enter(state_dir, environ)
    try:
        yield
    finally:
        if entry is not None:
            with suppress(OSError):
                entry.unlink()


def stacks(environ: Mapping[str, str]) -> list[tuple[Path, StackRecord]]:
    """Return the state folder and the record of every stack that is up, those that came up first first."""
    found: dict[Path, StackRecord] = {}
    for folder in filter(_is_ours, _folders(environ)):
        with suppress(OSError):
            for entry in sorted(folder.iterdir()):
                _look(entry, found)
    return sorted(found.items(), key=lambda item: item[1].started)


def _look(entry: Path, found: dict[Path, StackRecord]) -> None:
    try:
        with entry.open("rb") as file:
            state_dir = Path(os.fsdecode(file.read(_LONGEST)))
    except OSError:
        return
    record = _running_in(state_dir)
    if record is not None:
        found[state_dir] = record
    elif not _is_held(state_dir):
        with suppress(OSError):
            entry.unlink()


def _running_in(state_dir: Path) -> StackRecord | None:
    try:
        record = statefile.parse((state_dir / STATE_NAME).read_bytes())
    except (OSError, ValueError):  # ValueError: what the file holds is no path
        return None
    return record if record is not None and _is_held(state_dir) else None


def _is_held(state_dir: Path) -> bool:
    """Say whether somebody holds the lock."""
    try:
        if not (state_dir / LOCK_NAME).is_file():
            return False
        lock = try_lock(str(state_dir / LOCK_NAME), shared=True)
    except (OSError, ValueError):
        return False
    if lock is None:
        return True
    os.close(lock)
    return False


def _enter(state_dir: Path, environ: Mapping[str, str]) -> Path | None:
    name = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]
    for folder in _folders(environ):
        with suppress(OSError, FileError):
            folder.mkdir(mode=0o700, exist_ok=True)
            if _is_ours(folder):
                writer.write(folder / name, os.fsencode(state_dir), mode=0o600)
                return folder / name
    return None


def _folders(environ: Mapping[str, str]) -> list[Path]:
    """Where the list may be, best first. All are read: a login over ssh or from cron has not the same variables."""
    user = os.getuid()
    runtime = [Path(path) for path in (environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}") if path]
    found = [path / "devrun" for path in runtime if path.is_absolute() and path.is_dir()]
    return list(dict.fromkeys([*found, Path(f"/tmp/devrun-{user}")]))


def _is_ours(folder: Path) -> bool:
    """Say whether nobody else can have put anything there: in /tmp anybody may make a folder of that name."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077

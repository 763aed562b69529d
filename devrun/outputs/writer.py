"""The only code that writes files: whole or not at all, and only when something changes.

Knows nothing of what it writes but the managed block of an env file; decides no policy and prints nothing.
"""

from __future__ import annotations

import errno
import os
import secrets
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct

from devrun.consumers import EVERYBODY, Consumers
from devrun.errors import FileError
from devrun.outputs import block, envfile, swap
from devrun.outputs.swap import Seen

_TRIES = 20

Found = Literal["nothing", "file", "block", "only block"]
"""What there is of the user's and of a stack's own: ``nothing`` (no file, or just blocks of other stacks), a ``file``
without the stack's block, a file with it, or one with just the ``block`` and perhaps those of others."""


class Installed(Struct, frozen=True):
    """``found``: what was there before. ``wrote``: the file did not yet hold exactly this block."""

    found: Found
    wrote: bool


def write(path: Path, content: bytes, *, mode: int = 0o644) -> bool:
    """Make ``content`` the content of the file; False: it already was.

    The old content stays until the new one is complete on disk. Mode and owner of a file that exists are kept, a link
    stays a link and its target is written; ``mode`` (less the umask) is for a new file. Raises ``FileError``.
    """
    return update(path, lambda _: content, mode=mode)


def update(path: Path, change: Callable[[bytes | None], bytes | None], *, mode: int = 0o644) -> bool:
    """As ``write``, with ``change(old content)`` as the new content; None stands for no file on both sides.

    ``change`` is called again when somebody else saves the file meanwhile, so it must be free of effects.
    """
    try:
        for _ in range(_TRIES):
            real = Path(os.path.realpath(path))
            with swap.alone(real.parent):
                seen = _look(real)
                before = seen.content if seen else None
                after = change(before)
                if after == before:
                    return False
                _check_writable(path, seen)
                if _swap(real, seen, after, mode):
                    return True
    except OSError as error:
        raise FileError(f"cannot write {shown(path)}: {_reason(path, error)}") from error
    raise FileError(f"cannot write {shown(path)}: another program keeps changing it")


def install_block(
    path: Path, variables: Mapping[str, str], owner: str = "", readers: Consumers = EVERYBODY
) -> Installed:
    """Put the owner's block into the file, which is made if there is none. Raises ``DevrunError``."""
    text = envfile.render(variables, owner, readers)
    found: Found = "nothing"

    def change(content: bytes | None) -> bytes:
        nonlocal found
        found = _found(content, owner)
        return block.put(content or b"", text, owner)

    wrote = update(path, change)
    return Installed(found, wrote)


def look(path: Path, owner: str = "") -> Found:
    """Tell what is there; a file that cannot be read holds no block that could be told."""
    try:
        seen = _look(Path(os.path.realpath(path)))
    except (FileError, OSError):
        return "file"
    if seen is None and os.path.lexists(path):
        return "file"
    return _found(seen.content if seen else None, owner)


def remove_block(path: Path, created: bool, owner: str = "") -> bool:
    """Take the owner's block out; a file that devrun ``created`` goes too if nothing else is in it.

    False: there was no block (any more). Raises ``FileError``.
    """

    def change(content: bytes | None) -> bytes | None:
        if content is None or not block.holds(content, owner):
            return content
        rest = block.take(content, owner)
        # devrun never makes links: a link in the place of its file is somebody's work.
        return None if created and not rest and not path.is_symlink() else rest

    return update(path, change)


def sweep(path: Path) -> None:
    """Remove what writers of this file that were killed half-way have left beside it."""
    real = Path(os.path.realpath(path))
    with suppress(OSError):
        for name in os.listdir(real.parent):
            if name.startswith(_temp_prefix(real)):
                real.with_name(name).unlink(missing_ok=True)


def shown(path: Path | str) -> str:
    """A path or name for a message: on one line and printable, whatever is in it."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def _found(content: bytes | None, owner: str) -> Found:
    if content is None:
        return "nothing"
    if block.holds(content, owner):
        return "only block" if block.is_only_blocks(content) else "block"
    return "nothing" if block.is_only_blocks(content) else "file"


def _look(real: Path) -> Seen | None:
    try:
        return swap.look(real)
    except PermissionError as error:
        raise FileError(f"cannot read {shown(real)}: permission denied") from error


def _swap(real: Path, seen: Seen | None, content: bytes | None, mode: int) -> bool:
    """Replace what was seen; False: it is not what is there any more."""
    temp = real.with_name(_temp_prefix(real) + secrets.token_hex(4))
    try:
        if content is None:
            return seen is None or swap.remove(real, temp, seen)
        _fill(temp, seen, content, mode)
        return swap.create(temp, real) if seen is None else swap.replace(temp, real, seen)
    finally:
        temp.unlink(missing_ok=True)


def _fill(temp: Path, seen: Seen | None, content: bytes, mode: int) -> None:
    # Closed to others until it has the mode of the file it stands for, which may hold secrets.
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode if seen is None else 0o600)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        if seen is not None:
            _adopt(fd, seen, temp)
        os.fsync(fd)


def _adopt(fd: int, seen: Seen, temp: Path) -> None:
    status = os.fstat(fd)
    if (status.st_uid, status.st_gid) != seen.owner:
        try:
            os.fchown(fd, *seen.owner)
        except PermissionError as error:
            raise FileError(
                f"cannot write in {shown(temp.parent)}: the file belongs to another user or group, "
                "which could not be kept"
            ) from error
    os.fchmod(fd, seen.mode)


def _check_writable(path: Path, seen: Seen | None) -> None:
    if seen is not None:
        # A rename needs no permission on the file itself, and root needs none at all: the mode says what is wanted.
        if not seen.mode & 0o222:
            raise FileError(f"cannot write {shown(path)}: it is read-only", hint="chmod u+w lets devrun write it")
    elif path.is_symlink() and not path.exists():
        raise FileError(
            f"cannot write {shown(path)}: it is a link to {os.readlink(path)!r}, which is not there",
            hint="make the file that it points to, or remove the link",
        )
    elif path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file"
        raise FileError(f"cannot write {shown(path)}: it is {what}", hint="move it away, or name another file")


def _temp_prefix(real: Path) -> str:
    """Short whatever the length of the name, and the same each time so that leftovers can be found."""
    return f".devrun-{zlib.crc32(os.fsencode(real.name)):08x}-"


def _reason(path: Path, error: OSError) -> str:
    folder = shown(Path(os.path.realpath(path)).parent)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full"
        case errno.EROFS:
            return "the file system is read-only"
        case errno.ENOENT:
            return f"there is no folder {folder}"
        case errno.ENOTDIR:
            return f"{folder} is not a folder"
        case errno.EACCES | errno.EPERM:
            return f"no permission to write in the folder {folder}"
        case _:
            return (error.strerror or str(error)).lower()

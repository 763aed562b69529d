"""Makes the control socket and takes it away: 0600, in ``.devrun`` or, when that path is too long, in a short folder.

To be called by the launcher that holds the project's lock: whatever else is there was left by one that was killed.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from devrun.control.address import SOCKET_NAME, fits, own, pointer
from devrun.errors import FileError
from devrun.outputs import writer

BACKLOG = 128
_PREFIX = "devrun-"
_SHORT = "/tmp"


@contextmanager
def listening(state_dir: Path, warn: Callable[[str], None]) -> Generator[socket.socket | None]:
    """Listen on the control socket; None, with a warning, where the system lets us have none."""
    folder = str(state_dir)
    forget(folder)
    listener: socket.socket | None = None
    try:
        listener = _listen(folder)
    except (OSError, FileError) as error:
        warn(f"`devrun status` cannot reach this stack, as it has no control socket: {error}")
    try:
        yield listener
    finally:
        if listener is not None:
            listener.close()
        forget(folder)


def _listen(folder: str) -> socket.socket:
    path = own(folder)
    if fits(path):
        # Some mounted file systems hold no sockets.
        with suppress(OSError):
            return _bind(path)
    return _listen_elsewhere(folder)


def _listen_elsewhere(folder: str) -> socket.socket:
    parent = tempfile.gettempdir()
    if not fits(os.path.join(parent, f"{_PREFIX}12345678", SOCKET_NAME)):
        parent = _SHORT
    short = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)  # 0700
    path = os.path.join(short, SOCKET_NAME)
    try:
        listener = _bind(path)
        try:
            writer.write(Path(pointer(folder)), os.fsencode(path), mode=0o600)
        except BaseException:
            listener.close()
            raise
    except BaseException:
        shutil.rmtree(short, ignore_errors=True)
        raise
    return listener


def _bind(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)  # until here the 0700 folder keeps others out
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def forget(folder: str) -> None:
    """Remove the socket of this project, wherever it is, unless somebody listens on it."""
    _remove_elsewhere(folder)
    with suppress(OSError):
        os.unlink(own(folder))


def _remove_elsewhere(folder: str) -> None:
    try:
        with open(pointer(folder), "rb") as file:
            path = os.fsdecode(file.read(4096))
    except OSError:
        return
    with suppress(OSError):
        os.unlink(pointer(folder))
    short = os.path.dirname(path)
    ours = os.path.basename(path) == SOCKET_NAME and os.path.basename(short).startswith(_PREFIX)
    # A copied project points to the socket of the original's stack, which may be up.
    if ours and not _is_alive(path):
        with suppress(OSError):
            os.unlink(path)
            os.rmdir(short)


def _is_alive(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, ValueError):
            return False
        except OSError:
            return True
    return True

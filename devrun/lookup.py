"""Which stack runs in a project, found with next to no imports: what ``devrun url NAME`` needs and nothing else.

Imports neither ``re`` nor anything that does (typing, dataclasses, pathlib, tomllib): that alone would double the time
that such a command takes. Changes nothing and explains nothing; whoever gets None asks ``project`` and ``lock``.
"""

from __future__ import annotations

import fcntl
import os

CONFIG_NAME = "devrun.toml"
STATE_DIR = ".devrun"
STATE_NAME = "state.toml"
LOCK_NAME = "lock"
RUNS = "run"
"""The folder in ``.devrun`` that holds the state folders of private stacks (``devrun run``)."""


def nearest_config(folder: str) -> str | None:
    """Return the path of the devrun.toml in ``folder`` (absolute, free of links) or the nearest one above it."""
    while True:
        candidate = os.path.join(folder, CONFIG_NAME)
        if os.path.lexists(candidate):
            return candidate
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def try_lock(path: str, *, shared: bool = False) -> int | None:
    """Return a descriptor that holds the lock until it is closed; children do not inherit it. None: somebody has it.

    ``shared``: only to see whether somebody has it; those who do so at the same time do not see each other.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        # .devrun may have been deleted and made again since it was opened: then this locks a file nobody else sees.
        if os.path.samestat(os.fstat(lock), os.stat(path)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def private_name(folder: str, stack: str) -> str | None:
    """Return the name of the state folder of a private stack of the project in ``folder``; None: it is none of them.

    ``stack`` is the value of DEVRUN_STACK: whatever runs in a private stack means that one, and no other beside it.
    """
    name = stack.rpartition("-")[2]
    if name.isalnum() and os.path.isdir(os.path.join(folder, STATE_DIR, RUNS, name)):
        return name
    return None


def endpoint(name: str, stack: str = "") -> tuple[str, str] | None:
    """Return the URL and the port of an app of the stack that runs around the working directory.

    ``stack``: the value of DEVRUN_STACK, as in ``private_name``. None where that is not plain: no such app, no stack, a
    file that is not as expected, no permission.
    """
    try:
        config = nearest_config(os.path.realpath(os.getcwd()))
        if config is None or not os.path.isfile(config):
            return None
        project = os.path.dirname(config)
        private = private_name(project, stack)
        folder = os.path.join(project, STATE_DIR, *(() if private is None else (RUNS, private)))
        with open(os.path.join(folder, STATE_NAME), "rb") as file:
            found = endpoint_in(file.read(), name)
        lock = None if found is None else try_lock(os.path.join(folder, LOCK_NAME), shared=True)
    except OSError:
        return None
    if lock is not None:
        os.close(lock)
        return None
    return found


def endpoint_in(state: bytes, name: str) -> tuple[str, str] | None:
    """Return the URL and the port of an app in a state.toml that is plain: as ``statefile.render`` writes it."""
    head, _, rest = state.partition(f"\n[endpoints.{name}]\n".encode("utf-8", "surrogateescape"))
    lines = rest.split(b"\n", 3)
    if not head.startswith(b"version = 1\n") or len(lines) != 4:
        return None
    url, _, port = lines[:3]
    if not (url.startswith(b'url = "') and url.endswith(b'"') and port.startswith(b"port = ")):
        return None
    try:
        return url[7:-1].decode("ascii"), port[7:].decode("ascii")
    except UnicodeDecodeError:
        return None

"""Where the control socket of a project is: in its ``.devrun``, or in a short folder that a file there points to.

Light: the client imports it. Opens no connection.
"""

from __future__ import annotations

import os

SOCKET_NAME = "control.sock"
POINTER_NAME = "control.path"
LONGEST = 103
"""Bytes of a path that every system's ``sun_path`` takes, less the NUL at its end (macOS: 104, Linux: 108)."""


def own(state_dir: str) -> str:
    """Return where the socket is to be if that is possible."""
    return os.path.join(state_dir, SOCKET_NAME)


def pointer(state_dir: str) -> str:
    """Return the file that holds the socket's path when it is elsewhere."""
    return os.path.join(state_dir, POINTER_NAME)


def fits(path: str) -> bool:
    """Say whether a socket can have this path."""
    return len(os.fsencode(path)) <= LONGEST


def locate(state_dir: str) -> str:
    """Return where a client finds the socket. Raises OSError when the pointer cannot be read."""
    try:
        with open(pointer(state_dir), "rb") as file:
            return os.fsdecode(file.read(4096))
    except FileNotFoundError:
        return own(state_dir)

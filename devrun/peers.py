"""Who has connected to a port of this machine: whether it is the same user.

Reads what Linux tells of every TCP connection; elsewhere nobody can say, and everybody is let in.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_TABLES = {4: "/proc/net/tcp", 6: "/proc/net/tcp6"}
_LOCAL, _REMOTE, _UID = 1, 2, 7
"""The columns of proc(5)."""


def is_own(sock: Any) -> bool:
    """Whether the other end of a connection (from this machine) is this user's, or root's, as far as can be known."""
    with suppress(OSError, ValueError, IndexError):
        mine, theirs = sock.getsockname(), sock.getpeername()
        uid = _uid_of(theirs[0], theirs[1], mine[0], mine[1])
        return uid is None or uid in (0, os.getuid())
    return True


def _uid_of(host: str, port: int, to_host: str, to_port: int) -> int | None:
    """The user whose socket is at ``host`` and ``port`` and connected to the other two."""
    wanted = _hexadecimal(host, port), _hexadecimal(to_host, to_port)
    if not sys.platform.startswith("linux"):
        return None
    for line in Path(_TABLES[6 if ":" in host else 4]).read_text().splitlines()[1:]:
        columns = line.split()
        if (columns[_LOCAL], columns[_REMOTE]) == wanted:
            return int(columns[_UID])
    return None


def _hexadecimal(host: str, port: int) -> str:
    """An address as the table has it: words of 32 bits, each in the order of this machine."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"

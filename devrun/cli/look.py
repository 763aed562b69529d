"""What the terminal at hand can show: colour, line-drawing signs, and whether it is a terminal at all.

Takes the environment as a mapping. Draws nothing.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from msgspec import Struct

_OFF = ("", "0", "false", "no")


class Look(Struct, frozen=True):
    """How to show things. ``encoding`` is the stream's; ``unicode``: signs beyond ASCII look right."""

    colour: bool = False
    unicode: bool = True
    encoding: str = "utf-8"


def look(stream: TextIO | None, environ: Mapping[str, str]) -> Look:
    """Return how to show things on ``stream`` (https://no-color.org, https://force-color.org)."""
    encoding = (stream and stream.encoding) or "utf-8"
    forced = environ.get("FORCE_COLOR", "").lower() not in _OFF
    colour = not environ.get("NO_COLOR") and (forced or can_redraw(stream, environ))
    return Look(colour, _is_utf8(encoding) and _locale_is_utf8(environ), encoding)


def can_redraw(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Say whether ``stream`` is a terminal that knows how to move its cursor."""
    return is_terminal(stream) and environ.get("TERM", "") not in ("", "dumb", "unknown")


def is_terminal(stream: TextIO | None) -> bool:
    descriptor = descriptor_of(stream)
    return descriptor is not None and os.isatty(descriptor)


def descriptor_of(stream: TextIO | None) -> int | None:
    """Return the file descriptor of ``stream``; None when it is closed or has none."""
    if stream is not None:
        with suppress(OSError, ValueError):
            return stream.fileno()
    return None


def in_foreground(descriptor: int) -> bool:
    """Say whether this process may read from and draw on the terminal; a background job would be stopped for it."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # not the controlling terminal: no job control there
        return True


def _locale_is_utf8(environ: Mapping[str, str]) -> bool:
    """Python's own streams speak UTF-8 even in the C locale; the terminal of that locale may not."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    if locale in ("C", "POSIX"):
        return False
    charset = locale.partition("@")[0].partition(".")[2]
    return not charset or _is_utf8(charset)


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False

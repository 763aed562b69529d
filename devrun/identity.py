"""What the header ``x-devrun`` says of who answers: ``<stack>/<app>@<branch or folder>``; made and read here.

Pure. The stack is named as in DEVRUN_STACK, so that no two are the same. What no header may hold is percent-encoded
(RFC 3986), and so are the signs that part the three.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote

from msgspec import Struct

HEADER = "x-devrun"

_FORM = re.compile(r"([^/@\s]+)/([^/@\s]+)@([!-~]*)")


class Identity(Struct, frozen=True):
    """An app as its answers name it. ``where``: the branch, or the folder's name where there is none."""

    stack: str
    app: str
    where: str

    def __str__(self) -> str:
        """Return the value of the header."""
        return f"{_quoted(self.stack)}/{_quoted(self.app)}@{_quoted(self.where, also='/@')}"


def read(value: str) -> Identity | None:
    """Return what a header says; None when it was not made here."""
    match = _FORM.fullmatch(value.strip())
    return None if match is None else Identity(*map(unquote, match.groups()))


def _quoted(text: str, also: str = "") -> str:
    return quote(os.fsencode(text), safe=f"!$&'()*+,:;={also}")

"""The text of the managed block of an env file: variables in, bytes out.

Pure. Where in a file it goes is ``block``'s; which file, and whether it may be written, is ``writer``'s.
"""

from __future__ import annotations

from collections.abc import Mapping

from devrun.consumers import EVERYBODY, Consumers
from devrun.errors import DevrunError
from devrun.naming import refuses_name
from devrun.outputs.block import begin, end
from devrun.portable import Refusal, spell


def render(variables: Mapping[str, str], owner: str = "", readers: Consumers = EVERYBODY) -> bytes:
    """The block, markers included, in the order of ``variables``; always UTF-8 with LF. Raises as ``lines`` does."""
    written = (line.encode() for line in lines(variables, readers))
    return b"".join(line + b"\n" for line in (begin(owner), *written, end(owner)))


def lines(variables: Mapping[str, str], readers: Consumers = EVERYBODY) -> list[str]:
    """The variables as ``NAME=value``, each read alike by all of ``readers``.

    Raises ``DevrunError`` for a value that has no such spelling, and for a name that is not ``[A-Za-z_][A-Za-z0-9_]*``.
    """
    written: list[str] = []
    for key, value in variables.items():
        if refuses_name(key):
            raise DevrunError(
                f"{key!r} cannot be written to an env file: a name is made of letters, digits and _, no digit first"
            )
        spelling = spell(value, readers)
        if isinstance(spelling, Refusal):
            raise DevrunError(
                f"{key} cannot be written to an env file: its value has {spelling}",
                hint="change the value, or give the program a path or a base64 text instead",
            )
        written.append(f"{key}={spelling}")
    return written

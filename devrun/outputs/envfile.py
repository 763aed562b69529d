"""The text of the managed block of an env file: variables in, bytes out.

Pure. Where in a file it goes is ``block``'s; which file, and whether it may be written, is ``writer``'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from devrun.errors import DevrunError
from devrun.outputs.block import begin, end

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*")

# Values that some common reader of env files gets wrong however they are spelled.
_NOT_PORTABLE = (
    (re.compile("\0"), "a NUL character"),
    (re.compile("[\ud800-\udfff]"), "bytes that are not UTF-8"),
    (re.compile("[\r\n]"), "a line break"),
    (re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"), "a character that some readers take for a line break"),
    (re.compile(r"\A\$|\\\$|\$[\w{(]"), "a dollar sign that some readers expand"),
    (re.compile(r"\\\\|\\\Z"), "a backslash that is doubled or comes last"),
    (re.compile(r'\A"(?:.*")?\Z', re.DOTALL), "a pair of double quotes around it"),
    (
        re.compile(r"""'.*["\\$`]|["\\$`].*'""", re.DOTALL),
        "an apostrophe beside a double quote, backslash, dollar or backtick",
    ),
)


def render(variables: Mapping[str, str], owner: str = "") -> bytes:
    """The block, markers included, in the order of ``variables``; always UTF-8 with LF.

    Only spellings that all common readers of env files (dotenv of node and Python, Vite, Next, compose, shells,
    systemd, direnv) take alike are written: nothing is ever escaped. Raises ``DevrunError`` for a value that has no
    such spelling, and for a name that is not ``[A-Za-z_][A-Za-z0-9_]*``.
    """
    lines = [f"{_checked(key)}={_spelled(key, value)}".encode() for key, value in variables.items()]
    return b"".join(line + b"\n" for line in (begin(owner), *lines, end(owner)))


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise DevrunError(
            f"{key!r} cannot be written to an env file: a name is made of letters, digits and _, no digit first"
        )
    return key


def _spelled(key: str, value: str) -> str:
    if not value or _BARE.fullmatch(value):
        return value
    for pattern, reason in _NOT_PORTABLE:
        if pattern.search(value):
            raise DevrunError(
                f"{key} cannot be written to an env file: its value has {reason}, "
                "which the programs that read such files do not all read alike",
                hint="change the value, or give the program a path or a base64 text instead",
            )
    return f'"{value}"' if "'" in value else f"'{value}'"

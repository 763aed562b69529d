"""The managed block of an env file: its text, and putting it into and taking it out of a file's bytes.

Pure: bytes in, bytes out. Which file, and whether it may be written, is ``writer``'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from devrun.errors import DevrunError

BEGIN = b"# >>> devrun >>> written by devrun while the stack is up; edits inside are lost"
END = b"# <<< devrun <<<"

_BOM = b"\xef\xbb\xbf"
# An editor may have saved the file with CRLF, or without a final newline, while the stack was up.
_MARKER = re.compile(b"^(?:(%s)|%s)\r?(?:\n|\\Z)" % (re.escape(BEGIN), re.escape(END)), re.MULTILINE)

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


def render(variables: Mapping[str, str]) -> bytes:
    """The block, markers included, in the order of ``variables``; always UTF-8 with LF.

    Only spellings that all common readers of env files (dotenv of node and Python, Vite, Next, compose, shells,
    systemd, direnv) take alike are written: nothing is ever escaped. Raises ``DevrunError`` for a value that has no
    such spelling, and for a name that is not ``[A-Za-z_][A-Za-z0-9_]*``.
    """
    lines = [f"{_checked(key)}={_spelled(key, value)}".encode() for key, value in variables.items()]
    return b"".join(line + b"\n" for line in (BEGIN, *lines, END))


def put(content: bytes, block: bytes) -> bytes:
    """``content`` with ``block`` instead of the block it holds, or else with ``block`` on top.

    On top, the missing final newline of a file need not be remembered, and an unbalanced quote at the user's end
    cannot swallow the block. A UTF-8 byte order mark stays in front.
    """
    bom, body = _split_bom(content)
    spans = _spans(body)
    if not spans:
        return bom + block + body
    start, end = spans[0]
    # A second block (a merge, a copy) would set the same keys again with older values.
    return bom + body[:start] + block + _without(body[end:], [(a - end, b - end) for a, b in spans[1:]])


def take(content: bytes) -> bytes:
    """``content`` without its block: ``take(put(c, block)) == c`` for every ``c`` that holds no block."""
    bom, body = _split_bom(content)
    return bom + _without(body, _spans(body))


def holds(content: bytes) -> bool:
    """Whether there is a block: a begin line and, later, an end line. A lone marker is the user's text."""
    return bool(_spans(_split_bom(content)[1]))


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


def _split_bom(content: bytes) -> tuple[bytes, bytes]:
    cut = len(_BOM) if content.startswith(_BOM) else 0
    return content[:cut], content[cut:]


def _spans(body: bytes) -> list[tuple[int, int]]:
    """Where the outermost blocks start and end. Markers pair like brackets, so an unpaired one never eats text."""
    opened: list[int] = []
    spans: list[tuple[int, int]] = []
    for marker in _MARKER.finditer(body):
        if marker[1] is not None:
            opened.append(marker.start())
        elif opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, marker.end()))
    return spans


def _without(body: bytes, spans: list[tuple[int, int]]) -> bytes:
    kept: list[bytes] = []
    at = 0
    for start, end in spans:
        kept.append(body[at:start])
        at = end
    return b"".join([*kept, body[at:]])

"""The managed block in the bytes of an env file: whose it is, putting it in and taking it out.

Pure: bytes in, bytes out. A block is a begin line and, later, an end line, exactly as written here, and devrun's own
whoever copied it there. Whatever else a file holds is the user's, lone markers and the blocks of other projects
included. What is between the lines is ``envfile``'s.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

TITLE = b"written by devrun while the stack is up; edits inside are lost"

_BOM = b"\xef\xbb\xbf"
# An editor may have saved the file with CRLF, or without a final newline, while the stack was up.
_MARKER = re.compile(
    rb"^(?:# (?P<begin>>>>) devrun(?: (?P<begins>[\w.-]+))? >>> %s|# <<< devrun(?: (?P<ends>[\w.-]+))? <<<)\r?(?:\n|\Z)"
    % re.escape(TITLE),
    re.MULTILINE,
)

Span = tuple[int, int]


def begin(owner: str = "") -> bytes:
    """The first line of a block. The usual one names no owner: it is of the project that the file lies in."""
    return b"# >>> %s >>> %s" % (_words(owner), TITLE)


def end(owner: str = "") -> bytes:
    """The last line of a block."""
    return b"# <<< %s <<<" % _words(owner)


def owner_of(folder: Path) -> str:
    """The name by which a project's block is told from others in a file that does not lie in that project."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.name)[:40]
    return f"{name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"


def put(content: bytes, block: bytes, owner: str = "") -> bytes:
    """``content`` with ``block`` instead of the owner's block that it holds, or else with ``block`` on top.

    On top, the missing final newline of a file need not be remembered, and an unbalanced quote at the user's end
    cannot swallow the block. A UTF-8 byte order mark stays in front.
    """
    bom, body = _split_bom(content)
    spans = _spans(body, owner)
    if not spans:
        return bom + block + body
    start, stop = spans[0]
    # A second block (a merge, a copy) would set the same keys again with older values.
    return bom + body[:start] + block + _without(body[stop:], [(a - stop, b - stop) for a, b in spans[1:]])


def take(content: bytes, owner: str = "") -> bytes:
    """``content`` without the owner's block: ``take(put(c, block)) == c`` for every ``c`` that holds none."""
    bom, body = _split_bom(content)
    return bom + _without(body, _spans(body, owner))


def holds(content: bytes, owner: str = "") -> bool:
    """Whether there is a block of this owner."""
    return bool(_spans(_split_bom(content)[1], owner))


def blank(content: bytes, owner: str = "") -> tuple[bytes, int | None]:
    """``content`` with empty lines for the owner's block, so that others keep their numbers; and its first line."""
    bom, body = _split_bom(content)
    spans = _spans(body, owner)
    kept: list[bytes] = []
    at = 0
    for start, stop in spans:
        kept += [body[at:start], b"\n" * body.count(b"\n", start, stop)]
        at = stop
    return bom + b"".join([*kept, body[at:]]), body.count(b"\n", 0, spans[0][0]) + 1 if spans else None


def is_only_blocks(content: bytes) -> bool:
    """Whether there is a block, whoever's, and nothing else: then no user has made the file."""
    rest = content
    for owner in {_owner(marker) for marker in _MARKER.finditer(_split_bom(content)[1])}:
        rest = take(rest, owner)
    return not rest and bool(content)


def _words(owner: str) -> bytes:
    return f"devrun {owner}".encode() if owner else b"devrun"


def _owner(marker: re.Match[bytes]) -> str:
    return (marker["begins"] or marker["ends"] or b"").decode("ascii")


def _split_bom(content: bytes) -> tuple[bytes, bytes]:
    cut = len(_BOM) if content.startswith(_BOM) else 0
    return content[:cut], content[cut:]


def _spans(body: bytes, owner: str) -> list[Span]:
    """Where the owner's outermost blocks are. Markers pair like brackets, so an unpaired one never eats text."""
    opened: list[int] = []
    spans: list[Span] = []
    for marker in _MARKER.finditer(body):
        if _owner(marker) != owner:
            continue
        if marker["begin"]:
            opened.append(marker.start())
        elif opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, marker.end()))
    return spans


def _without(body: bytes, spans: list[Span]) -> bytes:
    kept: list[bytes] = []
    at = 0
    for start, stop in spans:
        kept.append(body[at:start])
        at = stop
    return b"".join([*kept, body[at:]])

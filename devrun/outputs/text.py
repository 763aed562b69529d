"""What is left of other people's text before devrun shows it: it may colour, never move the cursor or break a line.

Pure. Must not know notices, terminals or encodings.
"""

from __future__ import annotations

import re

LONGEST_LINE = 8192
"""Characters of one log line that are shown; the log file holds the rest."""

_BREAKS = re.compile("[\t-\r\x1c-\x1e\x85\u2028\u2029]+")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SUSPICIOUS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_CONTROL = re.compile(
    r"""
    \x1b\][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?         # OSC: titles, hyperlinks
  | \x1b[PX^_][^\x1b\x9c]*(?:\x1b\\|\x9c)?              # DCS, SOS, PM, APC
  | (?P<colour>\x1b\[[0-9;:]*m)                         # SGR
  | (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?                   # every other CSI
  | \x1b[ -/]*[0-~]?                                    # two-character escapes
  | [\x00-\x08\x0a-\x1f\x7f-\x9f]                       # all the rest but the tab
    """,
    re.VERBOSE,
)
_RESET = "\x1b[0m"


def one_line(text: str) -> str:
    """Return ``text`` on one line: line breaks become a space, other control characters and surrogates U+FFFD."""
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub("\ufffd", _BREAKS.sub(" ", text).strip())


def log_text(text: str, *, colour: bool) -> str:
    """Return one line of a program's output as it may be shown.

    Of a progress bar the last state is kept. With ``colour`` the line keeps its SGR sequences and ends with a reset;
    all other control sequences are gone (ECMA-48, section 5; xterm's OSC).
    """
    if "\r" in text:
        text = text.rstrip("\r").rpartition("\r")[2]
    if len(text) > LONGEST_LINE:
        text = text[:LONGEST_LINE] + " (line cut)"
    if not _SUSPICIOUS.search(text):
        return text
    kept = _CONTROL.sub(r"\g<colour>" if colour else "", text)
    return kept + _RESET if "\x1b" in kept else kept


def plain_text(text: str) -> str:
    """Return one line of a program's output as a log file holds it: whole, without control sequences."""
    return _CONTROL.sub("", text) if _SUSPICIOUS.search(text) else text

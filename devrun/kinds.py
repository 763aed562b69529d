"""The kinds of values that devrun.toml knows: texts with a form, numbers with a range. What ``config`` is made of.

Types only; knows no key.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

# Patterns keep to what regular expressions of Python and of JSON Schema (ECMAScript) have in common.
NAME_PATTERN = "^[a-z][a-z0-9_-]*$"
VARIABLE_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*$"
_PART = r"[^\x00-\x20\x7f:./\\]+"
_IMPORT = rf"{_PART}(\.{_PART})*:{_PART}(\.{_PART})*"

# `extra` is for messages: `expected` says in words what a pattern asks, `names` are the words to suggest from.
# (Not for the kinds of keys: msgspec before 0.22 would leave their patterns out of the JSON Schema.)
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Variable = Annotated[str, Meta(pattern=VARIABLE_PATTERN)]
KEY_WORDS = {
    NAME_PATTERN: "a name: a lower-case letter, then a-z, 0-9, _ or -",
    VARIABLE_PATTERN: "a variable name: A-Z, a-z, 0-9 and _, no digit in front",
}
Text = Annotated[str, Meta(min_length=1)]
ImportString = Annotated[
    str, Meta(pattern=f"^{_IMPORT}$", extra={"expected": "an import string module:attribute, such as 'shop.main:app'"})
]
UrlPath = Annotated[str, Meta(pattern="^/[!-~]*$", extra={"expected": "a URL path such as '/healthz'"})]
Host = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x20/\[\]]+$",
        extra={"expected": "an address or host name such as '127.0.0.1' or '::1'"},
    ),
]
URL_PATTERN = r"^[a-z][a-z0-9+.-]*://[A-Za-z0-9._~:/?#\[\]!$&'()*+,;=%-]+$"
Url = Annotated[
    str,
    Meta(
        pattern=URL_PATTERN,
        extra={"expected": "a URL such as 'https://api.example.com', without user name and password"},
    ),
]
Port = Annotated[int, Meta(ge=0, le=65535)]
LARGEST = 2**31 - 1
"""The upper bound of numbers that have no natural one: what every library can hold."""
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Positive = Annotated[int, Meta(ge=1, le=LARGEST)]
Seconds = Annotated[float, Meta(ge=0, le=LARGEST)]
Pair = Annotated[tuple[str, ...], Meta(min_length=2, max_length=2, extra={"expected": "a pair [name, value]"})]


def one_of(*names: str) -> Meta:
    """What makes a text one of these names or an import string."""
    return Meta(
        pattern=f"^({'|'.join(names)}|{_IMPORT})$",
        extra={"expected": f"{', '.join(map(repr, names))} or an import string module:attribute", "names": names},
    )

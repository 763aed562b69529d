"""How a value is written to an env file, so that all who read the file read the same: the one rule.

Pure. ``.env`` has no standard, and whatever escape one writes, some reader keeps it literally: so a value is written as
it is, in the first of a few quotes that nobody misreads (``hazards`` knows who does), and refused where there are none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from devrun.consumers import EVERYBODY, Consumer, Consumers, listed
from devrun.hazards import HAZARDS, NPM, Hazard, Spelling

_SPELL: Mapping[Spelling, Callable[[str], str]] = {
    "'…'": lambda value: f"'{value}'",
    '"…"': lambda value: f'"{value}"',
    '"\\…"': lambda value: '"' + re.sub(r'["\\$`]', r"\\\g<0>", value) + '"',
    "`…`": lambda value: f"`{value}`",
}
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*|")
"""What nobody quotes, strips, cuts off, expands or executes."""


class Clash(Struct, frozen=True):
    """Something in a value that some of the readers misread. ``at``: which character, counted from 1."""

    hazard: Hazard
    at: int
    readers: Consumers

    def __str__(self) -> str:
        return f"{self.hazard.what} at character {self.at}, which {self.hazard.fate} in {listed(self.readers)}"


class Refusal(Struct, frozen=True):
    """Why there is no spelling: what is misread in the one that the fewest misread."""

    clashes: tuple[Clash, ...]

    @property
    def readers(self) -> Consumers:
        return frozenset[Consumer]().union(*(clash.readers for clash in self.clashes))

    def __str__(self) -> str:
        return "; ".join(map(str, self.clashes))


def spell(value: str, readers: Consumers = EVERYBODY) -> str | Refusal:
    """Return what stands after ``NAME=`` so that every one of ``readers`` reads ``value``.

    JSON that cannot be written as it is, is written as another text of the same JSON.
    """
    if _BARE.fullmatch(value):
        return value
    found = _written(value, readers)
    if isinstance(found, Refusal) and (other := _plain_json(value)) is not None:
        again = _written(other, readers)
        return again if isinstance(again, str) else found
    return found


def _written(value: str, readers: Consumers) -> str | Refusal:
    refusals: list[Refusal] = []
    hazards = [(hazard, match.start() + 1) for hazard in HAZARDS if (match := hazard.pattern.search(value))]
    for spelling, write in _SPELL.items():
        if spelling == "`…`" and not readers <= NPM:
            continue
        clashes = (Clash(hazard, at, readers & hazard.misread(spelling)) for hazard, at in hazards)
        refusal = Refusal(tuple(clash for clash in clashes if clash.readers))
        if not refusal.clashes:
            return write(value)
        refusals.append(refusal)
    return min(refusals, key=lambda refusal: len(refusal.readers))


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^"]+')
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _plain_json(value: str) -> str | None:
    """Return the same JSON without anything that a reader might misread; None for what is not JSON in UTF-8."""
    try:
        json.loads(value, parse_constant=_not_json)
        value.encode()
    except (ValueError, RecursionError):
        return None
    text = _TOKEN.sub(_token, value).strip()
    return f" {text}" if text.startswith('"') else text  # or a pair of quotes would be stripped


def _not_json(constant: str) -> None:
    raise ValueError(constant)


def _token(match: re.Match[str]) -> str:
    token = match[0]
    if not token.startswith('"'):
        return re.sub(r"[\r\n]+", " ", token)
    inner = re.sub(r"\\u[0-9a-fA-F]{4}|\\.|[^ -~]|['$`]", _character, token[1:-1], flags=re.DOTALL)
    return f'"{inner}"'


def _character(match: re.Match[str]) -> str:
    """One character of a JSON string, or an escape of one, as an escape by number."""
    text = match[0]
    if text.startswith("\\u"):
        return text
    character = _SHORT.get(text[1], text[1]) if text.startswith("\\") else text
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))

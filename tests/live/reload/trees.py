"""A project as a tree of texts, and what is known of it without running it. Touches no disk.

A module's text is a list of *blocks* with an empty line between them; the second one is ``VALUE = ...``.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Tree = Mapping[str, str]
"""Path, with slashes, to content."""

KIT = Path(__file__).with_name("kit.py").read_text()
TOPS = ("ant", "bee", "cat", "dog", "elk", "fox")
PARTS = ("one", "two", "ten")
FIRST_VALUE = 100_000
_VALUE = re.compile(r"^VALUE = (\d+)$", re.MULTILINE)
_ASIDE = ("lib/", "scripts/", "data/", "flags/")


class Chance:
    """Draws. With a ``random.Random`` of hypothesis, what it draws can be shrunk: simple things come first."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._numbers = itertools.count(1)

    def pick(self, options: Sequence[T]) -> T:
        return options[self._source.randint(0, len(options) - 1)]

    def number(self, least: int, most: int) -> int:
        return self._source.randint(least, most)

    def percent(self, share: int) -> bool:
        """True in so many of a hundred cases."""
        return self._source.randint(0, 99) >= 100 - share

    def shuffled(self, options: Sequence[T]) -> list[T]:
        rest = list(options)
        return [rest.pop(self.number(0, len(rest) - 1)) for _ in options]

    def new(self) -> int:
        """A number that was not given before, for names and values."""
        return next(self._numbers)

    def value(self) -> int:
        """A new value; all have the same number of digits, so that most edits keep a file's length."""
        return FIRST_VALUE + self.new()


def is_module(path: str) -> bool:
    """Whether a file is found by an import of its place in the tree."""
    return path.endswith(".py") and not path.startswith(_ASIDE)


def name_of(path: str) -> str:
    """The name that a module's file is imported by."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def modules(tree: Tree) -> list[str]:
    """The files of all modules."""
    return [path for path in sorted(tree) if is_module(path)]


def package_of(path: str) -> str:
    """The folder in which relative imports of a module begin; empty for a module at the top."""
    return path.rpartition("/")[0]


def blocks_of(text: str) -> list[str]:
    return text.strip("\n").split("\n\n")


def text_of(blocks: Sequence[str]) -> str:
    return "\n\n".join(blocks) + "\n"


def with_value(text: str, value: int) -> str:
    """The text with another value. A text without one, as of a broken module, gets it at the end."""
    if _VALUE.search(text) is None:
        return f"{text.rstrip()}\n\nVALUE = {value}\n"
    return _VALUE.sub(f"VALUE = {value}", text, count=1)


def changed(before: Tree, after: Tree) -> list[str]:
    """The paths that differ."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def without_line(text: str, line: int) -> str:
    """The text without the block that holds this line."""
    end, kept = 0, []
    for block in blocks_of(text):
        begin, end = end, end + block.count("\n") + 2
        if not begin < line <= end:
            kept.append(block)
    return text_of(kept)

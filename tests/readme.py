"""README as data, for the tests that hold what it says: its sections, and the blocks in them."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def section(title: str) -> str:
    """The text below a heading of the third level, up to the next heading."""
    found = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^###? )", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"README has no section {title!r}"
    return found[1]


def block(title: str, language: str) -> str:
    """The only fenced block of a language in a section."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"README's section {title!r} has {len(found)} blocks of {language}"
    return found[0]


def commands(text: str) -> list[str]:
    """What is to be typed: the indented lines, without comments."""
    lines = re.findall(r"^ {4}([^\s#].*)$", text, re.MULTILINE)
    return [re.split(r"\s{2,}#", line)[0].rstrip() for line in lines]

"""Reads JSON with comments and trailing commas, as VS Code and Zed do, and remembers where each value stands.

Pure: text in, nodes out. Changes nothing; ``patch`` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar, assert_never

from msgspec import Struct

_T = TypeVar("_T")

DEEPEST = 200
"""Levels of nesting that are read; editors give up at about this depth, too."""

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"[A-Za-z0-9_$.+-]+")


class JsoncError(ValueError):
    """The text is no JSON with comments. ``line`` and ``column`` count from 1."""

    def __init__(self, text: str, at: int, message: str) -> None:
        before = re.split(r"\r\n|\r|\n", text[:at])
        self.line = len(before)
        self.column = len(before[-1].removeprefix("\ufeff")) + 1
        self.message = message
        super().__init__(f"{self.line}:{self.column}: {message}")


class Scalar(Struct, frozen=True):
    """A string, number, true, false or null; its text is ``[start:end]``."""

    start: int
    end: int
    value: str | float | bool | None


class Member(Struct, frozen=True):
    """One ``key: value`` of an object, from the key on. ``comma``: where the comma behind it stands."""

    key: str
    start: int
    node: Node
    comma: int | None

    @property
    def end(self) -> int:
        return self.node.end


class Item(Struct, frozen=True):
    """One value of a list."""

    node: Node
    comma: int | None

    @property
    def start(self) -> int:
        return self.node.start

    @property
    def end(self) -> int:
        return self.node.end


class Object(Struct, frozen=True):
    """``{ … }``; ``end`` is behind the brace."""

    start: int
    end: int
    parts: tuple[Member, ...]

    def get(self, key: str) -> Node | None:
        """The value of a key; the last one counts where a key stands twice."""
        return next((member.node for member in reversed(self.parts) if member.key == key), None)


class List(Struct, frozen=True):
    """``[ … ]``; ``end`` is behind the bracket."""

    start: int
    end: int
    parts: tuple[Item, ...]


Node = Scalar | Object | List


def parse(text: str) -> Node | None:
    """Return the value that ``text`` holds; None when there are only spaces and comments. Raises ``JsoncError``."""
    reader = _Reader(text)
    reader.skip()
    if reader.at == len(text):
        return None
    node = reader.value(0)
    reader.skip()
    if reader.at != len(text):
        raise JsoncError(text, reader.at, "there is something behind the end of the document")
    return node


def decode(content: bytes) -> str:
    """Return the text of a file, with the byte order mark that it may have. Raises ``JsoncError``."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        good = content[: error.start].decode("utf-8")
        raise JsoncError(good, len(good), "the file is not UTF-8") from None


def value(node: Node) -> Any:
    """Return what a node means, in Python's own types."""
    match node:
        case Scalar():
            return node.value
        case Object():
            return {member.key: value(member.node) for member in node.parts}
        case List():
            return [value(item.node) for item in node.parts]
        case _:
            assert_never(node)


def tail(text: str, box: Object | List) -> int:
    """Where new parts of a list or object may go: behind its last part, comma or comment."""
    last = box.parts[-1] if box.parts else None
    behind = box.start + 1 if last is None else last.end if last.comma is None else last.comma + 1
    comments = list(_COMMENT.finditer(text, behind, box.end - 1))  # there is nothing else but spaces
    return comments[-1].end() if comments else behind


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 1 if text.startswith("\ufeff") else 0

    def skip(self) -> None:
        """Go over spaces and comments."""
        match = _SPACE.match(self._text, self.at)
        assert match is not None  # it matches nothing, too
        self.at = match.end()
        if self._text.startswith("/*", self.at):
            raise self._wrong("a comment that begins here does not end")

    def value(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise self._wrong(f"nested deeper than {DEEPEST} levels")
        match self._text[self.at : self.at + 1]:
            case "{":
                return self._object(depth)
            case "[":
                return self._list(depth)
            case '"':
                return self._scalar(_STRING, "a string that begins here does not end, or holds what none may hold")
            case _:
                return self._word_or_number()

    def _object(self, depth: int) -> Object:
        start = self.at

        def member() -> Member:
            begun = self.at
            if self._text[begun : begun + 1] != '"':
                raise self._wrong("expected a key in double quotes, or }")
            key = self._scalar(_STRING, "a key that begins here does not end, or holds what none may hold").value
            self.skip()
            if self._text[self.at : self.at + 1] != ":":
                raise self._wrong("expected a colon")
            self.at += 1
            self.skip()
            return Member(str(key), begun, self.value(depth + 1), self._comma("}"))

        parts = self._parts("}", member)
        return Object(start, self.at, parts)

    def _list(self, depth: int) -> List:
        start = self.at
        parts = self._parts("]", lambda: Item(self.value(depth + 1), self._comma("]")))
        return List(start, self.at, parts)

    def _parts(self, closing: str, part: Callable[[], _T]) -> tuple[_T, ...]:
        self.at += 1
        found: list[_T] = []
        self.skip()
        while self._text[self.at : self.at + 1] != closing:
            found.append(part())
            self.skip()
        self.at += 1
        return tuple(found)

    def _comma(self, closing: str) -> int | None:
        """The comma behind a part, or None before the end; a comma before the end is allowed."""
        self.skip()
        match self._text[self.at : self.at + 1]:
            case ",":
                self.at += 1
                return self.at - 1
            case found if found == closing:
                return None
            case _:
                raise self._wrong(f"expected a comma or {closing}")

    def _word_or_number(self) -> Scalar:
        word = _WORD.match(self._text, self.at)
        if word is None:
            raise self._wrong("expected a value")
        if word[0] in _WORDS:
            start, self.at = self.at, word.end()
            return Scalar(start, self.at, _WORDS[word[0]])
        if not _NUMBER.fullmatch(word[0]):
            raise self._wrong(f"{word[0]} is no value")
        return self._scalar(_NUMBER, "expected a value")

    def _scalar(self, form: re.Pattern[str], complaint: str) -> Scalar:
        match = form.match(self._text, self.at)
        if match is None:
            raise self._wrong(complaint)
        try:
            meant = json.loads(match[0])
        except ValueError:  # Python reads no numbers of thousands of digits
            raise self._wrong("a number that is too long") from None
        start, self.at = self.at, match.end()
        return Scalar(start, self.at, meant)

    def _wrong(self, message: str) -> JsoncError:
        return JsoncError(self._text, self.at, message)

"""Where every key of a TOML text stands, so that a mistake can name its line. (tomllib keeps no lines.)

``scan`` reads only what it needs to tell keys from values, of a text that tomllib has found valid. Knows no key of
devrun's but ``defaults``, whose keys stand in for those that an app does not set.
"""

from __future__ import annotations

import bisect
import json
import re
import tomllib
from collections.abc import Mapping

from msgspec import Struct, field

from devrun.errors import Mistake

KeyPath = tuple[str | int, ...]
"""Keys from the top of the file down; an index in a list (or in ``[[…]]``) counts from 0."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Places(Struct, frozen=True):
    """The lines of a file's keys. ``file`` is its name in messages."""

    file: str
    lines: Mapping[KeyPath, int] = field(default_factory=lambda: {(): 1})

    def line(self, key: KeyPath) -> int | None:
        """Return the line of ``key``, counted from 1; of what is around it where the file does not have it."""
        key = self.written(key)
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)

    def written(self, key: KeyPath) -> KeyPath:
        """Return the key that the file has for a value: in ``[defaults]`` for one that an app inherits."""
        default = ("defaults", *key[2:])
        inherits = len(key) > 2 and key[0] == "apps" and key not in self.lines and default in self.lines
        return default if inherits else key

    def mistake(self, key: KeyPath, found: str, expected: str = "", nearest: str | None = None) -> Mistake:
        """Return a mistake at ``key``: what was found there, what should be, and the valid name next to it."""
        return Mistake(self.file, self.line(key), dotted(self.written(key)), found, expected, nearest)


def dotted(key: KeyPath) -> str:
    """Return a key as TOML writes it: ``apps.api.port``, with quotes where they are needed."""
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in map(str, key))


def scan(text: str) -> dict[KeyPath, int]:
    """Return the line of every key and list item of a valid TOML text; the first line for the whole, ``()``."""
    return _Scanner(text).run()


_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
# The last alternative of a quote must not begin a longer one; a text in """ may end in up to two quotes of its own.
_STRING = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?!")'''
    r"""|'''.*?'''(?!')"""
    r"""|"(?:\\.|[^"\\])*"|'[^']*'""",
    re.DOTALL,
)
_OTHER = re.compile(r"[^,\]}#\n]*")


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._lengths: dict[KeyPath, int] = {}
        self._lines: dict[KeyPath, int] = {(): 1}

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._next(_BLANK) != "":
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None, f"not TOML at {self._at}"
        self._at = match.end()
        return match[0]

    def _next(self, blank: re.Pattern[str]) -> str:
        """Skip what is blank and return the character after it, unread."""
        self._skip(blank)
        return self._peek()

    def _line(self) -> int:
        return bisect.bisect_left(self._newlines, self._at) + 1

    def _header(self) -> KeyPath:
        """Read ``[a.b]`` or ``[[a.b]]``; return the path of the table that it opens."""
        line = self._line()
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        *outer, last = self._key()
        self._at += brackets
        path: KeyPath = ()
        for part in outer:
            path = self._newest((*path, part), line)
        path = (*path, last)
        if brackets == 2:
            self._lines.setdefault(path, line)
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = (*path, self._lengths[path] - 1)
        self._lines[path] = line
        return path

    def _newest(self, path: KeyPath, line: int) -> KeyPath:
        """A header goes on in the newest table of an array of tables."""
        self._lines.setdefault(path, line)
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _key(self) -> list[str]:
        """Read a dotted key and the blanks around it."""
        parts: list[str] = []
        while True:
            self._next(_SPACE)
            parts.append(_unquoted(self._skip(_KEY)))
            if self._next(_SPACE) != ".":
                return parts
            self._at += 1

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._next(_SPACE)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        match self._peek():
            case "[":
                self._list(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_OTHER)

    def _list(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while self._next(_BLANK) != "]":
            item = (*path, index)
            self._lines[item] = self._line()
            self._value(item)
            index += 1
            if self._next(_BLANK) == ",":
                self._at += 1
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._next(_BLANK) != "}":
            self._pair(path)
            if self._next(_BLANK) == ",":
                self._at += 1
        self._at += 1


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    value = tomllib.loads(f"key = {key}")["key"]
    assert isinstance(value, str)
    return value

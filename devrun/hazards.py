"""What in a value which reader of env files misreads, in which quotes. Data, with the reasons beside it.

Every entry comes from experiments with the real programs, which ``tests/readers`` repeats. How a value is written,
knowing this, is ``portable``'s.
"""

from __future__ import annotations

import re
from typing import Literal, assert_never

from msgspec import Struct

from devrun.consumers import EVERYBODY, Consumers

Spelling = Literal["'…'", '"…"', '"\\…"', "`…`"]
"""``'…'``, ``"…"`` and ``…`` in backticks hold the value as it is; the third one has a backslash before what a
shell would see."""

NPM: Consumers = frozenset({"dotenv", "dotenv-expand", "vite", "next", "node", "bun"})
_EXPANDERS: Consumers = frozenset({"dotenv-expand", "vite", "next", "bun"})
_SHELLS: Consumers = frozenset({"bash", "dash"})
_PYTHON: Consumers = frozenset({"python-dotenv", "pydantic-settings", "environs"})
_DJANGO: Consumers = frozenset({"django-environ"})
_RUBY: Consumers = frozenset({"ruby-dotenv"})
_DIRENV: Consumers = frozenset({"direnv"})
_RUST_AND_GO: Consumers = frozenset({"uv", "docker-compose"})
_LINE_READERS = _DIRENV | _DJANGO | _RUBY
_EXECUTOR: Consumers = frozenset({"dotenv-expand"})
_PLAIN: Consumers = frozenset({"dotenv", "node"})
_NODE: Consumers = frozenset({"node"})
_ARGUMENTS: Consumers = frozenset({"next", "bun"})
_UNIX: Consumers = frozenset({"bash", "dash", "systemd"})
_RAW: Consumers = _UNIX | _RUST_AND_GO


class Hazard(Struct, frozen=True):
    """Something in a value, and who misreads it in which spelling."""

    what: str
    pattern: re.Pattern[str]
    fate: str
    """What becomes of it there."""
    single: Consumers = frozenset()
    double: Consumers = frozenset()
    escaped: Consumers = frozenset()
    backtick: Consumers = frozenset()

    def misread(self, spelling: Spelling) -> Consumers:
        match spelling:
            case "'…'":
                return self.single
            case '"…"':
                return self.double
            case '"\\…"':
                return self.escaped
            case "`…`":
                return self.backtick
            case _:
                assert_never(spelling)


def _everywhere(what: str, pattern: str, fate: str, who: Consumers) -> Hazard:
    return Hazard(what, re.compile(pattern), fate, who, who, who, who)


HAZARDS = (
    _everywhere("a NUL character", "\0", "cannot be in a variable", EVERYBODY),
    _everywhere("a byte that is not UTF-8", "[\ud800-\udfff]", "cannot be read", EVERYBODY),
    # Quoted or not, they read the next line as a variable of its own: a value could set another variable.
    _everywhere("a line feed", "\n", "ends the value", _LINE_READERS),
    # They open the file as text, or end a line at it: it becomes a line feed or is lost.
    _everywhere("a carriage return", "\r", "ends the line, or is lost,", EVERYBODY - _RAW),
    # `str.splitlines` of Python ends a line at each of these.
    _everywhere("a line separator", "[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", "ends the line", _DJANGO),
    # Some find the last quote of the line instead, but only while nothing after it looks like a comment.
    Hazard("an apostrophe", re.compile("'"), "ends the value", single=EVERYBODY),
    Hazard("a double quote", re.compile('"'), "keeps the backslash that goes before it", double=EVERYBODY, escaped=NPM),
    Hazard(
        "a backtick",
        re.compile("`"),
        "is executed, ends the value or keeps the backslash that goes before it",
        double=_SHELLS,
        escaped=NPM | _PYTHON | _RUST_AND_GO,
        backtick=EVERYBODY,
    ),
    Hazard(
        "a pair of double quotes around it",
        re.compile(r'\A"(?:.*")?\Z', re.DOTALL),
        "is stripped",
        single=_DJANGO,
    ),
    # It escapes the closing quote; the value then runs on to a quote some lines below, where the rest of the line looks
    # like a comment. (The newest direnv and ruby-dotenv read quotes over several lines, too; so did Vite, before it had
    # node read its files. Those were not run.)
    Hazard(
        "a backslash at the end",
        re.compile(r"\\\Z"),
        "escapes the quote after it",
        single=EVERYBODY - _UNIX - _NODE - _DJANGO,
        double=EVERYBODY,
        backtick=NPM,
    ),
    Hazard("a doubled backslash", re.compile(r"\\\\"), "is halved", single=_PYTHON, double=_UNIX),
    Hazard(
        "a backslash",
        re.compile(r"\\"),
        "is dropped or doubled",
        double=_LINE_READERS | _RUST_AND_GO,
        escaped=NPM,
    ),
    Hazard("an escape of C", re.compile(r"\\[abfnrtv\\'\"]"), "is replaced", double=_PYTHON),
    # In `"\\n"` the first backslash goes, and then `\n` is a line feed.
    Hazard("\\n or \\r", re.compile(r"\\[nr]"), "becomes a line break", double=NPM, escaped=_DIRENV | _RUBY),
    Hazard(
        "a backslash before a backtick or a line feed",
        re.compile("\\\\[`\n]"),
        "is dropped",
        double=_UNIX,
    ),
    Hazard(
        "a backslash before a dollar sign",
        re.compile(r"\\\$"),
        "is dropped",
        single=_EXPANDERS,
        double=_EXPANDERS | _UNIX,
        backtick=_EXPANDERS,
    ),
    # Also in single quotes. A value that names its own key sends dotenv-expand 1000 into a loop without end.
    Hazard(
        "a dollar sign before a name",
        re.compile(r"\$[A-Za-z_]"),
        "is replaced by another variable",
        single=_EXPANDERS,
        double=_EXPANDERS | _RUBY,
        backtick=_EXPANDERS,
    ),
    Hazard(
        "a dollar sign before a brace",
        re.compile(r"\$\{"),
        "is replaced by another variable",
        single=_EXPANDERS | _PYTHON,
        double=_EXPANDERS | _PYTHON | _RUBY,
        backtick=_EXPANDERS,
    ),
    Hazard(
        "a dollar sign before a digit",
        re.compile(r"\$[0-9]"),
        "is replaced by an argument",
        single=_ARGUMENTS,
        double=_ARGUMENTS | _RUBY,
        backtick=_ARGUMENTS,
    ),
    Hazard(
        "a dollar sign before a parenthesis",
        re.compile(r"\$\("),
        "executes what follows",
        single=_EXECUTOR,
        double=_EXECUTOR | _RUBY,
        escaped=_EXECUTOR | _RUBY,
        backtick=_EXECUTOR,
    ),
    Hazard(
        "a dollar sign in front",
        re.compile(r"\A\$"),
        "makes it the name of another variable",
        single=_DJANGO,
        double=_DJANGO,
        escaped=_DJANGO,
    ),
    Hazard(
        "a dollar sign",
        re.compile(r"\$"),
        "is expanded, or keeps the backslash that goes before it,",
        double=_SHELLS | _DIRENV | _RUST_AND_GO,
        escaped=_PYTHON | _DIRENV | _PLAIN,
    ),
)

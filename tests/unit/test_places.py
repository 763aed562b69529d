from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devrun.places import KeyPath, Places, dotted, scan

TEXT = '''\
# a comment with [brackets] and "quotes"
name = "shop"   # another

[apps.api]
app = "main:app"
env = { A = "x}", "b.c" = 'y#', d.e = 1 }
watch = [  # a list
  "one", # with comments [
  """two
  lines]""",
  ["nested", { k = 1 }],
]
"quoted \\"key\\"" = 1
'lit.eral' = 2
a . b = 3

[[dotenv]]
path = ".env"

[[dotenv]] # second
path = """\\
  x"""
[dotenv.vars]
X = 1

[apps]
z = 1979-05-27 07:32:32
'''


def test_lines_of_a_file_with_everything() -> None:
    lines = scan(TEXT)
    assert set(lines) == set(paths(tomllib.loads(TEXT)))
    assert lines == {
        (): 1,
        ("name",): 2,
        ("apps",): 26,
        ("apps", "api"): 4,
        ("apps", "api", "app"): 5,
        ("apps", "api", "env"): 6,
        ("apps", "api", "env", "A"): 6,
        ("apps", "api", "env", "b.c"): 6,
        ("apps", "api", "env", "d"): 6,
        ("apps", "api", "env", "d", "e"): 6,
        ("apps", "api", "watch"): 7,
        ("apps", "api", "watch", 0): 8,
        ("apps", "api", "watch", 1): 9,
        ("apps", "api", "watch", 2): 11,
        ("apps", "api", "watch", 2, 0): 11,
        ("apps", "api", "watch", 2, 1): 11,
        ("apps", "api", "watch", 2, 1, "k"): 11,
        ("apps", "api", 'quoted "key"'): 13,
        ("apps", "api", "lit.eral"): 14,
        ("apps", "api", "a"): 15,
        ("apps", "api", "a", "b"): 15,
        ("dotenv",): 17,
        ("dotenv", 0): 17,
        ("dotenv", 0, "path"): 18,
        ("dotenv", 1): 20,
        ("dotenv", 1, "path"): 21,
        ("dotenv", 1, "vars"): 23,
        ("dotenv", 1, "vars", "X"): 24,
        ("apps", "z"): 27,
    }


@pytest.mark.parametrize(
    "string",
    [
        '""',
        "''",
        '""""""',
        "''''''",
        '"""a"""""',
        '""""a"""',
        "'''a'''''",
        "''''a'''",
        '"\\\\"',
        '"\\""',
        '"""\\""""',
        '"""\\\\"""',
        '"""""\\""""',
        '"""a\\\n   b = 1\n"""',
        "'''\n[x]\ny = 1\n\\'''",
        '"]"',
        "'# no comment'",
    ],
)
def test_the_end_of_every_kind_of_string_is_found(string: str) -> None:
    text = f"a = {string}\nb = [{string}, {string}]\nc = {{ d = {string} }}\n[e]\nf = 1\n"
    lines = scan(text)
    assert set(lines) == set(paths(tomllib.loads(text)))
    assert lines["e", "f"] == text.count("\n")


def test_an_empty_text_has_a_first_line() -> None:
    assert scan("") == {(): 1}
    assert scan("# only a comment") == {(): 1}


def test_a_key_that_the_file_lacks_stands_in_the_table_around_it() -> None:
    places = Places("devrun.toml", scan(TEXT))
    assert places.line(("apps", "api", "port")) == 4
    assert places.line(("apps", "web", "port")) == 26
    assert places.line(("reload", "engine")) == 1
    assert Places("devrun.toml").line(("name",)) == 1


def test_an_inherited_key_stands_in_the_defaults() -> None:
    places = Places("devrun.toml", scan('[defaults]\ncwd = "a"\nport = 1\n[apps.api]\napp = "a:b"\nport = 2\n'))
    assert places.line(("apps", "api", "cwd")) == 2
    assert places.line(("apps", "api", "port")) == 6
    assert (
        str(places.mistake(("apps", "api", "cwd"), "no such folder")) == "devrun.toml:2: defaults.cwd: no such folder"
    )


def test_a_mistake_says_everything() -> None:
    places = Places("devrun.toml", scan(TEXT))
    mistake = places.mistake(("dotenv", 1, "vars", "X"), "1", "a string", "Y")
    assert str(mistake) == "devrun.toml:24: dotenv.1.vars.X: 1; expected a string (did you mean 'Y'?)"


def test_keys_are_written_as_toml_writes_them() -> None:
    assert dotted(("apps", "my-api", "watch", 0)) == "apps.my-api.watch.0"
    assert dotted(("a.b", 'c"d', "e\nf", "ü", "")) == '"a.b"."c\\"d"."e\\nf"."ü".""'


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*path, index))


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path, value


# --- any TOML document, in any spelling -----------------------------------------------------------------------------

LINE = "@@"
"""Stands for the line that it is in, which is put there once the text is ready."""

SCALARS = [
    LINE,
    "true",
    "-1.5e3",
    "inf",
    "07:32:00.5",
    "1979-05-27 07:32:32Z",
    '"}],#="',
    "'\\'",
    '"\\\\"',
    '"""a"b""c"""""',
    '"""\n[x]\n# y\n"""',
    "'''\nz = '' ]\n'''",
    '"""\\\n  """',
]
keys = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,3}", fullmatch=True), st.text("ab.\"'\\#[]= \tü=\n", max_size=3))
values = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
tables = st.recursive(
    st.dictionaries(keys, values, max_size=3),
    lambda inner: st.dictionaries(keys, inner | values | st.lists(inner, min_size=1, max_size=3), max_size=4),
    max_leaves=10,
)


class Writer:
    """Writes a document in one of its many spellings."""

    def __init__(self, choice: random.Random) -> None:
        self.choice = choice
        self.text: list[str] = []

    def pick(self, *options: str) -> str:
        return self.choice.choice(options)

    def key(self, key: str) -> str:
        options = [json.dumps(key, ensure_ascii=self.choice.random() < 0.5)]
        if re.fullmatch(r"[A-Za-z0-9_-]+", key):
            options += [key] * 3
        if "'" not in key and "\n" not in key:
            options.append(f"'{key}'")
        return self.pick(*options)

    def dots(self, *path: str) -> str:
        return self.pick(".", " . ", ".\t").join(map(self.key, path))

    def value(self, value: Any) -> str:
        if isinstance(value, dict):
            pairs = [f"{self.pick('', ' ')}{self.pair((key,), item)}" for key, item in value.items()]
            return "{" + ",".join(pairs) + self.pick("", " ") + "}"
        if isinstance(value, list):
            blank = self.pick("", " ", "\n", " # ]\n\n\t")
            items = [f"{blank}{self.value(item)}{blank}" for item in value]
            return "[" + ",".join(items) + (self.pick("", ",") if items else "") + blank + "]"
        return str(value)

    def pair(self, path: tuple[str, ...], value: Any) -> str:
        if isinstance(value, dict) and len(value) == 1 and self.choice.random() < 0.5:
            ((key, item),) = value.items()
            return self.pair((*path, key), item)
        return f"{self.dots(*path)}{self.pick('=', ' = ')}{self.value(value)}"

    def table(self, path: tuple[str, ...], table: dict[str, Any]) -> None:
        inline: list[tuple[str, Any]] = []
        later: list[tuple[str, Any]] = []
        for key, value in table.items():
            tables = value if isinstance(value, list) and value else [value]
            headed = all(isinstance(one, dict) for one in tables) and self.choice.random() < 0.7
            (later if headed else inline).append((key, value))
        for key, value in inline:
            self.text.append(self.pick("", "  ") + self.pair((key,), value) + self.pick("", " ", "# ] = ["))
        for key, value in later:
            self.headed((*path, key), value)

    def headed(self, path: tuple[str, ...], value: Any) -> None:
        self.text.append(self.pick("", "\n", "# [comment]", "\t"))
        if isinstance(value, dict):
            self.text.append(f"{self.pick('', ' ')}[{self.dots(*path)}]")
            self.table(path, value)
            return
        for item in value:
            self.text.append(f"[[{self.pick('', ' ')}{self.dots(*path)}{self.pick('', ' ')}]]{self.pick('', ' # x')}")
            self.table(path, item)


def spelled(document: dict[str, Any], choice: random.Random) -> str:
    writer = Writer(choice)
    writer.table((), document)
    text = "\n".join(writer.text) + writer.pick("", "\n", "\n# end")
    lines = (line.replace(LINE, str(number)) for number, line in enumerate(text.split("\n"), 1))
    return writer.pick("\n", "\r\n").join(lines)


@settings(max_examples=60, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_any_document_in_any_spelling(document: dict[str, Any], choice: random.Random) -> None:
    text = spelled(document, choice)
    parsed = tomllib.loads(text)
    lines = scan(text)
    assert set(lines) == set(paths(parsed))
    for path, value in leaves(parsed):
        if type(value) is int:
            assert lines[path] == value

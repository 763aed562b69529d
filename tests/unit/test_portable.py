"""How a value is written, and why not. That the readers agree is held by ``tests/readers``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.consumers import EVERYBODY, ORDER, Consumer, listed
from devrun.hazards import HAZARDS
from devrun.naming import refuses_name, warnings
from devrun.portable import Refusal, spell


def who(*names: Consumer) -> frozenset[Consumer]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", ""),
        ("http://127.0.0.1:41507/v1", "http://127.0.0.1:41507/v1"),
        ("a=b", "a=b"),
        ("=b", "'=b'"),
        ("a b", "'a b'"),
        ("it's", '"it\'s"'),
        ("abc$", "'abc$'"),
        ("a $ b", "'a $ b'"),
        ("C:\\new", "'C:\\new'"),
        ("é", "'é'"),
    ],
)
def test_the_first_spelling_that_all_read(value: str, written: str) -> None:
    assert spell(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('{"a": "it\'s $5"}', '\'{"a": "it\\u0027s \\u00245"}\''),
        ('{"a": "plain"}', '\'{"a": "plain"}\''),  # as it is, where that is read
        ('{"q": "\\" \\\\ \\n \\/ \\u00e9 é🎉\'"}', None),
        ('"$HOME"', "' \"\\u0024HOME\"'"),
        ('{\r\n"a":\n[1,\n"b\'"]}', '\'{ "a": [1, "b\\u0027"]}\''),
        ('["\u2028"]', "'[\"\\u2028\"]'"),
    ],
)
def test_json_that_is_no_portable_text_is_written_as_the_same_json(value: str, written: str | None) -> None:
    spelled = spell(value)
    assert isinstance(spelled, str)
    assert written is None or spelled == written
    assert json.loads(spelled[1:-1]) == json.loads(value)


@pytest.mark.parametrize(
    "value", ["NaN$A", '{"a": NaN, "b": "$A"}', '["\udc80$"]', "[" * 100_000 + "'\"", '"$A', "'\"0"]
)
def test_what_is_not_json_is_refused_as_any_other_text(value: str) -> None:
    assert isinstance(spell(value), Refusal)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "cost$HOME",
            "a dollar sign before a name at character 5, which is replaced by another variable in dotenv-expand, vite, "
            "next and bun",
        ),
        ("a\n", "a line feed at character 2, which ends the value in django-environ, direnv and ruby-dotenv"),
        ("a\0", "a NUL character at character 2, which cannot be in a variable in every reader of env files"),
        ("a\x0b", "a line separator at character 2, which ends the line in django-environ"),
        (
            "$",
            "a dollar sign in front at character 1, which makes it the name of another variable in django-environ",
        ),
    ],
)
def test_a_refusal_says_what_where_and_who(value: str, said: str) -> None:
    refusal = spell(value)
    assert isinstance(refusal, Refusal)
    assert str(refusal) == said


@pytest.mark.parametrize(
    ("value", "readers", "written"),
    [
        ("$HOME", who("bash", "systemd", "python-dotenv"), "'$HOME'"),
        ("$HOME", who("vite", "next", "bun"), '"\\$HOME"'),
        ('it\'s "x"', who("vite", "dotenv", "node"), '`it\'s "x"`'),
        ('it\'s "x"', who("bash", "uv", "ruby-dotenv"), '"it\'s \\"x\\""'),
        ("a\nb", who("vite", "python-dotenv"), "'a\nb'"),
        ("a\\", who("dash"), "'a\\'"),
        ('{"a": "$5"}', who("bash"), '\'{"a": "$5"}\''),
    ],
)
def test_fewer_readers_allow_more(value: str, readers: frozenset[Consumer], written: str) -> None:
    assert spell(value, readers) == written


@given(st.text(st.sampled_from("a'\"`\\$#{ \n1(\r\u2028"), max_size=8), st.sets(st.sampled_from(ORDER), min_size=1))
def test_what_all_can_read_each_choice_can(value: str, some: set[Consumer]) -> None:
    if isinstance(spell(value), str):
        assert isinstance(spell(value, frozenset(some)), str)
    refusal = spell(value, frozenset(some))
    if isinstance(refusal, Refusal):
        assert refusal.readers and refusal.readers <= some


def test_the_table_knows_only_what_it_can_name() -> None:
    assert len({hazard.what for hazard in HAZARDS}) == len(HAZARDS)
    assert listed(EVERYBODY) == "every reader of env files"
    assert listed(who("vite")) == "vite"
    assert listed(who("next", "vite", "bash")) == "vite, next and bash"


def test_the_readme_names_every_reader() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text().replace("\n", " ")
    named = text.partition("It takes `")[2].partition("`.")[0]
    assert re.split("`, `|` and `", named) == list(ORDER)


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A.B", "A B", "É", "A\n"])
def test_what_is_no_name(name: str) -> None:
    assert refuses_name(name)


@pytest.mark.parametrize(
    ("name", "readers", "told"),
    [
        ("API_URL", EVERYBODY, []),
        ("constructor", EVERYBODY, ["breaks the reading of the whole file in dotenv-expand and vite"]),
        ("UID", EVERYBODY, ["ends the reading of the file in bash"]),
        ("UID", who("dash"), []),
        ("NODE_OPTIONS", who("node", "bash"), ["is obeyed in node"]),
        ("DOCKER_HOST", EVERYBODY, ["is obeyed in docker-compose"]),
        ("VITE_PATH", EVERYBODY, []),
    ],
)
def test_names_that_are_told(name: str, readers: frozenset[Consumer], told: list[str]) -> None:
    assert not refuses_name(name)
    assert list(warnings(name, readers)) == told


def test_a_name_of_the_environment_is_told_for_those_who_keep_it_and_those_who_replace_it() -> None:
    kept, replaced = warnings("PATH")
    assert kept.startswith("keeps the value that the environment has for it in dotenv, vite, next, node")
    assert replaced == "replaces that of the program in systemd, bash, dash and direnv"

"""What is told to win over devrun's variables, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.outputs.envfile import render
from devrun.outputs.shadows import assignments, in_environment, in_file, in_stronger, stronger

KEYS = ("API_URL", "API_PORT")
BLOCK = render({"API_URL": "http://127.0.0.1:1", "API_PORT": "1"})
ABOVE = "set here, too; some programs take this one and not devrun's further down"
BELOW = "set here, too, below devrun's lines: most programs take this one"


@pytest.mark.parametrize(
    ("name", "prefix", "others"),
    [
        (".env", "", (".env.local", ".env.development", ".env.development.local")),
        (".env", "NEXT_PUBLIC_", (".env.development", ".env.local", ".env.development.local")),
        (".env.local", "VITE_", (".env.development", ".env.development.local")),
        (".env.local", "NEXT_PUBLIC_", (".env.development.local",)),
        (".env.local", "REACT_APP_", (".env.development.local",)),
        (".env.development", "VITE_", (".env.development.local",)),
        (".env.development", "EXPO_PUBLIC_", (".env.local", ".env.development.local")),
        (".env.development.local", "VITE_", ()),
        (".env.staging", "", (".env.staging.local",)),
        (".env.staging.local", "", ()),
        ("config.env", "", ()),
        (".env.a.b", "", ()),
        (".environment", "", ()),
    ],
)
def test_the_files_that_win(name: str, prefix: str, others: tuple[str, ...]) -> None:
    assert stronger(name, prefix) == others


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", []),
        (b"A=1\n\n# B=2\n  export C='3\nD=4'\nE\n=5\nF=6", [(1, "A"), (4, "C"), (6, "E"), (8, "F")]),
        (b"\xef\xbb\xbfA=1\r\nB=2\rC=3", [(1, "A"), (2, "B"), (3, "C")]),
        (b"\xff\0=1\nA=2", [(2, "A")]),
    ],
)
def test_what_a_file_sets(text: bytes, found: list[tuple[int, str]]) -> None:
    assert [pair for pair in assignments(text) if pair[1].isascii() and "\0" not in pair[1]] == found


@given(st.binary(max_size=80))
def test_any_bytes_can_be_looked_at(content: bytes) -> None:
    for line, key in assignments(content):
        assert 1 <= line <= content.count(b"\n") + content.count(b"\r") + 1 and key


def test_the_users_own_lines_are_told_with_their_numbers() -> None:
    content = b"API_URL=mine\n" + BLOCK + b"OTHER=1\nAPI_PORT=mine\n"
    assert list(in_file(".env", content, KEYS)) == [
        f".env:1: API_URL is {ABOVE}",
        f".env:7: API_PORT is {BELOW}",
    ]
    assert list(in_file(".env", BLOCK + b"OTHER=1\n", KEYS)) == []


def test_before_there_is_a_block_every_line_will_be_below_it() -> None:
    assert list(in_file(".env", b"A=1\nAPI_URL=mine", KEYS)) == [f".env:2: API_URL is {BELOW}"]


def test_the_block_of_another_project_counts_as_lines_of_the_file() -> None:
    content = BLOCK + render({"API_URL": "x"}, "admin-1")
    assert list(in_file(".env", content, KEYS)) == [f".env:6: API_URL is {BELOW}"]
    assert list(in_file(".env", content, KEYS, "admin-1")) == [
        f".env:2: API_URL is {ABOVE}",
        f".env:3: API_PORT is {ABOVE}",
    ]


def test_a_stronger_file_is_told() -> None:
    files = {"web/.env.local": b"A=1\nAPI_URL=mine", "web/.env.development": b""}
    assert list(in_stronger("web/.env", files, KEYS)) == [
        "web/.env.local:2: API_URL is set here, too, and wins over web/.env"
    ]


def test_of_many_some_are_told_and_the_rest_counted() -> None:
    keys = [f"K{n}" for n in range(5)]
    content = "".join(f"{key}=1\n" for key in keys).encode()
    assert list(in_stronger(".env", {".env.local": content}, keys)) == [
        *(f".env.local:{n + 1}: K{n} is set here, too, and wins over .env" for n in range(3)),
        ".env.local: so are 2 more",
    ]


def test_a_commands_environment_is_told_where_it_says_something_else() -> None:
    variables = {"VITE_API_URL": "http://127.0.0.1:1", "VITE_API_PORT": "1"}
    environment = {"VITE_API_URL": "http://127.0.0.1:8000", "VITE_API_PORT": "1"}
    assert list(in_environment(".env", variables, "web", environment)) == [
        "web: VITE_API_URL is in its environment, too, with another value, and wins over .env"
    ]
    assert list(in_environment(".env", variables, "web", {})) == []

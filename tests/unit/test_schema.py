from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from devrun.errors import ConfigError
from devrun.parse import load, parse
from devrun.schema import schema, schema_text
from tests.unit.test_parse import FULL, KEYS, documents

TOP = Path(__file__).parents[2]
EXAMPLES = [TOP / "devrun.toml", *sorted(TOP.glob("examples/*/devrun.toml"))]
SCHEMA = schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def refused_by_schema(text: str) -> bool:
    return not VALIDATOR.is_valid(tomllib.loads(text))


def refused_by_parse(text: str) -> bool:
    try:
        parse(text, "devrun.toml")
    except ConfigError:
        return True
    return False


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from nodes(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, f"{path}/{index}")


# --- its form ---------------------------------------------------------------------------------------------------------


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert SCHEMA["title"] == "devrun.toml"
    assert SCHEMA["description"]
    assert json.loads(schema_text()) == SCHEMA
    assert schema_text().endswith("}\n")


def test_every_key_has_a_description() -> None:
    keys = [
        (f"{path}/{key}", value)
        for path, node in nodes({**SCHEMA, "else": None, "if": None})
        if node.get("type") == "object" and "properties" in node
        for key, value in node["properties"].items()
    ]
    assert len(keys) > 60
    assert [path for path, value in keys if not value.get("description")] == []


def test_no_table_takes_unknown_keys() -> None:
    tables = [(path, node) for path, node in nodes(SCHEMA) if "properties" in node and node.get("type") == "object"]
    assert len(tables) == 7
    assert [path for path, node in tables if node.get("additionalProperties") is not False] == []


def test_it_has_no_null_and_no_words_for_programmers() -> None:
    assert "null" not in schema_text()
    assert "``" not in schema_text()


# --- it and parse agree -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(TOP)))
def test_the_examples_are_valid(path: Path) -> None:
    assert not list(VALIDATOR.iter_errors(tomllib.loads(path.read_text())))
    load(path)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


VALID = [
    FULL,
    "[apps.api]\napp = 'a:b'",
    "[defaults]\napp = 'a:b'\n[apps.api]",
    "[defaults]\n[apps.api]\napp = 'a:b'",
    "[apps.api]\napp = 'a-b.c:d.e'\nuvicorn = { log_level = 5, headers = [['a', '']], forwarded_allow_ips = ['*'] }",
    "[apps.api]\napp = 'a:b'\nuvicorn = { http = 'own.http:Protocol', ssl_cert_reqs = 2, ws_ping_timeout = 3 }",
    "dotenv = []\n[apps.api]\napp = 'a:b'\nenv.A = ''\nport = 65535",
    "[apps.api]\napp = 'a:b'\n[reload]\npreload = 'off'",
]
APP = "[apps.api]\napp = 'a:b'\n"
INVALID = [
    "",
    "[apps]",
    "apps = 3",
    "apps.api = 3",
    "[apps.api]",
    "[defaults]\nport = 1\n[apps.api]",
    "[apps.Api]\napp = 'a:b'",
    "[apps.1api]\napp = 'a:b'",
    *(f"{line}\n{APP}" for line in ["name = ''", "name = 1", 'name = "a\\nb"', "titel = 'x'"]),
    *(f"[{table}]\n{APP}" for table in ["commands.web", "external.x", "unknown", "[reload]", "dotenv"]),
    *(f"[apps.api]\napp = {value}" for value in ["''", "'main'", "'a/b:c'", "'a:b:c'", "':b'", "3", "['a:b']"]),
    *(f"{APP}port = {value}" for value in ["-1", "65536", "'8000'", "'stick'", "true", "1.5", "[0]"]),
    *(f"{APP}host = {value}" for value in ["''", "'[::1]'", "'http://x'", "'a b'"]),
    *(f"{APP}env = {value}" for value in ["{ A = 1 }", "{ 1A = '' }", "{ 'A-B' = '' }", '{ A = "\\u0000" }', "['A']"]),
    *(f"{APP}{key} = ''" for key in ["cwd", "python", "env_file", "health", "open"]),
    *(
        f"{APP}{key} = 'x'"
        for key in ["factory", "watch", "ignore", "depends_on", "reload", "grace", "uvicorn", "prot"]
    ),
    *(f"{APP}{key} = ['']" for key in ["env_file", "watch", "ignore", "depends_on"]),
    *(f"{APP}grace = {value}" for value in ["-1", "601", "inf", "true"]),
    *(f"{APP}health = {value}" for value in ["'healthz'", "'/a b'", '"/\\u0000"', "true"]),
    *(f"{APP}uvicorn.{key} = 1" for key in ["host", "port", "uds", "fd", "reload", "workers", "backlog", "unknown"]),
    *(f"{APP}uvicorn.http = {value}" for value in ["'h1'", "''", "1", "'a:'"]),
    f"{APP}uvicorn.log_level = 'loud'",
    f"{APP}uvicorn.lifespan = 'maybe'",
    f"{APP}uvicorn.headers = [['a']]",
    f"{APP}uvicorn.headers = [['a', 'b', 'c']]",
    f"{APP}uvicorn.headers = {{ a = 'b' }}",
    f"{APP}uvicorn.ssl_cert_reqs = 3",
    f"{APP}uvicorn.limit_concurrency = 0",
    f"{APP}[defaults]\nprot = 1",
    f"{APP}[defaults]\nport = -1",
    *(f"{APP}[[dotenv]]\n{line}" for line in ["path = ''", "prefix = '1'", "only = 'api'", "vars.A = 1", "keep = 1"]),
    f"{APP}[[dotenv]]\ncolour = true",
    *(f"{APP}[compounds]\n{line}" for line in ["a = 'api'", "a = []", "A = ['api']", "a = [1]"]),
    *(f"{APP}[reload]\n{line}" for line in ["engine = 'thread'", "preload = 'on'", "preload = ['']", "x = 1"]),
    f"{APP}port = 1979-05-27",
]


@pytest.mark.parametrize("text", VALID)
def test_both_accept(text: str) -> None:
    assert not list(VALIDATOR.iter_errors(tomllib.loads(text)))
    assert not refused_by_parse(text)


@pytest.mark.parametrize("text", INVALID)
def test_both_refuse(text: str) -> None:
    assert refused_by_schema(text)
    assert refused_by_parse(text)


@settings(max_examples=60, deadline=None)
@given(documents(), st.sampled_from(KEYS))
def test_what_the_schema_refuses_parse_refuses(document: dict[str, Any], key: str) -> None:
    text = tomli_w.dumps({**document, key: document.get(key, 1)})
    assert refused_by_parse(text) or not refused_by_schema(text)

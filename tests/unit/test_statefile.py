from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from devrun.outputs.statefile import EnvFileRecord, StackRecord, files_in, parse, render
from devrun.plan import Endpoint

RECORD = StackRecord(
    stack="a1b2",
    name="shop",
    folder=Path("/home/me/shop"),
    pid=4711,
    created=1700000000.25,
    started=1700000001.5,
    endpoints=(Endpoint("api", "127.0.0.1", 41507), Endpoint("web", "::1", 443, "https")),
    env_files=(
        EnvFileRecord(Path("/home/me/shop/.env"), created=True, keep=False),
        EnvFileRecord(Path("/home/me/other/.env"), created=False, keep=True, owner="shop-1a2b3c4d"),
    ),
)

paths = st.binary(min_size=1, max_size=30).filter(lambda b: b"\0" not in b).map(lambda b: Path("/" + os.fsdecode(b)))
texts = st.text(st.characters(codec="utf-8"), max_size=20)
records = st.builds(
    StackRecord,
    stack=texts,
    name=texts,
    folder=paths,
    pid=st.integers(1, 2**31),
    created=st.floats(allow_nan=False),
    started=st.floats(allow_nan=False),
    endpoints=st.lists(
        st.builds(
            Endpoint,
            name=st.from_regex("[a-z][a-z0-9_-]*", fullmatch=True),
            host=st.sampled_from(["127.0.0.1", "::1", "localhost"]),
            port=st.integers(1, 65535),
            scheme=st.sampled_from(["http", "https"]),
        )
        | st.just(Endpoint("pay", "pay.example.com", 443, "https", "https://pay.example.com/v2")),
        max_size=3,
        unique_by=lambda endpoint: endpoint.name,
    ).map(tuple),
    env_files=st.lists(st.builds(EnvFileRecord, path=paths, created=st.booleans(), keep=st.booleans()), max_size=3).map(
        tuple
    ),
)


@given(records)
def test_what_is_written_is_read_back(record: StackRecord) -> None:
    assert parse(render(record)) == record


def test_the_form_is_fixed() -> None:
    assert render(RECORD).decode().splitlines() == [
        "version = 1",
        'stack = "a1b2"',
        'name = "shop"',
        'folder = "/home/me/shop"',
        "pid = 4711",
        "created = 1700000000.25",
        "started = 1700000001.5",
        "env_files = [",
        '    { path = "/home/me/shop/.env", created = true, keep = false, owner = "" },',
        '    { path = "/home/me/other/.env", created = false, keep = true, owner = "shop-1a2b3c4d" },',
        "]",
        "",
        "[endpoints.api]",
        'url = "http://127.0.0.1:41507"',
        'host = "127.0.0.1"',
        "port = 41507",
        "",
        "[endpoints.web]",
        'url = "https://[::1]:443"',
        'host = "::1"',
        "port = 443",
    ]


@given(st.binary(max_size=60) | texts.map(str.encode))
def test_a_foreign_file_is_none(content: bytes) -> None:
    assert parse(content) is None


@given(st.integers(0, len(render(RECORD)) - 1), st.binary(max_size=3))
def test_a_damaged_file_never_raises(at: int, noise: bytes) -> None:
    content = render(RECORD)
    parse(content[:at])
    parse(content[:at] + noise + content[at + len(noise) :])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1", "version = 2"),
        ("version = 1", 'version = "1"'),
        ("pid = 4711", "pid = true"),
        ("pid = 4711", ""),
        ("/home/me/shop/.env", ".env"),
        ("/home/me/shop/.env", "/home/\\u0000"),
        ("[endpoints.api]", "[endpoints]\nqueue = 1\n[endpoints.api]"),
        ("http://127", "http://[127"),
        ("version = 1", "x = " + "[" * 20000),
    ],
)
def test_a_record_with_a_wrong_field_is_none(old: str, new: str) -> None:
    text = render(RECORD).decode()
    assert old in text
    assert parse(text.replace(old, new).encode()) is None


def test_a_record_of_an_older_devrun_names_no_owner() -> None:
    text = render(RECORD).decode().replace(', owner = ""', "")
    assert parse(text.encode()) == RECORD
    assert parse(text.replace('"shop-1a2b3c4d"', "1").encode()) is None


def test_a_copied_project_means_its_own_files_alone() -> None:
    inside, outside = RECORD.env_files
    assert files_in(RECORD, RECORD.folder, moved=False) == RECORD.env_files
    # A copy beside the original: what is outside is the original's.
    copy = Path("/home/me/copy")
    assert files_in(RECORD, copy, moved=False) == (replace(inside, path=copy / ".env"),)
    # A copy of the whole tree: what is outside was copied, too.
    copy = Path("/tmp/me/shop")
    copies = (replace(inside, path=copy / ".env"), replace(outside, path=Path("/tmp/me/other/.env")))
    assert files_in(RECORD, copy, moved=False) == copies
    # Without a name it cannot be known whose the block in that file is.
    nameless = replace(RECORD, env_files=(inside, replace(outside, owner="")))
    assert files_in(nameless, copy, moved=False) == copies[:1]


def test_a_moved_project_means_its_files_outside_where_they_are() -> None:
    inside, outside = RECORD.env_files
    assert files_in(RECORD, Path("/home/me/new"), moved=True) == (
        replace(inside, path=Path("/home/me/new/.env")),
        outside,
    )

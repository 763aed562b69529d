"""What ``devrun url NAME`` reads with next to no imports is what the rest of devrun reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.lookup import endpoint_in, nearest_config
from devrun.outputs.statefile import EnvFileRecord, StackRecord, render
from devrun.plan import Endpoint

names = st.from_regex(r"[a-z][a-z0-9_-]*", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]))
endpoints = st.builds(
    Endpoint,
    names,
    st.sampled_from(["127.0.0.1", "::1", "192.168.1.7", "fe80::1%eth0", "localhost"]),
    st.integers(1, 65535),
    st.sampled_from(["http", "https"]),
)
records = st.builds(
    StackRecord,
    stack=texts,
    name=texts,
    folder=texts.map(lambda text: Path("/") / text.replace("\0", "")),
    pid=st.integers(1, 2**22),
    created=st.floats(0, 1e9),
    started=st.floats(0, 1e9),
    endpoints=st.lists(endpoints, unique_by=lambda endpoint: endpoint.name).map(tuple),
    env_files=st.just((EnvFileRecord(Path("/shop/.env"), True, False),)),
)


@given(records, names)
def test_it_finds_what_was_written(record: StackRecord, other: str) -> None:
    state = render(record)
    for endpoint in record.endpoints:
        assert endpoint_in(state, endpoint.name) == (endpoint.url, str(endpoint.port))
    assert other in {endpoint.name for endpoint in record.endpoints} or endpoint_in(state, other) is None


@given(records, st.binary(), st.integers(0), st.integers(0, 50))
def test_no_damage_of_the_file_raises(record: StackRecord, dirt: bytes, at: int, length: int) -> None:
    state = render(record)
    at %= len(state) + 1
    damaged = state[:at] + dirt + state[at + length :]
    for endpoint in record.endpoints:
        endpoint_in(damaged, endpoint.name)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b'version = 2\n\n[endpoints.api]\nurl = "u"\nhost = "h"\nport = 1\n',
        b'version = 1\n\n[endpoints.api]\nhost = "h"\nurl = "u"\nport = 1\n',
        b'version = 1\n\n[endpoints.api]\nurl = "\xff"\nhost = "h"\nport = 1\n',
        b'version = 1\n\n[endpoints.api]\nurl = "u"\nhost = "h"\nport = 1',
        b'version = 1\n\n[endpoints.api]\nurl = "u"\n',
        b'version = 1\n\n[endpoints.apis]\nurl = "u"\nhost = "h"\nport = 1\n',
    ],
)
def test_what_is_not_plain_is_left_to_others(state: bytes) -> None:
    assert endpoint_in(state, "api") is None


def test_the_nearest_config_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert nearest_config(str(inner)) is None
    (tmp_path / "devrun.toml").touch()
    assert nearest_config(str(inner)) == str(tmp_path / "devrun.toml")
    (inner / "devrun.toml").symlink_to("nowhere")
    assert nearest_config(str(inner)) == str(inner / "devrun.toml")

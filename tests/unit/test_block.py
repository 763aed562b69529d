"""The bytes around the managed block are the user's, whatever they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from devrun.outputs.block import begin, end, holds, is_only_blocks, owner_of, put, take
from devrun.outputs.envfile import render

ADMIN = "admin-1a2b3c4d"
BEGIN, END = begin(), end()
BLOCK = render({"API_URL": "http://127.0.0.1:41507"})
OTHER = render({"API_URL": "http://127.0.0.1:9", "API_PORT": "9"})
ADMINS = render({"API_URL": "http://127.0.0.1:7"}, ADMIN)
BOM = b"\xef\xbb\xbf"

pieces = st.sampled_from(
    [BEGIN, END, BEGIN + b"\n", END + b"\n", BEGIN + b"\r\n", END + b"\r\n", BLOCK, BOM, b"\n", b"\r\n", b"\r", b" "]
    + [b"KEY=value\n", b"Q='open\n", b'D="open', b"# comment", ADMINS, begin(ADMIN) + b"\n", end(ADMIN) + b"\n"]
)
contents = st.lists(pieces | st.binary(max_size=12), max_size=12).map(b"".join)
MANY = settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@given(contents)
@MANY
def test_taking_the_block_out_gives_back_the_very_bytes(content: bytes) -> None:
    assume(not holds(content))
    installed = put(content, BLOCK)
    assert holds(installed)
    assert take(installed) == content
    assert take(put(installed, OTHER)) == content


@given(contents)
@MANY
def test_putting_replaces_whatever_blocks_there_were(content: bytes) -> None:
    assert take(put(content, BLOCK)) == take(content)
    assert put(content, BLOCK).count(BLOCK) >= 1
    assert put(put(content, OTHER), BLOCK) == put(content, BLOCK)


@given(contents, st.lists(st.tuples(st.sampled_from([BLOCK, OTHER]), contents, contents), max_size=4))
@MANY
def test_the_bytes_around_the_block_stay_through_edits_and_changes(
    before: bytes, turns: list[tuple[bytes, bytes, bytes]]
) -> None:
    """Up, then in turn edits above and below the block and another block, then down."""
    assume(not holds(before))
    bom = BOM if before.startswith(BOM) else b""
    above, block, below = bom, BLOCK, before[len(bom) :]
    assert put(before, BLOCK) == above + block + below
    for other, more_above, more_below in turns:
        above, below = above + more_above + b"\n", more_below + below
        assume(not holds(above + below))
        assert put(above + block + below, other) == above + other + below
        block = other
    assert take(above + block + below) == above + below


@pytest.mark.parametrize(
    ("content", "installed"),
    [
        (b"", BLOCK),
        (b"A=1", BLOCK + b"A=1"),
        (b"A=1\r\n", BLOCK + b"A=1\r\n"),
        (BOM + b"A=1\n", BOM + BLOCK + b"A=1\n"),
        (BOM, BOM + BLOCK),
        (BEGIN + b"\nA=1\n", BLOCK + BEGIN + b"\nA=1\n"),
        (END + b"\n" + BEGIN + b"\n", BLOCK + END + b"\n" + BEGIN + b"\n"),
        (b" " + BEGIN + b"\n" + END + b"\n", BLOCK + b" " + BEGIN + b"\n" + END + b"\n"),
        (BEGIN + b" \n" + END + b"\n", BLOCK + BEGIN + b" \n" + END + b"\n"),
        (b"A=1\n" + OTHER + b"B=2", b"A=1\n" + BLOCK + b"B=2"),
        (BOM + OTHER + b"B=2", BOM + BLOCK + b"B=2"),
        (b"A=1\r\n" + OTHER.replace(b"\n", b"\r\n") + b"B=2\r\n", b"A=1\r\n" + BLOCK + b"B=2\r\n"),
        (b"A=1\n" + OTHER.rstrip(b"\n"), b"A=1\n" + BLOCK),
        (b"A=1\n" + OTHER + b"B=2\n" + OTHER + b"C=3\n", b"A=1\n" + BLOCK + b"B=2\nC=3\n"),
        (BEGIN + b"\nA=1\n" + OTHER + b"B=2\n", BEGIN + b"\nA=1\n" + BLOCK + b"B=2\n"),
        (BEGIN + b"\nA=1\n" + OTHER + b"B=2\n" + END + b"\nC=3\n", BLOCK + b"C=3\n"),
    ],
)
def test_where_the_block_goes(content: bytes, installed: bytes) -> None:
    assert put(content, BLOCK) == installed


def test_the_lines_of_a_block() -> None:
    assert BEGIN == b"# >>> devrun >>> written by devrun while the stack is up; edits inside are lost"
    assert END == b"# <<< devrun <<<"
    assert ADMINS == (
        b"# >>> devrun admin-1a2b3c4d >>> written by devrun while the stack is up; edits inside are lost\n"
        b"API_URL=http://127.0.0.1:7\n"
        b"# <<< devrun admin-1a2b3c4d <<<\n"
    )


@given(contents)
@MANY
def test_each_owner_has_a_block_of_its_own(content: bytes) -> None:
    assume(not holds(content) and not holds(content, ADMIN))
    both = put(put(content, BLOCK), ADMINS, ADMIN)
    assert BLOCK in both and ADMINS in both
    assert take(take(both), ADMIN) == take(take(both, ADMIN)) == content
    assert take(put(both, OTHER), ADMIN) == put(content, OTHER)
    assert put(put(content, BLOCK), ADMINS, ADMIN) == put(both, BLOCK)


def test_the_block_of_another_owner_is_text_like_any_other() -> None:
    assert put(ADMINS, BLOCK) == BLOCK + ADMINS
    assert take(BEGIN + b"\n" + ADMINS) == BEGIN + b"\n" + ADMINS
    assert not holds(BEGIN + b"\n" + end(ADMIN) + b"\n")
    assert put(OTHER + ADMINS + b"A=1", BLOCK) == BLOCK + ADMINS + b"A=1"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", False),
        (BLOCK, True),
        (BLOCK + ADMINS, True),
        (ADMINS.rstrip(b"\n"), True),
        (BLOCK + b"\n", False),
        (BOM + BLOCK, False),
        (BEGIN + b"\n", False),
        (BEGIN + b"\n" + BLOCK, False),
    ],
)
def test_a_file_with_nothing_but_blocks(content: bytes, expected: bool) -> None:
    assert is_only_blocks(content) is expected


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_any_folder_has_a_name_that_fits(name: bytes) -> None:
    owner = owner_of(Path("/home/me") / name.decode("utf-8", "surrogateescape"))
    text = render({"A": "1"}, owner)
    assert holds(text, owner) and not holds(text) and take(text, owner) == b""
    assert text.decode("ascii").isprintable() or text.count(b"\n") == 3


def test_two_worktrees_have_two_names() -> None:
    assert owner_of(Path("/one/shop")) != owner_of(Path("/two/shop"))
    assert owner_of(Path("/one/shop")).startswith("shop-")

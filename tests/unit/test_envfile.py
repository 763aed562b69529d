from __future__ import annotations

import io
import shlex
import string
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from devrun.errors import DevrunError
from devrun.outputs.envfile import BEGIN, END, holds, put, render, take

BLOCK = render({"API_URL": "http://127.0.0.1:41507"})
OTHER = render({"API_URL": "http://127.0.0.1:9", "API_PORT": "9"})
BOM = b"\xef\xbb\xbf"
SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture)

pieces = st.sampled_from(
    [BEGIN, END, BEGIN + b"\n", END + b"\n", BEGIN + b"\r\n", END + b"\r\n", BLOCK, BOM, b"\n", b"\r\n", b"\r", b" "]
    + [b"KEY=value\n", b"Q='open\n", b'D="open', b"# comment"]
)
contents = st.lists(pieces | st.binary(max_size=12), max_size=12).map(b"".join)

SPECIAL = string.ascii_letters + string.digits + " \t'\"`\\$#=&;|(){}[]<>*?!^~_./:@%+,-éß日🎉\u00a0"
values = st.text(alphabet=SPECIAL, max_size=12) | st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=8
)


def accepted(value: str) -> bool:
    try:
        render({"K": value})
    except DevrunError:
        return False
    return True


def test_the_block_is_as_documented() -> None:
    assert render({"API_URL": "http://127.0.0.1:41507", "API_HOST": "127.0.0.1"}) == (
        b"# >>> devrun >>> written by devrun while the stack is up; edits inside are lost\n"
        b"API_URL=http://127.0.0.1:41507\n"
        b"API_HOST=127.0.0.1\n"
        b"# <<< devrun <<<\n"
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", ""),
        ("a=b", "a=b"),
        ("=b", "'=b'"),
        ("http://[::1]:80", "'http://[::1]:80'"),
        ("a b", "'a b'"),
        ("it's", '"it\'s"'),
        ('say "x" twice', "'say \"x\" twice'"),
        ("C:\\Users\\new", "'C:\\Users\\new'"),
        ("abc$", "'abc$'"),
        ("a $ b", "'a $ b'"),
        ("é", "'é'"),
    ],
)
def test_a_value_is_spelled_as_all_readers_take_it(value: str, written: str) -> None:
    assert render({"K": value}).splitlines()[1].decode() == f"K={written}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\nINJECTED=1", "a line break"),
        ("a\r", "a line break"),
        ("a\0", "NUL"),
        ("a\udc80", "not UTF-8"),
        ("a\u2028b", "line break"),
        ("$HOME", "dollar"),
        ("$", "dollar"),
        ("cost$5", "dollar"),
        ("a${B}", "dollar"),
        ("a$(id)", "dollar"),
        ("a\\$", "dollar"),
        ("a\\\\b", "backslash"),
        ("a\\", "backslash"),
        ('"x"', "double quotes"),
        ('it\'s "x"', "apostrophe"),
        ("`it's", "apostrophe"),
    ],
)
def test_a_value_without_a_portable_spelling_is_refused_by_name(value: str, reason: str) -> None:
    with pytest.raises(DevrunError) as caught:
        render({"FINE": "1", "SHOP_KEY": value})
    assert "SHOP_KEY" in caught.value.message and reason in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize("key", ["", "1A", "A-B", "A B", "A=B", "É", "A\n"])
def test_a_name_that_is_no_variable_is_refused(key: str) -> None:
    with pytest.raises(DevrunError, match="name"):
        render({key: "x"})


@given(st.lists(values.filter(accepted), min_size=1, max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_python_dotenv_reads_back_every_accepted_value(wanted: list[str]) -> None:
    variables = {f"K{i}": value for i, value in enumerate(wanted)}
    text = put(b"AFTER='open\n", render(variables)).decode()
    read = dotenv_values(stream=io.StringIO(text, newline=""))
    assert {key: read[key] for key in variables} == variables


@given(st.lists(values.filter(accepted), min_size=100, max_size=200))
@settings(deadline=None, max_examples=5, suppress_health_check=SLOW)
def test_a_shell_reads_back_every_accepted_value(tmp_path: Path, wanted: list[str]) -> None:
    variables = {f"K{i}": value for i, value in enumerate(wanted)}
    (tmp_path / ".env").write_bytes(render(variables))
    script = f". {shlex.quote(str(tmp_path / '.env'))}; "
    script += "".join(f"printf '%s\\0' \"$K{i}\"; " for i in range(len(wanted)))
    output = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout
    assert output.decode().split("\0")[:-1] == wanted


@given(contents)
def test_taking_the_block_out_gives_back_the_very_bytes(content: bytes) -> None:
    assume(not holds(content))
    installed = put(content, BLOCK)
    assert holds(installed)
    assert take(installed) == content
    assert take(put(installed, OTHER)) == content


@given(contents)
def test_putting_replaces_whatever_blocks_there_were(content: bytes) -> None:
    assert take(put(content, BLOCK)) == take(content)
    assert put(content, BLOCK).count(BLOCK) >= 1
    assert put(put(content, OTHER), BLOCK) == put(content, BLOCK)


@given(contents, contents, contents)
def test_edits_around_the_block_stay(before: bytes, above: bytes, below: bytes) -> None:
    assume(not holds(above + b"\n" + before + b"\n" + below))
    installed = put(before, BLOCK)
    if before.startswith(BOM):
        return
    assert take(above + b"\n" + installed + b"\n" + below) == above + b"\n" + before + b"\n" + below


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

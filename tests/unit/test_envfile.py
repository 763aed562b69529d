from __future__ import annotations

import io
import string

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devrun.errors import DevrunError
from devrun.outputs.block import put
from devrun.outputs.envfile import render

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
        ("a\nINJECTED=1", "a line feed"),
        ("a\r", "a carriage return"),
        ("a\0", "NUL"),
        ("a\udc80", "not UTF-8"),
        ("a\u2028b", "a line separator"),
        ("$HOME", "dollar"),
        ("$", "dollar"),
        ("cost$5", "dollar"),
        ("a${B}", "dollar"),
        ("a$(id)", "dollar"),
        ("a\\$", "dollar"),
        ("a\\\\b", "backslash"),
        ("a\\", "backslash"),
        ('"x" and "y"', "double quotes"),
        ('it\'s "x"', "a double quote at character 6"),
        ("`it's", "backtick"),
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

"""What is left of other people's text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.outputs.text import LONGEST_LINE, log_text, one_line, plain_text

RED, RESET = "\x1b[31m", "\x1b[0m"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("a\tb", "a\tb"),
        (f"{RED}red", f"{RED}red{RESET}"),
        ("\x1b[1;38:2::9:9:9mfine\x1b[m", f"\x1b[1;38:2::9:9:9mfine\x1b[m{RESET}"),
        ("up\x1b[2A\x1b[Jdown\x1b[?25l", "updown"),
        ("\x1b[>4;2mnot a colour", "not a colour"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ends", ""),
        ("\x1bPdevice\x1b\\text\x1b_app\x1b\\", "text"),
        ("\x1b7save\x1b8\x1bc\x1b(B", "save"),
        ("\x9b2Jeight bit\x9d", "eight bit"),
        ("bell\x07 back\x08 nul\x00 form\x0c del\x7f", "bell back nul form del"),
        ("cut short \x1b[3", "cut short "),
        ("cut short \x1b", "cut short "),
        (" 10%\r 50%\r100%", "100%"),
        (" 10%\r100%\r", "100%"),
        ("dos\r", "dos"),
    ],
)
def test_log_text_keeps_colours_and_nothing_else(raw: str, shown: str) -> None:
    assert log_text(raw, colour=True) == shown


def test_log_text_without_colour() -> None:
    assert log_text(f"{RED}red{RESET} and\x1b[K plain", colour=False) == "red and plain"


def test_a_very_long_line_is_cut() -> None:
    assert log_text("x" * 1_000_000, colour=True) == "x" * LONGEST_LINE + " (line cut)"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a b.py", "a b.py"),
        ("two\nlines\r\n", "two lines"),
        ("odd\x1b[2Jname\x00", "odd\ufffd[2Jname\ufffd"),
        ("not utf-8: \udcff", "not utf-8: \ufffd"),
        ("\u2028a\u2029b\x85c", "a b c"),
    ],
)
def test_one_line(raw: str, shown: str) -> None:
    assert one_line(raw) == shown


anything = st.text(st.characters(codec=None) | st.sampled_from("\x1b[]m;0\r\n\t\x9b\x07\\?"))


@given(anything)
def test_one_line_is_one_line_that_can_be_encoded(text: str) -> None:
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert not re.search("[\x00-\x1f\x7f-\x9f]", shown)


@given(anything)
def test_log_text_holds_no_control_but_colours_and_tabs(text: str) -> None:
    assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f]", log_text(text, colour=False))
    without_colours = re.sub(r"\x1b\[[0-9;:]*m", "", log_text(text, colour=True))
    assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f]", without_colours)


def test_a_log_file_holds_the_whole_line_without_control_sequences() -> None:
    long = "x" * (LONGEST_LINE + 1)
    assert plain_text(long) == long
    assert plain_text("\x1b[32mINFO\x1b[0m:\ttwo\x1b]0;title\x07 \rlast") == "INFO:\ttwo last"

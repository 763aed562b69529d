"""The forms of ``devrun env`` as text; that shells take them so is held by ``tests/live/test_env.py``."""

from __future__ import annotations

import json

import pytest

from devrun.errors import DevrunError
from devrun.outputs.shells import Format, render


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("shell", "export A='it'\\''s \\ $X'\nexport B=''\n"),
        ("fish", "set -gx A 'it\\'s \\\\ $X';\nset -gx B '';\n"),
        ("powershell", "$env:A = 'it''s \\ $X'\n$env:B = ''\n"),
        ("json", '{\n  "A": "it\'s \\\\ $X",\n  "B": ""\n}\n'),
    ],
)
def test_the_forms(form: Format, text: str) -> None:
    assert render({"A": "it's \\ $X", "B": ""}, form) == text


def test_the_form_of_an_env_file() -> None:
    assert render({"A_URL": "http://127.0.0.1:1", "B": "it's"}, "dotenv") == 'A_URL=http://127.0.0.1:1\nB="it\'s"\n'
    with pytest.raises(DevrunError, match="a dollar sign before a name"):
        render({"A": "$B"}, "dotenv")


def test_powershell_ends_a_text_at_any_apostrophe() -> None:
    assert render({"A": "\u2018a\u2019\u201a\u201b\u201c"}, "powershell") == (
        "$env:A = '\u2018\u2018a\u2019\u2019\u201a\u201a\u201b\u201b\u201c'\n"
    )


def test_json_is_read_in_any_encoding() -> None:
    text = render({"A": "é🎉\udc80\n"}, "json")
    assert text.isascii() and json.loads(text) == {"A": "é🎉\udc80\n"}


@pytest.mark.parametrize("form", ["dotenv", "shell", "fish", "powershell", "json"])
@pytest.mark.parametrize(("name", "value"), [("A;B", "x"), ("", "x"), ("A\n", "x"), ("A", "x\0")])
def test_what_no_environment_holds_is_refused(form: Format, name: str, value: str) -> None:
    with pytest.raises(DevrunError):
        render({name: value}, form)

"""The editor of JSON with comments: what is not devrun's stays, byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devrun.editors import patch
from devrun.editors.jsonc import JsoncError, Scalar, decode, parse, value

OWN = "devrun: "
SIGN = "written by devrun"


def own(item: Any) -> bool:
    return isinstance(item, dict) and str(item.get("label", "")).startswith(OWN) and item.get("detail") == SIGN


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {"label": OWN + name, **more, "detail": SIGN}


def put(text: str, *wanted: dict[str, Any]) -> str:
    return patch.put_items(text, ["tasks"], "label", wanted, own)


def meant(text: str) -> Any:
    node = parse(text)
    return None if node is None else value(node)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("\ufeff \t\r\n// only a comment", None),
        ('\ufeff{"a": 1}', {"a": 1}),
        ("[1, -2.5e3, true, false, null,]", [1, -2500.0, True, False, None]),
        ('{"a": {"b": [ ], }, /* c */ "d\\u00e9\\n": "//",}', {"a": {"b": []}, "dé\n": "//"}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("// before\n[ // in\n1 /* behind */ , 2 // last\n] // after", [1, 2]),
    ],
)
def test_it_reads_what_editors_read(text: str, expected: Any) -> None:
    assert meant(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("{", "1:2", "expected a key in double quotes, or }"),
        ("[", "1:2", "expected a value"),
        ("[1 2]", "1:4", "expected a comma or ]"),
        ('{"a": 1\n "b": 2}', "2:2", "expected a comma or }"),
        ('{"a" 1}', "1:6", "expected a colon"),
        ("{a: 1}", "1:2", "expected a key in double quotes, or }"),
        ('{"a: 1}', "1:2", "a key that begins here does not end, or holds what none may hold"),
        ('\ufeff["a\n"]', "1:2", "a string that begins here does not end, or holds what none may hold"),
        ("{}\r\n\r\n {}", "3:2", "there is something behind the end of the document"),
        ("[/* \n", "1:2", "a comment that begins here does not end"),
        ("[01]", "1:2", "01 is no value"),
        ("[undefined]", "1:2", "undefined is no value"),
        ("[,]", "1:2", "expected a value"),
        ("[1,,]", "1:4", "expected a value"),
        ("['a']", "1:2", "expected a value"),
        ("[" * 300, "1:202", "nested deeper than 200 levels"),
        ("[" + "1" * 5000 + "]", "1:2", "a number that is too long"),
    ],
)
def test_what_it_cannot_read_is_told_with_line_and_column(text: str, place: str, message: str) -> None:
    with pytest.raises(JsoncError) as caught:
        parse(text)
    assert str(caught.value) == f"{place}: {message}"


def test_bytes_that_are_no_utf_8() -> None:
    assert decode("\ufeffé".encode()) == "\ufeffé"
    with pytest.raises(JsoncError, match="^2:3: the file is not UTF-8$"):
        decode(b"{\n  \xff}")


# --- putting in -------------------------------------------------------------------------------------------------------


def test_a_new_file() -> None:
    text = put("", entry("up"))
    assert text == '{\n  "tasks": [{"label": "devrun: up", "detail": "written by devrun"}]\n}\n'
    assert put(text, entry("up")) == text


def test_a_file_of_comments_alone() -> None:
    assert put("// mine", entry("up")).startswith("// mine\n{")
    assert put("\ufeff", entry("up")).startswith("\ufeff{")


MINE = """\
{
\t// my tasks
\t"version": "2.0.0",
\t"tasks": [
\t\t{"label": "mine"}  // the only one
\t\t// {"label": "off"}
\t]
}"""


def test_an_entry_comes_behind_the_last_comment_in_the_style_of_the_file() -> None:
    assert put(MINE, entry("up")) == MINE.replace('{"label": "mine"}', '{"label": "mine"},').replace(
        'off"}\n', 'off"}\n\t\t{"label": "devrun: up", "detail": "written by devrun"}\n'
    )


def test_a_comma_at_the_end_stays_the_fashion() -> None:
    text = '{\r\n    "tasks": [\r\n        {"label": "a"},\r\n    ],\r\n}\r\n'
    line = '        {"label": "devrun: up", "detail": "written by devrun"},\r\n'
    assert put(text, entry("up")) == text.replace("    ],", line + "    ],")


def test_a_list_that_is_not_there_yet() -> None:
    assert put('{\n    "version": "2.0.0"\n}\n', entry("up")) == (
        '{\n    "version": "2.0.0",\n'
        '    "tasks": [{"label": "devrun: up", "detail": "written by devrun"}]\n}\n'
    )  # fmt: skip
    assert meant(put("{}", entry("up"))) == {"tasks": [entry("up")]}


def test_a_long_entry_takes_several_lines() -> None:
    text = put('{\n    "tasks": []\n}\n', entry("up", args=["x" * 60, "y" * 60], empty=[]))
    assert text.splitlines() == [
        "{",
        '    "tasks": [',
        "        {",
        '            "label": "devrun: up",',
        '            "args": [',
        f'                "{"x" * 60}",',
        f'                "{"y" * 60}"',
        "            ],",
        '            "empty": [],',
        '            "detail": "written by devrun"',
        "        }",
        "    ]",
        "}",
    ]


def test_an_entry_that_changed_is_replaced_where_it_stands() -> None:
    text = '{"tasks": [\n  {"label": "devrun: up"}, // first\n  {"label": "mine"}\n]}'
    assert put(text, entry("up")) == text.replace(
        '{"label": "devrun: up"}', '{"label": "devrun: up", "detail": "written by devrun"}'
    )


def test_an_entry_that_means_the_same_is_not_touched() -> None:
    text = '{"tasks": [{ "detail" : "written by devrun", /* ! */ "label": "devrun: up", }]}'
    assert put(text, entry("up")) == text


def test_true_is_not_one() -> None:
    assert meant(put('{"tasks": [{"label": "devrun: up", "a": 1}]}', {"label": "devrun: up", "a": True})) == {
        "tasks": [{"label": "devrun: up", "a": True}]
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[\n  OLD,\n  {"label": "a"}\n]', '[\n  {"label": "a"}\n]'),
        ('[\n  {"label": "a"},\n  OLD\n]', '[\n  {"label": "a"}\n]'),
        ('[\r\n  {"label": "a"}, // a\r\n  OLD // old\r\n]', '[\r\n  {"label": "a"} // a\r\n   // old\r\n]'),
        ('[OLD, {"label": "a"}]', '[ {"label": "a"}]'),
        ("[OLD /* c */, 1]", "[ /* c */ 1]"),
        ("[// c\nOLD\n]", "[// c\n]"),
        ("[// c\nOLD, 1]", "[// c\n 1]"),
        ("[OLD, OLD, OLD]", "[  ]"),
    ],
)
def test_an_entry_that_is_no_longer_wanted_goes(text: str, expected: str) -> None:
    old = json.dumps(entry("old"))
    assert patch.put_items(text.replace("OLD", old), [], "label", [], own) == expected


def test_an_entry_of_the_users_stays_whatever_its_name() -> None:
    text = '{"tasks": [{"label": "devrun: mine"}, {"label": ["devrun: up"]}, 3, "devrun: up"]}'
    assert put(text) == text
    assert meant(put(text, entry("up")))["tasks"][:4] == meant(text)["tasks"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "1:1: expected an object"),
        ('{"tasks": {}}', "1:11: expected a list at 'tasks'"),
        ('{\n  "tasks": null}', "2:12: expected a list at 'tasks'"),
        ("{", "1:2: expected a key in double quotes, or }"),
    ],
)
def test_what_holds_something_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(JsoncError, match=re.escape(message)):
        put(text, entry("up"))
    with pytest.raises(JsoncError):
        patch.items(text, ["tasks"])


def test_a_member() -> None:
    def put_setting(text: str, wanted: Any) -> str:
        return patch.put_member(text, ["a.b"], "c$", wanted)

    assert put_setting("", "x") == '{\n  "a.b": {"c$": "x"}\n}\n'
    assert put_setting('{\n  "x": 1 // one\n}', "x") == '{\n  "x": 1, // one\n  "a.b": {"c$": "x"}\n}'
    assert put_setting('{"a.b": {"d": 1,}}', "x") == '{"a.b": {"d": 1,\n  "c$": "x",\n}}'
    assert put_setting('{"a.b": {"c$": "x" /* mine */}}', "y") == '{"a.b": {"c$": "y" /* mine */}}'
    assert put_setting('{"a.b": {"c$": "x"}}', "x") == '{"a.b": {"c$": "x"}}'
    with pytest.raises(JsoncError, match="1:9: expected an object at 'a.b'"):
        put_setting('{"a.b": 1}', "x")
    assert patch.put_member('{"p": {"q": {}}}', ["p", "q", "r"], "s", 1) == '{"p": {"q": {\n  "r": {"s": 1}\n}}}'
    with pytest.raises(JsoncError, match="1:7: expected an object at 'p'"):
        patch.put_member('{"p": 1}', ["p", "q"], "s", 1)


def test_items() -> None:
    assert patch.items("", ["tasks"]) == []
    assert patch.items('{"tasks": [1, {"a": 2}]}', ["tasks"]) == [1, {"a": 2}]


# --- random documents -------------------------------------------------------------------------------------------------

comments = st.sampled_from(["// c\n", "// devrun: up , ] }\r\n", "/* c */", "/* [\n{ */", "/**/"])
spaces = st.lists(st.one_of(st.sampled_from([" ", "\n", "\t", "\r\n"]), comments), max_size=3).map("".join)
strings = st.text(max_size=6).map(json.dumps) | st.sampled_from(['"// no"', '"/*"', '"\\u00e9\\""', '"devrun: up"'])
scalars = strings | st.sampled_from(["1", "-0.5e2", "true", "null"])


@st.composite
def boxes(draw: st.DrawFn, opening: str, closing: str, parts: st.SearchStrategy[str]) -> str:
    texts = [draw(spaces) + text + draw(spaces) for text in draw(st.lists(parts, max_size=4))]
    text = ",".join(texts) + (draw(st.sampled_from(["", ","])) if texts else "")
    return opening + text + draw(spaces) + closing


@st.composite
def members(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    return f"{draw(strings)}{draw(spaces)}:{draw(spaces)}{draw(values)}"


values = st.recursive(
    scalars, lambda inner: boxes("[", "]", inner) | boxes("{", "}", members(inner)), max_leaves=6
)  # fmt: skip
owned = st.sampled_from([json.dumps(entry("up")), json.dumps(entry("old", args=[1])), '{"label": "devrun: up"}'])


@st.composite
def documents(draw: st.DrawFn) -> str:
    tasks = boxes("[", "]", values | owned)
    others = draw(st.lists(members(values).filter(lambda text: not text.startswith('"tasks"')), max_size=3))
    parts = [*others, *([f'"tasks"{draw(spaces)}:{draw(spaces)}{draw(tasks)}'] if draw(st.booleans()) else [])]
    parts = draw(st.permutations(parts))
    body = ",".join(draw(spaces) + part + draw(spaces) for part in parts)
    comma = draw(st.sampled_from(["", ","])) if parts else ""
    return f"{draw(st.sampled_from(['', BOM]))}{draw(spaces)}{{{body}{comma}{draw(spaces)}}}{draw(spaces)}"


BOM = "\ufeff"


def ours(item: Any) -> bool:
    """What ``put`` may replace: what devrun wrote, and what has its name."""
    return own(item) or item == {"label": "devrun: up"}


def foreign(text: str) -> list[str]:
    """Everything in a text but what is devrun's, commas and spaces: comments, brackets, keys and values, in order."""
    node = parse(text)
    spans: list[tuple[int, int]] = []

    def visit(node: Any) -> None:
        if isinstance(node, Scalar):
            return
        for part in node.parts:
            meaning = value(part.node)
            if ours(meaning):
                spans.append((part.node.start, part.node.end))
            else:
                visit(part.node)

    visit(node)
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + "\0" + text[end:]
    tokens = re.findall(
        r'"(?:[^"\\]|\\.)*"|//[^\r\n]*|/\*.*?\*/|[][{}:\0\ufeff]|[^][{}:\0\ufeff\s,"/]+', text, re.DOTALL
    )
    return [token for token in tokens if token != "\0"]


def is_subsequence(short: Iterable[str], long: Iterable[str]) -> bool:
    rest = iter(long)
    return all(one in rest for one in short)


@settings(max_examples=150, deadline=None)
@given(documents())
@example('{"tasks":[// c\n]}')
@example('{"tasks":[{"label": "devrun: up"}// c\n,]}')
def test_random_documents_keep_what_is_not_devruns(text: str) -> None:
    wanted = [entry("up", command="c" * 100), entry("down")]
    after = put(text, *wanted)
    before_tasks, after_tasks = meant(text).get("tasks", []), meant(after)["tasks"]
    assert [task for task in after_tasks if not ours(task)] == [task for task in before_tasks if not ours(task)]
    assert {key: one for key, one in meant(after).items() if key != "tasks"} == {
        key: one for key, one in meant(text).items() if key != "tasks"
    }
    assert {task["label"] for task in after_tasks if own(task)} == {"devrun: down", "devrun: up"}
    if "tasks" in meant(text):
        assert foreign(after) == foreign(text)
    else:
        assert is_subsequence(foreign(text), foreign(after))
    if not any(ours(task) for task in before_tasks):
        assert is_subsequence(text, after)
    assert put(after, *wanted) == after
    assert parse(put(after)) is not None


@settings(max_examples=100, deadline=None)
@given(documents())
def test_random_documents_get_a_member(text: str) -> None:
    after = patch.put_member(text, ["new.key"], "k", "v")
    assert is_subsequence(text, after)
    assert meant(after) == {**meant(text), "new.key": {"k": "v"}}
    assert patch.put_member(after, ["new.key"], "k", "v") == after


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='{}[],:" /*\n1ae\\', max_size=30))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        after = put(text, entry("up"))
    except JsoncError as error:
        assert re.match(r"\d+:\d+: ", str(error))
    else:
        assert meant(after)["tasks"][-1] == entry("up")

"""Hostile values: some by hand, and strategies for more of them."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from devrun.consumers import ORDER, Consumer

NASTY = "'\"`\\$#{}()=;&|<>*?[]!~^%@:,+-./ \t\nabnrtuxAZ_019é日🎉\u2028\xa0\r\x0b\x1c"
PIECES = (
    "$A",
    "${A}",
    "$(id)",
    "$1",
    "$$",
    "\\n",
    "\\t",
    "\\u0041",
    "\\'",
    '\\"',
    "\\$",
    "''",
    '""',
    " #",
    "'#",
    "\n",
    "A=1",
)

texts = st.text(st.sampled_from(NASTY), min_size=1, max_size=12)
any_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
pieced = st.lists(st.sampled_from(PIECES) | st.sampled_from(NASTY), min_size=1, max_size=6).map("".join)
scalars = st.none() | st.booleans() | st.integers() | texts | pieced | any_texts
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
jsons = st.builds(json.dumps, documents, ensure_ascii=st.booleans(), indent=st.sampled_from([None, 2]))
values = texts | pieced | any_texts | jsons
choices: st.SearchStrategy[frozenset[Consumer]] = st.sets(st.sampled_from(ORDER), min_size=1, max_size=5).map(frozenset)

PORTABLE = [
    *(
        "",
        "a b",
        " a",
        "a ",
        "   ",
        "\t",
        "a#b",
        "a #b",
        "#",
        "it's",
        "'",
        "''",
        '"a',
        'say "x" twice',
        "`",
        "a`b`",
        "a$",
        "$ b"[1:] + "$",
    ),
    *(
        "a $ b",
        "C:\\Users\\new",
        "a\\nb",
        "\\d+",
        "=",
        "=b",
        "~",
        "~/x",
        "!x!",
        "a;b",
        "a&b",
        "a|b",
        "(a)",
        "{a}",
        "[a]",
        "<a>",
        "*",
        "?",
    ),
    *(
        "é",
        "日本",
        "🎉",
        "\xa0a",
        "\ufeffa",
        "\u200b",
        "\x01",
        "\x1b[1m",
        "\x7f",
        "%20",
        "a,b",
        "a: b",
        "export A=1",
        "A=1",
        "null",
    ),
    *(
        "x" * 8000,
        "a b" * 3000,
        "é" * 5000,
        '{"a": "it\'s $5 \\n \\" `é` \\\\"}',
        '"$HOME"',
        '["\\u2028", "\u2028"]',
        '{\n"a":\n1}',
    ),
]
"""Every reader reads these back."""

HOSTILE = [
    *(
        "a\nINJECTED=1",
        "\n",
        "a\r\nb",
        "\r",
        "a\u2028b",
        "a\x85",
        "\x0b",
        "$HOME",
        "$",
        "$a$",
        "cost$5",
        "${A}",
        "$(id)",
        "$$",
    ),
    *(
        "\\$A",
        "a\\\\b",
        "\\",
        "a\\",
        'it\'s "x"',
        "it's $5",
        "it's `x`",
        "it's \\d",
        '"it\'s" so',
        '"x" and "y"',
        "\0",
        "\udc80",
    ),
]
"""Some reader misreads each of these, however it is written."""

"""A module that is run in two halves does what it does as a whole; a newer file goes on only behind the same first."""

from __future__ import annotations

import ast
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.child.halves import Halves, split

PATH = "/somewhere/main.py"
HEAD = '"""Doc."""\nfrom __future__ import annotations\nimport os\nfrom sys import (\n    path,\n)\n'
TAIL = "A = 1\n\ndef f(x: Unknown) -> int:\n    return A\n"


def halves_of(text: str) -> Halves:
    found = split(text.encode(), PATH)
    assert found is not None
    return found


def run(*codes: types.CodeType) -> dict[str, Any]:
    module = types.ModuleType("main")
    for code in codes:
        exec(code, module.__dict__)
    return {name: value for name, value in vars(module).items() if name != "__builtins__"}


def test_the_first_half_ends_with_the_last_import_in_front_of_functions_and_classes() -> None:
    halves = halves_of(HEAD + TAIL + "import json\n")
    assert halves.line == 6
    first = run(halves.first)
    assert first["__doc__"] == "Doc."
    assert {"os", "path", "annotations"} <= first.keys()
    assert not {"A", "f", "json"} & first.keys()
    both = run(halves.first, halves.second())
    assert both["f"](None) == 1
    assert both["f"].__code__.co_firstlineno == 9
    assert both["f"].__code__.co_filename == PATH
    assert both["f"].__annotations__ == {"x": "Unknown", "return": "int"}, "the future holds for the second half, too"


def test_halves_on_one_line() -> None:
    halves = halves_of("import os; A = 'ä'; B = os.sep\n")
    assert run(halves.first, halves.second())["A"] == "ä"
    assert halves.take("import os; A = 'ö'".encode())
    assert run(halves.first, halves.second())["A"] == "ö"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A = 1\n",
        "import os\n",
        "def f(): ...\nimport os\nA = 1\n",
        "if A:\n    import os\nB = 1\n",
        "import os\n'not the docstring'\nA = 1\n",
        "import os\nA = (\n",
        "import os\nreturn\n",
        "import os\nA = '\0'\n",
    ],
)
def test_what_is_run_as_a_whole(text: str) -> None:
    assert split(text.encode(), PATH) is None


def test_what_cannot_be_decoded_is_run_as_a_whole() -> None:
    assert split(b"# coding: klingon\nimport os\nA = 1\n", PATH) is None
    assert split(b"import os\nA = '\xff'\n", PATH) is None
    assert not halves_of(HEAD + TAIL).take(b"\xff")


def test_other_encodings_byte_order_marks_and_line_ends() -> None:
    halves = split("# coding: latin-1\nimport os\nA = 'ä'\n".encode("latin-1"), PATH)
    assert halves is not None
    assert run(halves.first, halves.second())["A"] == "ä"
    marked = split(b"\xef\xbb\xbfimport os\r\nA = 1\r\n", PATH)
    assert marked is not None
    assert marked.take(b"\xef\xbb\xbfimport os\nA = 2\n"), "the same lines"
    assert run(marked.first, marked.second())["A"] == 2


def test_a_newer_file_goes_on_behind_the_same_first_half() -> None:
    halves = halves_of(HEAD + TAIL)
    assert halves.take((HEAD + "B = 2\n").encode())
    assert "A" not in run(halves.first, halves.second())
    assert halves.take((HEAD + "import json\nB = 2\n").encode()), "more imports belong to the second"
    assert run(halves.first, halves.second())["B"] == 2
    assert halves.take(HEAD.encode()), "nothing is left of the second"
    assert run(halves.first, halves.second()).keys() == run(halves.first).keys()


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD.replace("os", "json") + TAIL,
        "\n" + HEAD + TAIL,
        HEAD.replace("Doc", "Other") + TAIL,
        HEAD.rstrip(")\n") + "    argv,\n)\n" + TAIL,
        HEAD + "'a text that would become the docstring'\n" + TAIL,
    ],
)
def test_another_first_half(text: str) -> None:
    assert not halves_of(HEAD + TAIL).take(text.encode())


@pytest.mark.parametrize("more", ["else:\n    B = 1\n", "    B = 2\n"])
def test_a_last_statement_that_goes_on(more: str) -> None:
    halves = halves_of("import os\nif os.sep:\n    A = 1\nimport sys\nB = 1\n")
    assert halves.take(b"import os\nif os.sep:\n    A = 1\nimport sys\nC = 1\n")
    assert not halves_of("import os.path\nB = 1\n").take(b"import os.path as where\nB = 1\n")
    assert not halves.take(f"import os\nif os.sep:\n    A = 1\n{more}import sys\nB = 1\n".encode())


def test_a_syntax_error_further_down_is_complained_about_when_it_is_run() -> None:
    halves = halves_of(HEAD + TAIL)
    assert halves.take((HEAD + "A = (\n").encode())
    with pytest.raises(SyntaxError):
        halves.second()
    assert halves.take((HEAD + TAIL).encode())
    assert run(halves.first, halves.second())["A"] == 1


def test_annotations_of_the_module_are_kept_together() -> None:
    found = split(b"import os\nA: int = 1\n", PATH)
    if sys.version_info >= (3, 14):
        assert found is None
    else:
        assert found is not None
        assert run(found.first, found.second())["__annotations__"] == {"A": int}


STATEMENTS = [
    "import os",
    "from sys import path as searched",
    "from os.path import (\n    join,\n    split as parted,\n)",
    "A = 1",
    "B = [locals().get('A'), len(__name__)]",
    "if A > 1:\n    import json\nelse:\n    A = 3",
    "try:\n    import nothing_of_this_name\nexcept ImportError:\n    A = 2",
    "def f(x: int = 1) -> int:\n    return x",
    "class C:\n    '''Doc.'''\n    a: int = 1",
    "A: int = 4",
    "'a text'",
    "# a comment",
    "A = 5; B = 6",
    "del A; A = 7",
    "@property\ndef g(self): ...",
]


@given(st.lists(st.sampled_from(STATEMENTS), max_size=8), st.lists(st.sampled_from(STATEMENTS), max_size=8))
def test_both_halves_are_the_whole(one: list[str], other: list[str]) -> None:
    """Also those of another file, behind a first half that was run before."""
    texts = ["\n".join(["A = 1", *body, ""]) for body in (one, other)]
    halves = split(texts[0].encode(), PATH)
    if halves is None:
        return
    expected = plain(run(compile(texts[0], PATH, "exec", dont_inherit=True)))
    assert plain(run(halves.first, halves.second())) == expected
    if halves.take(texts[1].encode()):
        assert plain(run(halves.first, halves.second())) == plain(
            run(compile(texts[1], PATH, "exec", dont_inherit=True))
        )


def plain(names: dict[str, Any]) -> dict[str, str]:
    """What can be compared of a namespace: functions and classes by their code and place."""

    def shown(value: object) -> str:
        if isinstance(value, types.FunctionType):
            return f"{value.__code__.co_code!r} {value.__code__.co_firstlineno}"
        return repr(sorted(vars(value))) if isinstance(value, type) else repr(value).split(" at 0x")[0]

    return {name: shown(value) for name, value in names.items()}


def test_every_module_of_the_standard_library_that_can_be_halved_has_the_same_statements() -> None:
    count = 0
    for path in sorted(Path(ast.__file__).parent.glob("[a-k]*.py")):
        halves = split(path.read_bytes(), str(path))
        if halves is not None:
            count += 1
            assert halves.take(path.read_bytes())
            halves.second()
    assert count > 20

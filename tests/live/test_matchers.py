"""The problem matchers of tasks.json on the real output of ``devrun up --plain``, by VS Code's own rules, in node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devrun.editors.matchers import LONGEST_STATEMENT, matchers
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack

pytestmark = [pytest.mark.node, pytest.mark.skipif(shutil.which("node") is None, reason="needs node")]

RULES = Path(__file__).parents[1] / "vscode_rules.js"
APP = """
    import {name}_words

    async def app(scope, receive, send):
        if scope["type"] == "http":
            body = {name}_words.answer().encode()
            await send({{"type": "http.response.start", "status": 200, "headers": []}})
            await send({{"type": "http.response.body", "body": body}})
"""
GOOD = 'def answer():\n    return "one"\n'
NO_SYNTAX = "def answer():\n    return (\n"
NO_NAME = "import os\n\nvalue = os.getcwd() + nowhere\n"
RAISES = 'def answer():\n    one = "1"\n    return one + 1\n'
FILES: dict[str, str | bytes] = {
    "devrun.toml": "[apps.api]\napp = 'api:app'\n[apps.api-2]\napp = 'web:app'\n",
    "api.py": APP.format(name="api"),
    "web.py": APP.format(name="web"),
    "api_words.py": GOOD,
    "web_words.py": GOOD,
}
QUIET = None
"""Three seconds in which nothing is printed."""


def told(folder: Path, lines: Sequence[str | None]) -> list[dict[str, Any]]:
    """What VS Code makes of each line."""
    question = {"folder": str(folder), "matchers": matchers(["api", "api-2"], "devrun.toml"), "lines": lines}
    done = subprocess.run(
        ["node", str(RULES)], input=json.dumps(question), capture_output=True, text=True, timeout=60, check=True
    )
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


def problems(folder: Path, lines: Sequence[str | None]) -> set[tuple[str, str, int, str]]:
    """The Problems view after these lines: owner, file, line and message of each."""
    found = told(folder, lines)[-1]["problems"]
    seen = {(one["owner"], str(Path(one["file"]).relative_to(folder)), one["line"], one["message"]) for one in found}
    assert len(seen) == len(found), "one problem is shown twice"
    return seen


def save(stack: Stack, name: str, text: str, until: str) -> None:
    (stack.folder / name).write_text(text)
    stack.wait_line(until)


def cycles(folder: Path, lines: Sequence[str | None], what: str) -> list[tuple[str, str]]:
    """Each begin or end of a cycle: owner and line."""
    pairs = zip(told(folder, lines), lines, strict=True)
    return [(owner, str(line)) for one, line in pairs for owner in one[what]]


def test_problems_come_and_go_with_every_reload(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(FILES)
    stack = up(folder)
    stack.wait_ready()
    (owner, line), *more = cycles(folder, stack.lines, "ends")
    assert (owner, more) == ("devrun", []) and line.startswith("[devrun] stack ready")
    assert problems(folder, stack.lines) == set()

    save(stack, "api_words.py", NO_SYNTAX, r"^\[devrun\] waiting api:")
    of_api = {("devrun api", "api_words.py", 2, "SyntaxError: '(' was never closed")}
    assert problems(folder, stack.lines) == of_api

    save(stack, "web_words.py", NO_NAME, r"^\[devrun\] waiting api-2:")
    of_web = {("devrun api-2", "web_words.py", 3, "NameError: name 'nowhere' is not defined")}
    assert problems(folder, stack.lines) == of_api | of_web

    save(stack, "api_words.py", GOOD, r"^\[devrun\] ready api ")
    assert problems(folder, stack.lines) == of_web

    save(stack, "web_words.py", "\n" + NO_NAME, r"^\[devrun\] waiting api-2:")
    assert {line for _, _, line, _ in problems(folder, stack.lines)} == {4}

    save(stack, "web_words.py", GOOD, r"^\[devrun\] ready api-2 ")
    assert problems(folder, stack.lines) == set()
    kinds = [line.split()[1] for _, line in cycles(folder, stack.lines, "begins")]
    assert kinds == ["reloading"] * 5


def test_an_error_in_a_request_is_a_problem_until_the_next_reload(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({**FILES, "api_words.py": RAISES})
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").status_code == 500
    stack.wait_line(r"^\[api\] TypeError")
    found = {("devrun api", "api_words.py", 3, 'TypeError: can only concatenate str (not "int") to str')}
    assert problems(folder, [*stack.lines, QUIET]) == found
    save(stack, "web_words.py", GOOD + "\n", r"^\[devrun\] ready api-2 ")
    mended = [*stack.lines]
    at = next(index for index, line in enumerate(mended) if line.startswith("[devrun] reloading"))
    mended_quietly = [*mended[:at], QUIET, *mended[at:]]
    assert problems(folder, mended_quietly) == found, "another app's reload takes nothing of this one away"
    save(stack, "api_words.py", GOOD, r"^\[devrun\] ready api ")
    assert problems(folder, [*mended_quietly, *stack.lines[len(mended) :]]) == set()


def test_a_stack_that_is_broken_at_the_start_is_not_ready(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({**FILES, "api_words.py": NO_NAME})
    stack = up(folder)
    stack.wait_line(r"^\[devrun\] waiting api:")
    stack.wait_line(r"^\[devrun\] ready api-2 ", since=0)
    assert cycles(folder, stack.lines, "ends") == []
    broken = [*stack.lines, QUIET]
    assert problems(folder, broken) == {("devrun api", "api_words.py", 3, "NameError: name 'nowhere' is not defined")}
    save(stack, "api_words.py", GOOD, r"^\[devrun\] stack ready")
    whole = [*broken, *stack.lines[len(broken) - 1 :]]
    assert problems(folder, whole) == set()
    assert [owner for owner, _ in cycles(folder, whole, "ends")] == ["devrun api", "devrun"]


def test_mistakes_in_the_config(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({**FILES, "devrun.toml": "[apps.api]\napp = 'api:app'\nprot = 1\n"})
    stack = up(folder)
    assert stack.wait_exit() == 2
    expected = "apps.api.prot: unknown key; expected a key of an app (did you mean 'port'?)"
    assert problems(folder, [*stack.errors, QUIET]) == {("devrun", "devrun.toml", 3, expected)}


STATEMENT = [
    "[api]     total = int(",
    "[api]             ~~~^",
    '[api]         "x"',
    "[api]         ^^^",
    "[api]     ) + 1",
    "[api]     ^",
]


@pytest.mark.parametrize("below", range(1, LONGEST_STATEMENT + 1))
def test_a_statement_of_several_lines(tmp_path: Path, below: int) -> None:
    """From Python 3.13 on a traceback shows all lines of the statement that failed."""
    (tmp_path / "main.py").touch()
    lines = [
        "[api] Traceback (most recent call last):",
        '[api]   File "/usr/lib/x.py", line 7, in run',
        "[api]     go()",
        f'[api]   File "{tmp_path}/main.py", line 3, in app',
        *STATEMENT[:below],
        "[api] shop.errors.Wrong: 3",
        "[api] INFO:     all is well",
    ]
    assert problems(tmp_path, [*lines, QUIET]) == {("devrun api", "main.py", 3, "shop.errors.Wrong: 3")}


def test_an_app_whose_name_begins_as_anothers_ends_only_its_own_cycle(tmp_path: Path) -> None:
    lines = [
        "[devrun] reloading api: shared.py",
        "[devrun] reloading api-2: shared.py",
        "[devrun] ready api-2 http://127.0.0.1:2 in 0.04s",
        "[devrun] ready api http://127.0.0.1:1 in 0.05s",
    ]
    assert cycles(tmp_path, lines, "begins") == [("devrun api", lines[0]), ("devrun api-2", lines[1])]
    assert cycles(tmp_path, lines, "ends") == [("devrun api-2", lines[2]), ("devrun api", lines[3])]

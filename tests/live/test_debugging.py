"""F5 on the configurations that ``devrun editor vscode`` writes: a real debugpy, spoken to as an editor does."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from devrun.editors.jsonc import parse, value
from tests.conftest import ProjectBuilder
from tests.dap import PATIENCE, Debugger
from tests.driver import Stack, clean_environ, wait_until

APP = """
    import {helper}

    async def app(scope, receive, send):
        if scope["type"] == "http":
            body = {helper}.answer().encode()
            await send({{"type": "http.response.start", "status": 200, "headers": []}})
            await send({{"type": "http.response.body", "body": body}})
"""
HELPER = """
    def answer():
        value = "{word}"
        return value
"""
FILES: dict[str, str | bytes] = {
    "devrun.toml": "[apps.api]\napp = 'api:app'\n[apps.web]\napp = 'web:app'\n",
    "api.py": APP.format(helper="api_words"),
    "web.py": APP.format(helper="web_words"),
    "api_words.py": HELPER.format(word="one"),
    "web_words.py": HELPER.format(word="page"),
}


def configuration(folder: Path, name: str) -> dict[str, Any]:
    """What an editor launches, with its own variables filled in."""
    command = [sys.executable, "-m", "devrun", "editor", "vscode"]
    subprocess.run(command, cwd=folder, env=clean_environ(), check=True, capture_output=True, timeout=60)
    return written(folder, name)


def written(folder: Path, name: str) -> dict[str, Any]:
    """The same without writing it anew."""
    text = (folder / ".vscode" / "launch.json").read_text().replace("${workspaceFolder}", str(folder))
    node = parse(text)
    assert node is not None
    found: dict[str, Any] = next(one for one in value(node)["configurations"] if one["name"] == name)
    return found


class Terminal:
    """The editor's terminal: runs the debugger's command line as a stack that is looked after."""

    def __init__(self, folder: Path, stacks: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stacks = stacks
        self.started = threading.Event()

    def __call__(self, arguments: Sequence[str], variables: Mapping[str, str | None]) -> None:
        stack = Stack(self._folder, env={key: text for key, text in variables.items() if text is not None})
        stack.argv = tuple(arguments)
        stack.check_env_files = False  # the stop button kills: the next command repairs them
        self.stack = self._stacks.enter_context(stack)
        self.started.set()


@contextlib.contextmanager
def debugged(folder: Path, name: str, breakpoints: Mapping[str, int]) -> Iterator[tuple[Debugger, Stack]]:
    with contextlib.ExitStack() as stacks:
        terminal = Terminal(folder, stacks)
        places = {str(folder / file): [line] for file, line in breakpoints.items()}
        debugger = stacks.enter_context(Debugger(places, terminal))
        debugger.launch(configuration(folder, name))
        assert terminal.started.wait(PATIENCE)
        terminal.stack.wait_line(r"^\[devrun\] stack ready", PATIENCE)
        yield debugger, terminal.stack


class Request:
    """A request that is answered when the breakpoint is left."""

    def __init__(self, stack: Stack, app: str, path: str = "/") -> None:
        self._thread = threading.Thread(target=self._get, args=(stack, app, path), daemon=True)
        self._text: str | None = None
        self._thread.start()

    def _get(self, stack: Stack, app: str, path: str) -> None:
        with contextlib.suppress(httpx.TransportError):  # it is not answered when the stack is ended meanwhile
            self._text = stack.get(app, path).text

    @property
    def text(self) -> str | None:
        self._thread.join(PATIENCE)
        return self._text


@pytest.mark.timeout(240)
def test_breakpoints_are_hit_in_two_apps_and_after_a_reload_and_stop_means_stopped(project: ProjectBuilder) -> None:
    folder = project(FILES)
    with debugged(folder, "devrun: all apps", {"api_words.py": 3, "web_words.py": 3}) as (debugger, stack):
        assert len(debugger.children) == 2, "the two workers: not the guard"
        for app, word in (("api", "one"), ("web", "page")):
            request = Request(stack, app)
            stop = debugger.wait_stop()
            assert (stop.file, stop.line, stop.variables["value"]) == (f"{app}_words.py", 3, repr(word))
            stop.go_on()
            assert request.text == word

        # A save while an app stands at a breakpoint waits until it goes on.
        request = Request(stack, "api")
        stop = debugger.wait_stop()
        (folder / "api_words.py").write_text('def answer():\n    value = "two"\n    return value\n')
        stack.wait_line(r"^\[devrun\] reloading api: api_words.py", PATIENCE)
        wait_until(lambda: len(debugger.children) == 3, "the new worker is debugged, too", PATIENCE)
        assert stop.session.ask("threads")["threads"], "the old one still stands"
        stop.go_on()
        assert request.text == "one"
        stack.wait_line(r"^\[devrun\] ready api ", PATIENCE)
        request = Request(stack, "api")
        stop = debugger.wait_stop()
        assert (stop.file, stop.line, stop.variables["value"]) == ("api_words.py", 3, "'two'")
        stop.go_on()
        assert request.text == "two"

        # In two apps at once.
        requests = [Request(stack, app) for app in ("api", "web")]
        stops = [debugger.wait_stop() for _ in requests]
        assert {stop.file for stop in stops} == {"api_words.py", "web_words.py"}
        stops[0].go_on()

        # The other one still stands there when the stop button is pressed.
        debugger.stop()
        stack.process.wait(PATIENCE)
        assert not stack.left_over()


@pytest.mark.timeout(120)
def test_one_app_is_debugged_alone(project: ProjectBuilder) -> None:
    folder = project(FILES)
    with debugged(folder, "devrun: web", {"api_words.py": 3, "web_words.py": 3}) as (debugger, stack):
        assert len(debugger.children) == 1
        request = Request(stack, "web")
        stop = debugger.wait_stop()
        assert stop.file == "web_words.py"
        stop.go_on()
        assert request.text == "page"
        debugger.stop()
        stack.process.wait(PATIENCE)
        assert not stack.left_over()

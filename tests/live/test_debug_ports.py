"""Attaching to apps of a running stack: a real debugpy, spoken to as an editor does, at the ports of launch.json."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.dap import PATIENCE, Debugger
from tests.driver import Stack, clean_environ, wait_until, write_files
from tests.live.environments import Environment
from tests.live.test_debugging import Request, configuration, written

pytestmark = pytest.mark.timeout(180)

APP = """
    import sys
    from {helper} import answer

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                if message["type"] == "lifespan.shutdown":
                    open("{name}-shutdown", "a").close()
                await send({{"type": message["type"] + ".complete"}})
        if scope["path"] == "/stop":
            breakpoint()
        loaded = [name for name in ("debugpy", "pydevd") if name in sys.modules]
        body = answer() if scope["path"] == "/" else " ".join(loaded)
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": body.encode()}})
"""
HELPER = """
    WORD = "{word}"

    def answer():
        value = WORD
        return value
"""
FILES: dict[str, str | bytes] = {
    "devrun.toml": "[apps.api]\napp = 'api:app'\n[apps.web]\napp = 'web:app'\n",
    "api.py": APP.format(name="api", helper="api_words"),
    "web.py": APP.format(name="web", helper="web_words"),
    "api_words.py": HELPER.format(word="one"),
    "web_words.py": HELPER.format(word="page"),
}
IN_ANSWER = 5


def save(folder: Path, word: str) -> None:
    write_files(folder, {"api_words.py": HELPER.format(word=word)})


def nobody(arguments: Any, variables: Any) -> None:
    raise AssertionError("who attaches starts nothing")


def debugger(folder: Path, stacks: ExitStack, *lines: int, app: str = "api") -> Debugger:
    """An editor with breakpoints, attached to an app as its launch.json says, and to its worker."""
    made = stacks.enter_context(Debugger({str(folder / f"{app}_words.py"): lines}, nobody))
    made.attach(written(folder, f"devrun: attach {app}"))
    wait_until(lambda: made.children, "the worker is debugged", PATIENCE)
    return made


def hit(made: Debugger, stack: Stack, app: str = "api", line: int = IN_ANSWER) -> str:
    """Meet the breakpoint with a request, and go on; what the variable there was."""
    request = Request(stack, app)
    stop = made.wait_stop()
    assert (stop.file, stop.line) == (f"{app}_words.py", line)
    stop.go_on()
    assert request.text == stop.variables["value"].strip("'")
    return stop.variables["value"]


def ready(stack: Stack) -> None:
    stack.wait_line(r"^\[devrun\] ready api ", PATIENCE)


def told_port(folder: Path) -> int:
    """Where launch.json says that the api is to be attached to."""
    return int(configuration(folder, "devrun: attach api")["connect"]["port"])


def status(folder: Path) -> list[Mapping[str, Any]]:
    command = [sys.executable, "-m", "devrun", "status", "--json"]
    told = subprocess.run(command, cwd=folder, env=clean_environ(), check=True, capture_output=True, timeout=60)
    apps: list[Mapping[str, Any]] = json.loads(told.stdout)["apps"]
    return apps


def test_two_apps_are_attached_to_over_reloads_and_over_down_and_up(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(FILES)
    port = told_port(folder)
    with ExitStack() as editors:
        stack = up(folder)
        stack.wait_ready()
        assert stack.get("api", "/loaded").text == "", "an app has nothing of a debugger until somebody attaches"
        assert status(folder)[0]["debug_port"] == port
        api, web = debugger(folder, editors, IN_ANSWER), debugger(folder, editors, IN_ANSWER, app="web")
        for made, app in ((api, "api"), (web, "web")):
            hit(made, stack, app)

        # Both at once.
        requests = [Request(stack, app) for app in ("api", "web")]
        stops = [api.wait_stop(), web.wait_stop()]
        assert [stop.file for stop in stops] == ["api_words.py", "web_words.py"]
        for stop in stops:
            stop.go_on()
        assert [request.text for request in requests] == ["one", "page"]

        save(folder, "two")
        ready(stack)
        assert hit(api, stack) == "'two'"

        # A save while it stands waits until it goes on.
        request = Request(stack, "api")
        stop = api.wait_stop()
        stack.wait_line(rf"^\[devrun\] paused api: api_words\.py:{IN_ANSWER}: in the debugger of an editor")
        assert status(folder)[0]["state"] == "paused"
        save(folder, "three")
        stack.wait_line(r"stopped at api_words\.py:5: reloads when it runs on")
        stop.go_on()
        assert request.text == "two"
        ready(stack)
        assert hit(api, stack) == "'three'"
        assert hit(web, stack, "web") == "'page'", "the other one is as it was"

        # Whoever leaves leaves the stack alone, even while an app stands; reloads are what they were.
        request = Request(stack, "api")
        api.wait_stop()
        api.leave()
        assert request.text == "three"
        assert api.main.ended.wait(PATIENCE) and api.sessions[-1].ended.wait(PATIENCE)
        save(folder, "four")
        ready(stack)
        assert stack.get("api").text == "four"
        assert stack.get("api", "/loaded").text == "", "a new worker has nothing of a debugger any more"

        stack.stop()
        assert web.main.ended.wait(PATIENCE), "the other editor hears of the end"
        assert not stack.left_over()

        stack = up(folder)
        stack.wait_ready()
        again = debugger(folder, editors, IN_ANSWER)
        assert told_port(folder) == port
        assert hit(again, stack) == "'four'"


def test_breakpoints_where_an_app_is_imported_breakpoint_calls_and_a_stop_that_waits_for_nobody(
    project: ProjectBuilder, up: StackStarter
) -> None:
    folder = project({**FILES, "devrun.toml": "[apps.api]\napp = 'api:app'\n[reload]\nengine = 'spawn'\n"})
    configuration(folder, "devrun: attach api")
    with ExitStack() as editors:
        stack = up(folder)
        stack.wait_ready()
        made = debugger(folder, editors, 1)
        save(folder, "two")
        stop = made.wait_stop()
        assert (stop.file, stop.line) == ("api_words.py", 1)
        stop.go_on()
        ready(stack)
        assert stack.get("api").text == "two"

        # breakpoint() belongs to the editor as long as one is there, and to `devrun attach` again when it has left.
        request = Request(stack, "api", "/stop")
        stop = made.wait_stop()
        assert (stop.file, stop.line) in (("api.py", 12), ("api.py", 13)), "there, or at the line that comes next"
        made.leave()
        assert request.text == "debugpy pydevd"
        wait_until(lambda: status(folder)[0]["state"] == "ready")
        request = Request(stack, "api", "/stop")
        stack.wait_line(r"^\[devrun\] paused api: api\.py:1[23]: `devrun attach api` opens the debugger")
        attach = [sys.executable, "-m", "devrun", "attach", "api"]
        done = subprocess.run(attach, cwd=folder, env=clean_environ(), input=b"c\n", capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert request.text == "debugpy pydevd"

        # Who attaches anew finds the same worker. A step that leaves the app's code ends a stop, too.
        again = debugger(folder, editors, IN_ANSWER)
        request = Request(stack, "api")
        stop = again.wait_stop()
        stop.session.ask("stepOut", threadId=stop.thread)
        stop = again.wait_stop()
        assert stop.file == "api.py"
        save(folder, "three")
        stack.wait_line(r"stopped at api\.py:\d+: reloads when it runs on")
        stop.session.ask("stepOut", threadId=stop.thread)
        assert request.text == "two"
        ready(stack)

        # One that stands does not keep the stack from going down in peace.
        Request(stack, "api")
        again.wait_stop()
        (folder / "api-shutdown").unlink(missing_ok=True)
        assert stack.stop(signal.SIGTERM) == 0
        assert (folder / "api-shutdown").exists()


def refused(folder: Path, **changed: Any) -> str:
    with Debugger({}, nobody) as made, pytest.raises(AssertionError) as caught:
        made.attach({**written(folder, "devrun: attach api"), **changed})
    return str(caught.value)


def test_who_is_not_let_in_is_told_why(project: ProjectBuilder, up: StackStarter, tmp_path: Path) -> None:
    bare = Environment(tmp_path / "bare")
    (bare.packages / "running.pth").unlink()
    for package in ("uvicorn", "click", "h11"):
        (bare.packages / package).symlink_to(Path(sysconfig.get_paths()["purelib"]) / package)
    folder = project({**FILES, "devrun.toml": f"[apps.api]\napp = 'api:app'\npython = '{bare.python}'\n"})
    port = told_port(folder)
    stack = up(folder)
    stack.wait_ready()
    assert "debugpy is not installed" in refused(folder)
    stack.wait_line(r"^\[devrun\] warning: api: no editor can debug it: debugpy is not installed for .*bare/bin/python")
    other = tmp_path / "other"
    other.mkdir()
    mappings = [{"localRoot": str(other), "remoteRoot": str(other)}]
    assert f"in {folder}, not in {other}: run `devrun editor`" in refused(folder, pathMappings=mappings)
    # A web page can send such a request to any port.
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as browser:
        browser.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        assert browser.recv(100) == b""
    assert stack.get("api").text == "one"


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root can be somebody else")
def test_other_users_are_not_let_in(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(FILES)
    port = told_port(folder)
    up(folder).wait_ready()
    knock = textwrap.dedent(f"""
        import socket
        with socket.create_connection(("127.0.0.1", {port}), timeout=20) as sock:
            data = b'{{"seq":1,"type":"request","command":"initialize"}}'
            sock.sendall(b"Content-Length: %d\\r\\n\\r\\n%s" % (len(data), data))
            try:
                print(len(sock.recv(100)))
            except ConnectionError:
                print(0)
    """)

    def answered(**who: Any) -> int:
        command = ["/usr/bin/env", "python3", "-c", knock]
        return int(subprocess.run(command, cwd="/", check=True, capture_output=True, timeout=60, **who).stdout)

    assert answered() > 0
    assert answered(user=pwd.getpwnam("nobody").pw_uid) == 0


def test_a_port_that_is_taken_keeps_nothing_from_starting(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(FILES)
    first = told_port(folder)
    with socket.socket() as other, ExitStack() as editors:
        other.bind(("127.0.0.1", first))
        other.listen()
        stack = up(folder)
        stack.wait_line(
            rf"^\[devrun\] warning: debug port {first} of app 'api' is taken by process {os.getpid()} .* has port \d+"
        )
        stack.wait_ready()
        assert told_port(folder) == status(folder)[0]["debug_port"] != first, "launch.json is told of the other one"
        made = debugger(folder, editors, IN_ANSWER)
        hit(made, stack)
    assert told_port(folder) != first, "it stays there, also when the first one is free again"


def test_nothing_listens_until_an_editor_is_told_of_it(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(FILES)
    up(folder).wait_ready()
    assert status(folder)[0]["debug_port"] is None
    command = [sys.executable, "-m", "devrun", "editor", "vscode"]
    told = subprocess.run(command, cwd=folder, env=clean_environ(), check=True, capture_output=True, timeout=60)
    assert told.stderr == b"attaching works when the stack is started anew\n"

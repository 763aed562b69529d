"""Who answers: the header of every response, and what `devrun status` says when somebody else does."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devrun.identity import Identity, read
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack, clean_environ
from tests.live.apps import TOML, answering

GOOD = {"devrun.toml": TOML, "main.py": answering("'x'")}
TWO = TOML + "[apps.web]\napp = 'main:app'\n[[dotenv]]\nkeep = true\n"


def identity(stack: Stack, app: str = "api") -> Identity | None:
    return read(stack.get(app).headers.get("x-devrun", ""))


def status(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devrun", "status", *arguments]
    return subprocess.run(command, cwd=folder, env=clean_environ(), capture_output=True, text=True, timeout=20)


@pytest.fixture
def stranger() -> Iterator[str]:
    """The URL of a web server that is none of devrun's."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_response_says_who_answers(project: ProjectBuilder, up: StackStarter) -> None:
    toml = "name = 'Süßes / 50 %'\n" + TOML + 'uvicorn = { headers = [["x-mine", "1"]] }\n'
    folder = project({**GOOD, "devrun.toml": toml + "[apps.bad]\napp = 'bad:app'\n", "bad.py": "import nowhere\n"})
    subprocess.run(["git", "init", "-q", "-b", "feature/ü", str(folder)], check=True)
    stack = up(folder)
    stack.wait_line(r"\] ready api")
    stack.wait_line(r"\] broken bad", since=0)
    answer, page = stack.get("api"), stack.get("bad")
    assert answer.headers["x-mine"] == "1"
    assert page.status_code == 503
    found = read(answer.headers["x-devrun"])
    assert found is not None and (found.app, found.where) == ("api", "feature/ü")
    assert re.fullmatch(r"Süßes / 50 %-[0-9a-f]{8}", found.stack)
    assert read(page.headers["x-devrun"]) == Identity(found.stack, "bad", "feature/ü")
    subprocess.run(["git", "-C", str(folder), "switch", "-q", "-c", "other"], check=True)
    (folder / "main.py").write_text(answering("'y'"))
    stack.wait_line(r"\] ready api")
    assert identity(stack) == Identity(found.stack, "api", "other")


def test_a_header_that_the_user_has_set_stays(project: ProjectBuilder, up: StackStarter) -> None:
    settings = 'uvicorn = { headers = [["X-Devrun", "mine"]] }\n'
    stack = up(project({**GOOD, "devrun.toml": TOML + settings}))
    stack.wait_ready()
    assert stack.get("api").headers.get_list("x-devrun") == ["mine"]


def test_it_can_be_turned_off(project: ProjectBuilder, up: StackStarter) -> None:
    toml = TOML + "[apps.web]\napp = 'main:app'\nidentify = true\n[defaults]\nidentify = false\n"
    stack = up(project({**GOOD, "devrun.toml": toml}))
    stack.wait_ready()
    assert identity(stack, "api") is None and "x-devrun" not in stack.get("api").headers
    assert identity(stack, "web") is not None


def test_status_tells_who_answers_in_an_apps_place(
    project: ProjectBuilder, up: StackStarter, stranger: str, tmp_path: Path
) -> None:
    folder = project({**GOOD, "devrun.toml": TWO})
    other = up(copy(tmp_path / "other"))
    other.wait_ready()
    (folder / ".env").write_text(f"API_URL={stranger}\nWEB_URL={other.url('api')}\n")
    done = status(folder)
    assert done.returncode == 3
    assert f".env: API_URL={stranger} is answered by a stranger: process " in done.stderr
    who = f"api of another stack: {stack_of(other)} on other"
    assert f".env: WEB_URL={other.url('api')} is answered by {who}" in done.stderr
    (folder / ".env").unlink()
    stack = up(folder, check_env_files=False)
    stack.wait_ready()
    own = stack.variables()
    (folder / ".env").write_text(f"API_URL={own['WEB_URL']}\nWEB_URL=http://127.0.0.1:1\n")
    done = status(folder)
    assert done.returncode == 0
    assert f"warning: .env: API_URL={own['WEB_URL']} is answered by web of this stack" in done.stderr
    assert "warning: .env: WEB_URL=http://127.0.0.1:1 leads nowhere" in done.stderr
    told = json.loads(status(folder, "--json").stdout)["strangers"]
    assert [one["key"] for one in told] == ["API_URL", "WEB_URL"]
    assert told[0]["found"] == "is answered by web of this stack"


def test_status_asks_nobody_while_all_is_well(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({**GOOD, "devrun.toml": TWO}), check_env_files=False)
    stack.wait_ready()
    done = status(stack.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert not any("HEAD" in line for line in stack.lines), "an app's log would be full of questions"
    stack.stop()
    assert "API_URL" in (stack.folder / ".env").read_text()
    done = status(stack.folder)
    assert done.returncode == 3 and "API_URL" not in done.stderr, "that nobody listens is as it should be"


def copy(folder: Path) -> Path:
    folder.mkdir()
    for name, text in GOOD.items():
        (folder / name).write_text(text)
    return folder


def stack_of(stack: Stack) -> str:
    found = identity(stack)
    assert found is not None
    return found.stack

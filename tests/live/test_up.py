"""``devrun up`` from the outside: what is written when, what an app sees, when it is ready, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import clean_environ, wait_until
from tests.live.apps import RESPOND, TOML, answering

REPORT = answering(
    "json.dumps({'cwd': os.getcwd(), 'path': sys.path[0], 'env': dict(os.environ), 'root_path': scope['root_path'],"
    " 'python': sys.executable, 'scheme': scope['scheme']})",
    "import json, os, sys",
)


def test_three_apps_from_start_to_end(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(
        {
            "devrun.toml": """
                name = "shop"
                [apps.api]
                app = "api:app"
                [apps.auth]
                app = "auth:app"
                [apps.web-page]
                app = "web:app"
                """,
            "api.py": answering("'api'"),
            "auth.py": answering("'auth'"),
            "web.py": answering("os.environ['API_URL'] + ' ' + os.environ['AUTH_URL']", "import os"),
        }
    )
    stack = up(folder)
    stack.wait_ready()
    urls = {name: stack.url(name) for name in ("api", "auth", "web-page")}
    assert len(set(urls.values())) == 3
    assert stack.get("api").text == "api"
    assert stack.get("web-page").text == f"{urls['api']} {urls['auth']}"
    assert stack.lines[:2] == ["[devrun] starting shop: 3 apps", "[devrun] wrote .env"]
    ports = " ".join(f"{name}={url.rpartition(':')[2]}" for name, url in urls.items())
    assert f"[devrun] stack ready {ports}" in stack.lines
    assert stack.stop() == 0
    assert stack.lines[-1] == "[devrun] stack down"
    assert not (folder / ".env").exists()


def test_json_lines(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(
        project({"devrun.toml": TOML, "main.py": answering("'x'", "print('hello')")}),
        command=("-m", "devrun", "up", "--json"),
    )
    stack.wait_line('"stack-ready"')
    assert stack.stop() == 0
    events = [json.loads(line) for line in stack.lines]
    assert {event["v"] for event in events} == {1}
    kinds = [event["event"] for event in events if event["event"] != "log"]
    assert kinds == ["starting", "wrote", "ready", "stack-ready", "down"]
    assert {"v": 1, "event": "log", "app": "api", "text": "hello"} in events


def test_a_url_answers_from_the_moment_it_is_written(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({"devrun.toml": TOML, "main.py": answering("'at last'", "import time; time.sleep(1)")}))
    assert stack.get("api").text == "at last"
    assert not any(line.startswith("[devrun] ready") for line in stack.lines[:2])


def test_both_loopback_families_answer(project: ProjectBuilder, up: StackStarter) -> None:
    if not socket.has_ipv6 or not _has_ipv6_loopback():
        pytest.skip("this machine has no IPv6 loopback")
    stack = up(project({"devrun.toml": TOML, "main.py": answering("'hello'")}))
    stack.wait_ready()
    port = int(stack.url("api").rpartition(":")[2])
    with socket.create_connection(("::1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = b""
        while chunk := client.recv(4096):
            received += chunk
    assert received.endswith(b"hello")


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_what_an_app_sees(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(
        {
            "devrun.toml": """
                name = "shop"
                [apps.api]
                app = "report:make"
                factory = true
                cwd = "services/api"
                env_file = ["one.env", "two.env"]
                env = { MINE = "env", HERE = "${workspaceFolder}", AUTH = "${auth.url}/v1", COST = "$$5" }
                uvicorn = { root_path = "/api", headers = [["x-team", "shop"]] }
                [apps.auth]
                app = "auth:app"
                """,
            "services/api/report.py": REPORT + "\ndef make():\n    return app\n",
            "services/api/one.env": "MINE=file\nFILE=one\nAUTH_HOST=elsewhere\n",
            "services/api/two.env": "FILE=two\n",
            "auth.py": answering("'auth'"),
        }
    )
    stack = up(folder, env={"MINE": "outer", "OUTER": "kept", "API_URL": "http://wrong"})
    stack.wait_ready()
    answer = stack.get("api")
    seen = answer.json()
    env = seen["env"]
    assert answer.headers["x-team"] == "shop"
    assert seen["cwd"] == str(folder / "services/api")
    assert seen["path"] == ""
    assert seen["root_path"] == "/api"
    assert {key: env[key] for key in ("MINE", "FILE", "OUTER", "AUTH_HOST", "COST", "HERE")} == {
        "MINE": "env",
        "FILE": "two",
        "OUTER": "kept",
        "AUTH_HOST": "elsewhere",
        "COST": "$5",
        "HERE": str(folder),
    }
    assert env["API_URL"] == stack.url("api")
    assert env["AUTH"] == stack.url("auth") + "/v1"
    assert env["AUTH_PORT"] == stack.url("auth").rpartition(":")[2]
    assert (env["DEVRUN"], env["DEVRUN_APP"]) == ("1", "api")
    assert env["DEVRUN_STACK"].startswith("shop-")


def test_modules_of_the_project_do_not_stand_in_for_those_of_python(project: ProjectBuilder, up: StackStarter) -> None:
    shadows = {f"{name}.py": "raise ImportError('not meant')" for name in ("logging", "html", "sysconfig")}
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'"), **shadows})
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == "x"
    (folder / "main.py").write_text("import html")
    stack.wait_line(r"broken api: html\.py:1: ImportError: not meant")
    answer = stack.get("api", headers={"accept": "text/html"})
    assert answer.status_code == 503
    assert "&#x27;not meant&#x27;" in answer.text


def test_ready_is_after_the_lifespan_and_the_health_path(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(
        {
            "devrun.toml": """
                [apps.api]
                app = "main:app"
                health = "/healthz"
                [apps.worker]
                app = "worker:app"
                depends_on = ["api"]
                """,
            "main.py": f"""
import os
{RESPOND}

async def startup():
    print("lifespan startup")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send, startup)
    elif scope["path"] == "/healthz":
        print("asked for health")
        await respond(send, "", 204 if os.path.exists("healthy") else 503)
    else:
        await respond(send, "served")
""",
            "worker.py": answering("'worker'", "print('worker starts')"),
        }
    )
    stack = up(folder)
    stack.wait_line("asked for health")
    assert stack.get("api").text == "served"
    assert not any("worker starts" in line or "] ready" in line for line in stack.lines)
    stack.wait_line(r"warning: api: not ready yet: /healthz answers 503$")
    (folder / "healthy").touch()
    stack.wait_ready()
    lines = stack.lines
    order = ["[api] lifespan startup", "[devrun] ready api", "[worker] worker starts", "[devrun] ready worker"]
    places = [next(n for n, line in enumerate(lines) if line.startswith(text)) for text in order]
    assert places == sorted(places)


def test_named_apps_and_what_they_depend_on(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(
        {
            "devrun.toml": """
                [apps.api]
                app = "main:app"
                depends_on = ["auth"]
                [apps.auth]
                app = "main:app"
                [apps.web]
                app = "main:app"
                [compounds]
                backend = ["api"]
                """,
            "main.py": answering("'x'"),
        }
    )
    stack = up(folder, "backend")
    stack.wait_ready()
    assert set(stack.variables()) == {f"{name}_{part}" for name in ("API", "AUTH") for part in ("URL", "HOST", "PORT")}


def test_a_second_up_is_refused_with_pid_and_urls(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'")})
    first = up(folder)
    first.wait_ready()
    second = up(folder / ".", check_env_files=False)
    assert second.wait_exit() == 4
    said = "\n".join(second.errors)
    assert f"pid {first.process.pid}" in said
    assert first.url("api") in said
    assert first.get("api").text == "x"


def test_an_interrupt_before_the_stack_is_up(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({"devrun.toml": TOML, "main.py": "print('importing'); import time; time.sleep(60)"}))
    stack.wait_line("importing")
    assert stack.stop() == 130


def test_a_taken_port_names_its_holder_and_starts_nothing(project: ProjectBuilder, up: StackStarter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        toml = f"[apps.api]\napp = 'main:app'\nport = {port}\n"
        folder = project({"devrun.toml": toml, "main.py": answering("'x'", "open('started', 'w')")})
        stack = up(folder)
        assert stack.wait_exit() == 1
        said = "\n".join(stack.errors)
        assert str(port) in said
        assert Path(sys.executable).name in said
        assert not (folder / "started").exists()
        assert not (folder / ".env").exists()


def test_a_sticky_port_stays(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": '[apps.api]\napp = "main:app"\nport = "sticky"\n', "main.py": answering("'x'")})
    urls = []
    for _ in range(2):
        stack = up(folder)
        stack.wait_ready()
        urls.append(stack.url("api"))
        assert stack.stop() == 0
    assert urls[0] == urls[1]


def test_no_reload(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(
        {
            "devrun.toml": TOML + '[apps.other]\napp = "other:app"\n',
            "main.py": answering("'old'"),
            "other.py": answering("'old'"),
        }
    )
    stack = up(folder, "--no-reload")
    stack.wait_ready()
    (folder / "main.py").write_text(answering("'new'"))
    (folder / "other.py").write_text(answering("'new'"))
    stack.signal(signal.SIGINT)
    assert stack.wait_exit() == 0
    assert not any("reloading" in line for line in stack.lines)


def test_ten_stacks_at_once_do_not_collide(tmp_path: Path, up: StackStarter) -> None:
    stacks = []
    for number in range(6):
        folder = tmp_path / f"tree{number}"
        folder.mkdir()
        (folder / "devrun.toml").write_text(TOML)
        (folder / "main.py").write_text(answering(repr(f"tree {number}")))
        stacks.append(up(folder))
    for number, stack in enumerate(stacks):
        stack.wait_ready(60)
        assert stack.get("api").text == f"tree {number}"
    assert len({stack.url("api") for stack in stacks}) == len(stacks)


def test_a_killed_launcher_is_repaired_by_the_next_up(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'"), ".env": "MINE=1"})
    stack = up(folder)
    stack.wait_ready()
    stack.kill()
    assert b"devrun" in (folder / ".env").read_bytes()
    again = up(folder, check_env_files=False)
    again.wait_ready()
    assert again.get("api").text == "x"
    assert again.stop() == 0
    wait_until(lambda: (folder / ".env").read_bytes() == b"MINE=1")


def test_a_view_that_fails_does_not_look_alive(project: ProjectBuilder) -> None:
    script = """
import sys
from devrun.cli import main, up
choose = up.choose
async def run():
    raise RuntimeError("cannot paint")
def failing(*args):
    view = choose(*args)
    view.run = run
    return view
up.choose = failing
sys.argv = ["devrun", "up"]
main.main()
"""
    folder = project({"devrun.toml": TOML, "main.py": answering("'x'")})
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=clean_environ(), capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 1
    assert "cannot paint" in found.stderr
    assert "[devrun] stack down" in found.stdout

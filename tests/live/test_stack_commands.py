"""Commands of the stack, as real processes: started, found, restarted and ended with all that they have started."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import DEADLINE, Stack, clean_environ, wait_until
from tests.live.examples import fetch
from tests.live.servers import APP, NODE, PYTHON, SHOW, need_node, toml

API = """
    [apps.api]
    app = "main:app"
"""


def files(config: str, **more: str) -> dict[str, str | bytes]:
    return {"devrun.toml": API + config, "main.py": APP, "show.py": SHOW, "server.js": NODE, **more}


def status(folder: Path) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "devrun", "status", "--json"], cwd=folder, capture_output=True, text=True, check=True
    )
    return {row["name"]: row for row in json.loads(done.stdout)["apps"]}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def answer(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fetch(url))
    return found


# --- where it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_the_port_is_read_off_the_process(host: str, project: ProjectBuilder, up: StackStarter) -> None:
    config = f"[commands.web]\nrun = {toml([PYTHON, 'show.py', '--host', host])}"
    stack = up(project(files(config)))
    shown = "[::1]" if host == "::1" else "127.0.0.1"
    port = stack.wait_line(rf"^\[devrun\] ready web http://{re.escape(shown)}:(\d+) in")[1]
    stack.wait_line(rf"^\[devrun\] stack ready api=\d+ web={port}$", since=0)
    wait_until(lambda: "WEB_URL" in stack.variables(), "the env file does not know where it is")
    assert stack.variables()["WEB_URL"].strip("'") == f"http://{shown}:{port}"
    assert status(stack.folder)["web"]["url"] == f"http://{shown}:{port}"
    done = subprocess.run(
        [sys.executable, "-m", "devrun", "port", "web"], cwd=stack.folder, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{port}\n"
    assert answer(f"http://{shown}:{port}")["environ"]["DEVRUN_APP"] == "web"


SERVERS = {
    "http.server": [PYTHON, "show.py", "--host", "{host}", "--port", "${web.port}"],
    "uvicorn": [PYTHON, "-m", "uvicorn", "main:app", "--host", "{host}", "--port", "${web.port}"],
    "node": ["node", "server.js", "{host}"],
}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
@pytest.mark.parametrize("server", SERVERS)
def test_a_port_that_is_asked_for_is_known_before_and_kept(
    server: str, host: str, project: ProjectBuilder, up: StackStarter
) -> None:
    """It is held by a socket that lets the server in; node takes it from PORT."""
    if server == "node":
        need_node()
    words = toml([word.format(host=host) if word[0] == "{" else word for word in SERVERS[server]])
    config = f'[commands.web]\nrun = {words}\nport = 0\n[apps.shop]\napp = "main:app"\nenv.WEB = "${{web.url}}"'
    stack = up(project(files(config)))
    port = stack.variables()["WEB_PORT"]
    stack.wait_line(r"^\[devrun\] ready shop")
    told = stack.get("shop").json()["environ"]
    assert (told["WEB"], told["WEB_PORT"]) == (f"http://127.0.0.1:{port}", port)
    six_only = host == "::1" or (host, server) == ("::", "uvicorn")
    shown = "[::1]" if six_only else "127.0.0.1"
    stack.wait_line(rf"^\[devrun\] ready web http://{re.escape(shown)}:{port} in", since=0)
    assert httpx.get(f"http://{shown}:{port}", timeout=DEADLINE, trust_env=False).status_code == 200


def test_a_port_that_is_kept_is_given_to_nobody_else(project: ProjectBuilder, up: StackStarter) -> None:
    """Neither to a program that takes any port, nor to a connection; until the command listens, it is refused."""
    stack = up(project(files('[commands.web]\nrun = "sleep 100"\nport = 0')))
    port = int(stack.variables()["WEB_PORT"])
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    taken: list[socket.socket] = []
    try:
        for _ in range(2000):
            sock = socket.socket()
            taken.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", 0))
            assert sock.getsockname()[1] != port
    finally:
        for sock in taken:
            sock.close()
    assert low <= port <= high
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(("127.0.0.1", port))
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("127.0.0.1", port))


def test_one_that_took_another_port_is_shown_where_it_is(project: ProjectBuilder, up: StackStarter) -> None:
    words = toml([need_node(), "server.js", "127.0.0.1", "", "--next"])
    stack = up(project(files(f"[commands.web]\nrun = {words}\nport = {free_port()}")))
    asked = int(stack.variables()["WEB_PORT"])
    taken = stack.wait_line(r"^\[devrun\] ready web http://127.0.0.1:(\d+) in")[1]
    assert int(taken) > asked
    wait_until(lambda: stack.variables()["WEB_PORT"] == taken, "the env file has the old port")
    assert f"127.0.0.1:{taken}" in (stack.folder / ".devrun/state.toml").read_text()


def test_of_several_ports_the_lowest_that_speaks_http_is_meant(project: ProjectBuilder, up: StackStarter) -> None:
    several = """
        import http.server, socket, threading
        quiet = socket.create_server(("127.0.0.1", 0))
        low, high = sorted((quiet, socket.create_server(("127.0.0.1", 0))), key=lambda s: s.getsockname()[1])
        server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler, False)
        server.socket.close()
        server.socket = high
        print("silent", low.getsockname()[1], "http", high.getsockname()[1], flush=True)
        server.serve_forever()
    """
    stack = up(project(files(f"[commands.web]\nrun = {toml([PYTHON, 'several.py'])}", **{"several.py": several})))
    port = stack.wait_line(r"^\[web\] silent \d+ http (\d+)")[1]
    stack.wait_line(rf"^\[devrun\] ready web http://127.0.0.1:{port} in")


def test_what_a_server_prints_tells_that_it_speaks_tls(project: ProjectBuilder, up: StackStarter) -> None:
    """As Vite prints it, with the port in bold."""
    secure = """
        import socket
        with socket.create_server(("127.0.0.1", 0)) as server:
            print(f"  Local:   https://localhost:\\x1b[1m{server.getsockname()[1]}\\x1b[22m/", flush=True)
            while True:
                server.accept()
    """
    stack = up(project(files(f"[commands.web]\nrun = {toml([PYTHON, 'secure.py'])}", **{"secure.py": secure})))
    port = stack.wait_line(r"https://localhost:(\d+)/")[1]
    stack.wait_line(rf"^\[devrun\] ready web https://127.0.0.1:{port} in", since=0)


def test_a_pinned_port_that_is_taken_is_told_with_its_owner(project: ProjectBuilder, up: StackStarter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        stack = up(project(files(f'[commands.web]\nrun = "sleep 100"\nport = {port}')))
        assert stack.wait_exit() == 1
        assert f"port {port} of command 'web' is taken on 127.0.0.1 by process {os.getpid()}" in stack.errors[0]


def test_a_sticky_port_comes_again(project: ProjectBuilder) -> None:
    folder = project(files('[commands.web]\nrun = "sleep 100"\nport = "sticky"'))
    ports: list[str] = []
    for _ in range(2):
        with Stack(folder) as stack:
            ports.append(stack.variables()["WEB_PORT"])
    assert ports[0] == ports[1]


# --- what it gets ---------------------------------------------------------------------------------------------------


def test_a_command_runs_in_its_folder_with_the_variables_of_the_stack(
    project: ProjectBuilder, up: StackStarter
) -> None:
    config = f"""
        [commands.web]
        run = {toml([PYTHON, "../show.py", "--port", "${web.port}"])}
        cwd = "frontend"
        port = 0
        env = {{ API = "${{api.url}}/v1" }}
        env_file = "dev.env"
        [external.pay]
        url = "https://pay.example.com"
    """
    stack = up(project(files(config, **{"frontend/dev.env": "MODE=dev\n"})))
    stack.wait_line(r"^\[devrun\] ready web")
    told = answer(stack.url("web"))
    assert told["cwd"] == str(stack.folder / "frontend")
    environ, variables = told["environ"], stack.variables()
    assert environ["API"] == variables["API_URL"] + "/v1"
    assert {name: environ[name] for name in variables} == variables
    assert (environ["MODE"], environ["DEVRUN"], environ["PORT"]) == ("dev", "1", variables["WEB_PORT"])
    assert environ["DEVRUN_STACK"] == psutil.Process(told["pid"]).environ()["DEVRUN_STACK"]
    assert os.getsid(told["pid"]) == told["pid"], "a session of its own"


def test_its_input_is_silent_and_open(project: ProjectBuilder, up: StackStarter) -> None:
    """Bundlers in watch mode stop when their input ends."""
    code = "import select, sys; print('ended' if select.select([0], [], [], 1.0)[0] else 'open', flush=True)"
    stack = up(project(files(f"[commands.web]\nrun = {toml([PYTHON, '-c', code])}")))
    stack.wait_line(r"^\[web\] open")


def test_an_app_may_wait_for_a_command_that_does_its_work(project: ProjectBuilder, up: StackStarter) -> None:
    config = """
        depends_on = ["migrate"]
        [commands.migrate]
        run = "sh -c 'sleep 0.3; echo migrated'"
    """
    stack = up(project(files(config)))
    stack.wait_line(r"^\[migrate\] migrated")
    stack.wait_line(r"^\[devrun\] exited migrate: exit code 0$")
    stack.wait_line(r"^\[devrun\] stack ready api=\d+$")
    assert status(stack.folder)["migrate"]["state"] == "done"


def test_a_worker_that_does_not_listen_is_ready_after_a_while(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(files('[commands.worker]\nrun = "sleep 100"')))
    stack.wait_line(r"^\[devrun\] ready worker in 3\.\d\ds$")
    stack.wait_line(r"^\[devrun\] stack ready api=\d+$")
    row = status(stack.folder)["worker"]
    assert (row["state"], row["url"], row["port"]) == ("running", None, None)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ('"no-such-program x"', "no-such-program cannot be started: No such file or directory"),
        ('"./show.py"', "./show.py cannot be started: Permission denied"),
    ],
)
def test_a_program_that_is_not_there(run: str, said: str, project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(files(f"[commands.web]\nrun = {run}")))
    stack.wait_line(rf"^\[web\] {re.escape(said)}$")
    stack.wait_line(r"^\[devrun\] exited web: exit code 127$")
    stack.wait_line(r"^\[devrun\] ready api", since=0)
    assert stack.get("api").status_code == 200
    row = status(stack.folder)["web"]
    assert (row["state"], row["why"]) == ("failed", "exit code 127")
    assert stack.stop() == 1


# --- its end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restart", "code", "again"),
    [("never", 1, False), ("on-failure", 0, False), ("on-failure", 3, True), ("always", 0, True)],
)
def test_who_is_started_again(restart: str, code: int, again: bool, project: ProjectBuilder, up: StackStarter) -> None:
    words = toml(["sh", "-c", f"echo started; exit {code}"])
    stack = up(project(files(f'[commands.job]\nrun = {words}\nrestart = "{restart}"')))
    suffix = "; restarting" if again else ""
    stack.wait_line(rf"^\[devrun\] exited job: exit code {code}{suffix}$")
    if again:
        stack.wait_line(rf"^\[devrun\] exited job: exit code {code}; restarting again in 0\.5s$")
        stack.wait_line(rf"^\[devrun\] exited job: exit code {code}; restarting again in 1s$")
        assert stack.lines.count("[job] started") >= 3
    stack.wait_line(r"^\[devrun\] ready api", since=0)
    assert stack.get("api").status_code == 200
    assert stack.lines.count("[job] started") == 1 or again


def test_one_that_is_killed_comes_back_at_the_same_port(project: ProjectBuilder, up: StackStarter) -> None:
    words = toml([PYTHON, "show.py", "--port", "${web.port}"])
    stack = up(project(files(f'[commands.web]\nrun = {words}\nport = 0\nrestart = "on-failure"')))
    stack.wait_ready()
    first = answer(stack.url("web"))["pid"]
    os.kill(first, signal.SIGKILL)
    stack.wait_line(r"^\[devrun\] exited web: signal SIGKILL; restarting$")
    stack.wait_line(rf"^\[devrun\] ready web {re.escape(stack.url('web'))} in")
    assert answer(stack.url("web"))["pid"] != first


TREE = """
    # A process that ignores SIGTERM, its child, and a grandchild in a session of its own, all of which listen.
    import os, signal, subprocess, sys, time

    if len(sys.argv) == 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, __file__, "child"])
    elif sys.argv[1] == "child":
        subprocess.Popen([sys.executable, __file__, "grandchild"], start_new_session=True)
    print("up", sys.argv[1:], os.getpid(), flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_whole_tree_ends_with_the_stack(how: signal.Signals, project: ProjectBuilder, up: StackStarter) -> None:
    config = f"[commands.tree]\nrun = {toml([PYTHON, 'tree.py'])}\ngrace = 0.3"
    stack = up(project(files(config, **{"tree.py": TREE})))
    for _ in range(3):
        stack.wait_line(r"^\[tree\] up")
    stack.signal(how)
    stack.process.wait(DEADLINE)
    assert stack.left_over() == []


def test_the_whole_tree_ends_while_the_stack_is_up(project: ProjectBuilder, up: StackStarter) -> None:
    """No guard helps here, for the launcher lives: who has a session of its own is known by its parent."""
    config = f"[commands.tree]\nrun = {toml([PYTHON, 'tree.py'])}\ngrace = 0.3"
    stack = up(project(files(config, **{"tree.py": TREE})))
    pids = [int(stack.wait_line(r"^\[tree\] up .* (\d+)$")[1]) for _ in range(3)]
    (stack.folder / "devrun.toml").write_text(API)
    stack.wait_line(r"^\[devrun\] stopped tree$")
    left = stack.pids() & set(pids)
    assert not left
    assert stack.get("api").status_code == 200


@pytest.mark.node
def test_npm_its_shell_and_node_end_together(project: ProjectBuilder, up: StackStarter) -> None:
    need_node()
    package = json.dumps({"name": "x", "scripts": {"dev": "node server.js 127.0.0.1"}})
    config = '[commands.web]\nrun = "npm run dev"\nport = 0\nrestart = "on-failure"'
    stack = up(project(files(config, **{"package.json": package})))
    stack.wait_line(r"^\[devrun\] ready web")
    first = stack.processes()
    names = {process.name() for process in first}
    assert {"node", "sh"} <= names or {"node", "bash"} <= names, names
    pid = int(fetch(stack.url("web")).removeprefix("node "))
    os.kill(pid, signal.SIGKILL)  # npm and the shell report its death
    stack.wait_line(r"^\[devrun\] ready web")
    assert int(fetch(stack.url("web")).removeprefix("node ")) != pid
    assert stack.stop() == 0
    assert stack.left_over() == []


def test_what_a_command_leaves_behind_when_it_ends_is_ended(project: ProjectBuilder, up: StackStarter) -> None:
    words = toml(["sh", "-c", "sleep 1000 & echo left $!; sleep 0.3; exit 0"])
    stack = up(project(files(f"[commands.web]\nrun = {words}")))
    left = int(stack.wait_line(r"^\[web\] left (\d+)")[1])
    stack.wait_line(r"^\[devrun\] exited web: exit code 0$")
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


# --- a real one -----------------------------------------------------------------------------------------------------


@pytest.mark.node
@pytest.mark.timeout(180)
@pytest.mark.parametrize("port", ["", "port = 0"])
def test_vite_as_a_command(port: str, tmp_path: Path) -> None:
    """It is found on whichever of the loopback addresses `localhost` is, and its variables name the API."""
    need_node()
    shutil.copytree(Path(__file__).parents[2] / "examples/vite/frontend", tmp_path / "frontend")
    npm = ["npm", "install", "--no-fund", "--no-audit"]
    done = subprocess.run(npm, cwd=tmp_path / "frontend", env=clean_environ(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "main.py").write_text("async def app(scope, receive, send): ...\n")
    run = "npm run dev -- --port ${web.port} --strictPort" if port else "npm run dev"
    (tmp_path / "devrun.toml").write_text(
        '[apps.api]\napp = "main:app"\nuvicorn = { lifespan = "off" }\n'
        f'[commands.web]\nrun = "{run}"\ncwd = "frontend"\n{port}\n'
        '[[dotenv]]\npath = "frontend/.env.local"\nprefix = "VITE_"\nonly = ["api"]\n'
    )
    with Stack(tmp_path) as stack:
        url = stack.wait_line(r"^\[devrun\] ready web (http://\S+) in", timeout=60)[1]
        module = wait_until(lambda: fetch(f"{url}/src/main.ts"), "Vite serves no module")
        assert f'"VITE_API_URL": "{stack.variables("frontend/.env.local")["VITE_API_URL"]}"' in module

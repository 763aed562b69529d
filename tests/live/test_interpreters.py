"""Apps in virtual environments of their own: every Python that ``child/`` is written for, uvicorns old and new.

Not the full product: each Python, and each uvicorn in which something changed that ``child/serving.py`` rests on.
A Python that is not on this machine is skipped by name; packages come from pip.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack, clean_environ, wait_until
from tests.live.apps import RESPOND, answering

PIP_SECONDS = 100

# Besides the test itself, an environment may have to be made, or waited for.
pytestmark = pytest.mark.timeout(60 + PIP_SECONDS)


@dataclass(frozen=True)
class Pairing:
    """A Python and what is installed for it. ``settings``: more of uvicorn's; ``uses``: modules that must be in use."""

    python: str
    packages: tuple[str, ...]
    settings: str = ""
    uses: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.python}-{self.packages[0].removeprefix('uvicorn').lstrip('=') or 'newest'}"


# websockets 14 moved what uvicorn used to import; the other library is wsproto.
OLD_WS = "websockets<14"
H11 = "uvicorn.protocols.http.h11_impl"
OLD = [
    Pairing("3.9", ("uvicorn==0.23.2", OLD_WS), uses=(H11, "uvicorn.protocols.websockets.websockets_impl")),
    # The last with signal handlers installed by `startup`; from 0.29 on they are of a context around `serve`.
    Pairing("3.11", ("uvicorn==0.28.1", "wsproto"), uses=(H11, "uvicorn.protocols.websockets.wsproto_impl")),
    Pairing("3.10", ("uvicorn==0.29.0", OLD_WS), uses=(H11,)),
    Pairing("3.12", ("uvicorn==0.30.6", OLD_WS, "httptools"), uses=("uvicorn.protocols.http.httptools_impl",)),
    # The last that sets an event loop policy up, and the first that has a loop factory.
    Pairing(
        "3.13",
        ("uvicorn==0.35.0", "websockets<16", "uvloop"),
        settings='ws = "websockets-sansio"',
        uses=("uvloop", "uvicorn.protocols.websockets.websockets_sansio_impl"),
    ),
    Pairing("3.11", ("uvicorn==0.36.1", "websockets<16"), uses=(H11,)),
    # A signal during the startup runs the lifespan's shutdown from 0.41 on.
    Pairing("3.10", ("uvicorn==0.40.0", "websockets<16"), uses=(H11,)),
    Pairing("3.9", ("uvicorn", "wsproto"), settings='ws = "wsproto"', uses=(H11,)),  # 0.39: later ones need 3.10
]
# The app is imported by the parent from 0.47 on; a failed startup has an exit code of its own from 0.50 on.
NEW = [
    Pairing("3.12", ("uvicorn==0.47.0", "websockets<16"), uses=(H11,)),
    Pairing("3.10", ("uvicorn", "websockets"), uses=(H11,)),
    Pairing("3.11", ("uvicorn", "wsproto"), settings='loop = "asyncio"', uses=(H11,)),
    Pairing("3.13", ("uvicorn[standard]",), uses=("uvloop", "uvicorn.protocols.http.httptools_impl")),
]


def ids(pairings: list[Pairing]) -> list[str]:
    return [pairing.name for pairing in pairings]


@cache
def interpreter(version: str) -> Path | None:
    """A Python of this version that has pip and venv; ``PATH`` before what pyenv keeps."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    kept = sorted(root.glob(f"versions/{version}.*/bin/python"))
    for candidate in (shutil.which(f"python{version}"), *reversed(kept)):
        if candidate is None:
            continue
        # A shim of pyenv exists for versions, too, that are not chosen.
        script = "import pip, sys, venv; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", script], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip() == version:
            return Path(candidate)
    return None


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the virtual environments of this run are: one place for all processes of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "environments"
    folder.mkdir(exist_ok=True)
    return folder


def install(pairing: Pairing, folder: Path) -> Path:
    """The interpreter of the pairing's virtual environment, which is made by the first who asks."""
    python = interpreter(pairing.python)
    if python is None:
        pytest.skip(f"there is no Python {pairing.python} with pip, neither on PATH nor in pyenv's versions")
    place = folder / re.sub(r"[^\w.]+", "-", " ".join((pairing.python, *pairing.packages)))
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            subprocess.run([python, "-m", "venv", "--without-pip", place], check=True)
            pip_install(python, place, pairing.packages)
            (place / "complete").touch()
    return place / "bin/python"


def pip_install(python: Path, place: Path, packages: tuple[str, ...]) -> None:
    """Install with the pip of the Python that the environment was made from: a newer one may not run there."""
    options = ["--quiet", "--no-compile", "--only-binary=:all:", "--disable-pip-version-check"]
    command = [str(python), "-m", "pip", "--python", str(place / "bin/python"), "install", *options, *packages]
    # A group of its own: pip runs itself again in the other interpreter.
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as pip:
        try:
            _, said = pip.communicate(timeout=PIP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(pip.pid, signal.SIGKILL)
            pytest.skip(f"pip took more than {PIP_SECONDS} s to install {' '.join(packages)}")
    if pip.returncode:
        pytest.skip(f"pip cannot install {' '.join(packages)}: {said.strip()[-300:]}")


SOURCE = f"""
import asyncio, json, os, sys
VERSION = 1
{RESPOND}

async def startup():
    if os.path.exists("no-database"):
        raise ConnectionError("no database")

async def seen(scope):
    names = set(sys.modules) | {{type(asyncio.get_running_loop()).__module__}}
    keys = ("root_path", "type")
    return {{**{{key: scope.get(key) for key in keys}}, "python": sys.version.split()[0], "modules": sorted(names)}}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        try:
            return await lifespan(receive, send, startup)
        except ConnectionError:
            import traceback
            await send({{"type": "lifespan.startup.failed", "message": traceback.format_exc()}})
            raise
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        await send({{"type": "websocket.accept"}})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            await send({{"type": "websocket.send", "text": "echo " + message["text"]}})
    elif path.endswith("/events"):
        headers = [(b"content-type", b"text/event-stream")]
        await send({{"type": "http.response.start", "status": 200, "headers": headers}})
        while True:
            await send({{"type": "http.response.body", "body": b"data: tick\\n\\n", "more_body": True}})
            await asyncio.sleep(0.05)
    elif path.endswith("/seen"):
        await respond(send, json.dumps(await seen(scope)))
    else:
        await respond(send, VERSION)
"""


def config(python: Path, settings: str = "") -> str:
    return f"""
        [apps.api]
        app = "main:app"
        python = "{python}"
        grace = 5
        uvicorn = {{ {settings} }}
        """


class Clients:
    """An event stream and a WebSocket that stay open until the worker ends them."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.url("api")
        self.stream_end: str | None = None
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Both are open in the block and must have been ended by the worker at its end."""
        self._thread.start()
        assert self._first.wait(10), self.stream_end
        with websockets.sync.client.connect(self._url.replace("http", "ws") + "/ws", proxy=None) as socket:
            assert socket.response is not None
            assert says_who(socket.response.headers.raw_items())
            socket.send("hello")
            assert socket.recv(timeout=10) == "echo hello"
            yield
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=10)
            assert socket.close_code == 1012
        self._thread.join(10)
        assert self.stream_end == "complete"

    def _follow(self) -> None:
        try:
            with httpx.stream("GET", self._url + "/events", timeout=10, trust_env=False) as answer:
                for _ in answer.iter_raw():
                    self._first.set()
            self.stream_end = "complete"
        except httpx.HTTPError as error:
            self.stream_end = repr(error)


def says_who(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether one header says that the app ``api`` answers."""
    return ["/api@" in value for name, value in headers if name.lower() == "x-devrun"] == [True]


@pytest.mark.parametrize("pairing", OLD + NEW, ids=ids(OLD + NEW))
def test_an_app_lives_in_it(pairing: Pairing, environments: Path, project: ProjectBuilder, up: StackStarter) -> None:
    """Serves with the settings that it was given, reloads past open streams, and ends in time."""
    python = install(pairing, environments)
    settings = 'root_path = "/base", server_header = false, headers = [["x-team", "shop"]], ' + pairing.settings
    folder = project({"devrun.toml": config(python, settings.rstrip(", ")), "main.py": SOURCE})
    stack = up(folder)
    stack.wait_ready()
    answer = stack.get("api", "/seen")
    seen = answer.json()
    assert seen["python"].startswith(pairing.python + ".")
    assert seen["root_path"] == "/base"
    assert answer.headers["x-team"] == "shop"
    assert says_who(answer.headers.multi_items())
    assert "server" not in answer.headers
    assert set(pairing.uses) <= set(seen["modules"])

    with Clients(stack).held():
        (folder / "main.py").write_text(SOURCE.replace("VERSION = 1", "VERSION = 2"))
        stack.wait_line(r"^\[devrun\] reloading api: main\.py$")
        start = time.monotonic()
        stack.wait_line(r"^\[devrun\] ready api")
        assert time.monotonic() - start < 4, "the old worker was waited for"
    assert stack.get("api").text == "2"

    with Clients(stack).held():
        start = time.monotonic()
        assert stack.stop() == 0
        assert time.monotonic() - start < 4
    assert not any("Traceback" in line for line in stack.lines + stack.errors)


@pytest.mark.parametrize("pairing", OLD + NEW, ids=ids(OLD + NEW))
def test_what_is_broken_in_it_is_told(
    pairing: Pairing, environments: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    python = install(pairing, environments)
    folder = project({"devrun.toml": config(python, pairing.settings), "main.py": "x = 1\n1 / 0\n"})
    stack = up(folder)
    stack.wait_line(r"^\[devrun\] broken api: main\.py:2: ZeroDivisionError: division by zero$")
    failure = stack.get("api", headers={"accept": "application/json"})
    assert failure.status_code == 503
    assert failure.json()["line"] == 2

    (folder / "main.py").write_text("def app(:\n")
    stack.wait_line(r"^\[devrun\] broken api: main\.py:1: SyntaxError: invalid syntax")
    assert "def app(:" in stack.get("api").text

    (folder / "no-database").touch()
    (folder / "main.py").write_text(SOURCE)
    line = 1 + SOURCE.splitlines().index('        raise ConnectionError("no database")')
    stack.wait_line(rf"^\[devrun\] broken api: main\.py:{line}: ConnectionError: no database$")
    assert stack.get("api").status_code == 503

    (folder / "no-database").unlink()
    (folder / "main.py").write_text(SOURCE + "\n")
    stack.wait_ready()
    wait_until(lambda: stack.get("api").text == "1")
    assert stack.stop() == 0


@pytest.mark.parametrize("pairing", OLD, ids=ids(OLD))
def test_a_setting_that_it_is_too_old_for(
    pairing: Pairing, environments: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    python = install(pairing, environments)
    stack = up(project({"devrun.toml": config(python, "reset_contextvars = true"), "main.py": SOURCE}))
    version = pairing.packages[0].removeprefix("uvicorn").lstrip("=") or r"\d+\.\d+\.\d+"
    stack.wait_line(
        rf"^\[devrun\] broken api: uvicorn {version}, which this app's interpreter has, "
        "knows no setting reset_contextvars$"
    )
    assert "reset_contextvars" in stack.get("api").text


LOOP_AT_IMPORT = """
import asyncio

async def work():
    return "worked"

TASK = asyncio.create_task(work())
"""


@pytest.mark.parametrize("pairing", OLD[-2:], ids=ids(OLD[-2:]))
def test_the_loop_is_there_at_import_in_an_old_uvicorn(
    pairing: Pairing, environments: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    """uvicorn before 0.47 imports the app in the running loop: a process that has one cannot be forked meanwhile."""
    python = install(pairing, environments)
    folder = project({"devrun.toml": config(python), "main.py": answering("await TASK", LOOP_AT_IMPORT)})
    stack = up(folder)
    stack.wait_ready()
    assert stack.get("api").text == "worked"
    (folder / "main.py").write_text(answering("await TASK + ' twice'", LOOP_AT_IMPORT))
    stack.wait_text("api", "worked twice")
    told = [line for line in stack.lines if "warning" in line]
    assert told == [
        "[devrun] warning: api: each reload starts a fresh interpreter: its import uses the event loop (create_task)"
    ]


@pytest.mark.parametrize("pairing", [OLD[0], OLD[2], OLD[4], NEW[2]], ids=ids([OLD[0], OLD[2], OLD[4], NEW[2]]))
@pytest.mark.parametrize("engine", ["fork", "spawn"])
def test_breakpoint_stops_in_a_debugger(
    pairing: Pairing, engine: str, environments: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    """pdb is another one in each Python."""
    python = install(pairing, environments)
    source = SOURCE.replace(
        "    else:\n        await respond", "    else:\n        breakpoint()\n        await respond"
    )
    toml = f'{config(python)}\n        [reload]\n        engine = "{engine}"\n'
    stack = up(project({"devrun.toml": toml, "main.py": source}))
    stack.wait_ready()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stack.get, "api")
        stack.wait_line(r"paused api: main\.py:\d+")
        command = [sys.executable, "-m", "devrun", "attach", "api"]
        lines = "p VERSION + 40\n!VERSION = 2\ninteract\nprint('in', VERSION)\n"  # the end of the input ends both
        done = subprocess.run(
            command, cwd=stack.folder, env=clean_environ(), input=lines, capture_output=True, text=True, timeout=20
        )
        assert "(Pdb) 41\n" in done.stdout, done
        assert "in 2\n" in done.stdout
        assert answer.result(20).status_code == 200
    stack.wait_line(r"resumed api")

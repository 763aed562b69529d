"""The control socket of a real stack: who may reach it, what it answers, and that no client disturbs anything."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devrun.control.address import LONGEST, locate, own, pointer
from devrun.control.asking import refusal
from devrun.control.client import LauncherError, NobodyListensError, ask
from devrun.control.fields import RefusedError
from devrun.control.listening import listening
from devrun.control.protocol import LONGEST_REQUEST, AskStatus, Request
from devrun.control.server import BEAT, MOST_CLIENTS, Server
from devrun.errors import DevrunError, NoStackError, UnknownNameError
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import DEADLINE, Stack, wait_until
from tests.live.apps import TOML, answering

GOOD = {"devrun.toml": TOML, "main.py": answering("'x'")}
STATUS = b'{"v":1,"ask":"status"}\n'


@contextmanager
def connected(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(DEADLINE)
        client.connect(path)
        yield client


def lines_of(client: socket.socket) -> Iterator[dict[str, Any]]:
    with client.makefile("rb") as answers:
        for line in answers:
            yield json.loads(line)


def state_dir(stack: Stack) -> str:
    return str(stack.folder / ".devrun")


def status_of(stack: Stack, **options: object) -> Mapping[str, Any]:
    return ask(state_dir(stack), "status", options)


# --- with a real stack ----------------------------------------------------------------------------------------------


def test_it_answers_how_the_stack_is(project: ProjectBuilder, up: StackStarter) -> None:
    toml = TOML + "[apps.bad]\napp = 'bad:app'\n"
    stack = up(project({**GOOD, "devrun.toml": toml, "bad.py": "import nowhere\n"}))
    stack.wait_line(r"^\[devrun\] ready api")
    wait_until(lambda: status_of(stack)["apps"][1]["state"] == "broken")
    told = status_of(stack)
    api, bad = told["apps"]
    assert (told["v"], told["stack"], told["folder"]) == (1, "project", str(stack.folder))
    assert (told["pid"], told["stage"], "details" in told) == (stack.process.pid, "up", False)
    assert (api["name"], api["state"], api["url"], api["why"]) == ("api", "ready", stack.url("api"), "")
    assert api["pid"] in stack.pids() and bad["pid"] in stack.pids()
    assert bad["trouble"] == {
        "kind": "import",
        "summary": "ModuleNotFoundError: No module named 'nowhere'",
        "file": "bad.py",
        "line": 1,
        "text": bad["trouble"]["text"],
    }
    assert bad["trouble"]["text"].startswith("Traceback (most recent call last):\n")
    assert told["up_seconds"] > api["up_seconds"] > 0


def test_it_follows_reloads(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    before = status_of(stack)["apps"][0]
    (stack.folder / "main.py").write_text(answering("'y'"))
    stack.wait_line(r"^\[devrun\] ready api")
    wait_until(lambda: status_of(stack)["apps"][0]["reloads"])
    after = status_of(stack)["apps"][0]
    assert (before["reloads"], before["reload_seconds"], after["reloads"]) == (0, None, 1)
    assert after["reload_seconds"] > 0 and after["pid"] != before["pid"]


def test_details_know_every_process_of_the_stack(project: ProjectBuilder, up: StackStarter) -> None:
    head = "import subprocess; child = subprocess.Popen(['sleep', '60'])"
    stack = up(project({**GOOD, "main.py": answering("'x'", head)}))
    stack.wait_ready()
    told = status_of(stack, verbose=True)["details"]
    assert told["engines"]["api"]["engine"] in ("fork", "spawn")
    kinds = {kind["kind"]: kind for kind in told["memory"]["kinds"]}
    assert sum(kind["processes"] for kind in kinds.values()) == len(stack.pids())
    assert {"launcher", "guard", "workers", "children of workers"} <= kinds.keys() and "others" not in kinds
    assert kinds["workers"]["processes"] == kinds["children of workers"]["processes"] == 1
    assert all(kind["bytes"] > 2**16 for kind in kinds.values())
    servers = [server for server in told["fork_servers"] if server["pid"] is not None]
    assert len(servers) == kinds.get("fork servers", {"processes": 0})["processes"]


def test_nobody_else_may_reach_it_and_nothing_stays(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    path = own(state_dir(stack))
    assert stat.S_ISSOCK(os.stat(path).st_mode) and stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(state_dir(stack)).st_mode) == 0o700
    with connected(path) as idle:
        assert stack.stop() == 0
        assert idle.recv(1) == b""
    assert not os.path.lexists(path)
    with pytest.raises(NobodyListensError):
        status_of(stack)


def test_it_answers_while_the_stack_goes_down(project: ProjectBuilder, up: StackStarter) -> None:
    head = "import asyncio\nasync def slow(): await asyncio.sleep(1.5)\n"
    source = answering("'x'", head).replace("lifespan(receive, send)\n", "lifespan(receive, send, None, slow)\n")
    stack = up(project({**GOOD, "main.py": source}))
    stack.wait_ready()
    stack.signal(signal.SIGINT)
    told = wait_until(lambda: status_of(stack)["stage"] == "stopping" and status_of(stack))
    assert told["apps"][0]["state"] == "stopping"
    assert stack.wait_exit() == 0


def test_many_ask_at_once(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()

    def asks(number: int) -> int:
        with connected(own(state_dir(stack))) as client:
            client.sendall(STATUS * 20)
            client.shutdown(socket.SHUT_WR)
            return sum(line["data"]["stage"] == "ready" for line in lines_of(client))

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(asks, range(50))) == [20] * 50


def test_rude_clients_disturb_neither_the_stack_nor_others(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    path = own(state_dir(stack))
    stop = threading.Event()

    def floods() -> None:
        """Ask without end and never read."""
        with connected(path) as client:
            client.settimeout(0.1)
            while not stop.is_set():
                try:
                    client.sendall(STATUS * 100)
                except OSError:  # full, as nobody reads; the start of a line may be lost, which is rude, too
                    stop.wait(0.05)

    def vanishes() -> None:
        while not stop.wait(0.001):
            # EAGAIN: so many have come that no more may wait.
            with suppress(BlockingIOError, BrokenPipeError), connected(path) as client:
                client.sendall(STATUS * 3 + STATUS[:7])

    rude = [threading.Thread(target=target) for target in (floods, floods, vanishes)]
    for thread in rude:
        thread.start()
    try:
        for _ in range(20):
            assert status_of(stack)["stage"] == "ready"
            assert stack.get("api").text == "x"
        (stack.folder / "main.py").write_text(answering("'y'"))
        stack.wait_text("api", "y")
    finally:
        stop.set()
        for thread in rude:
            thread.join()
    assert stack.stop() == 0
    assert stack.errors == []


VALID: list[dict[str, object]] = [
    {"ask": "status"},
    {"ask": "status", "verbose": 3},
    {"ask": "wait", "seconds": 0},
    {"ask": "wait", "apps": ["api"], "or_broken": True, "seconds": 0.01},
    {"ask": "logs", "last": 3},
    {"ask": "logs", "apps": ["nobody"]},
    {"ask": "endpoints"},
    {"ask": "stop", "apps": []},
    {"ask": "start", "apps": ["api"]},
]
ORDERS: list[dict[str, object]] = [
    {"ask": "restart"},
    {"ask": "stop", "apps": ["api"]},
    {"ask": "start", "apps": ["api"]},
    {"ask": "restart", "apps": ["api"]},
]
ENDLESS: list[dict[str, object]] = [
    {"ask": "logs", "follow": True},
    {"ask": "endpoints", "follow": True},
    {"ask": "wait", "apps": ["api"]},
]
REQUESTS = 50
EXAMPLES = 105
"""Ten thousand requests and some more."""


def lines(documents: list[dict[str, object]]) -> st.SearchStrategy[bytes]:
    return st.sampled_from([json.dumps({"v": 1, **document}).encode() for document in documents])


sane = st.lists(lines(VALID) | st.binary(max_size=200), min_size=REQUESTS, max_size=REQUESTS)
odd = st.lists(
    lines(VALID + ORDERS + ENDLESS) | st.sampled_from([b"", b"{}", b"[" * 9000, b"\0" * 70000]),
    min_size=REQUESTS,
    max_size=REQUESTS,
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(sane, odd, st.booleans(), lines(ORDERS + [{"ask": "status"}] * 12))
def hypothetical(path: str, sane: list[bytes], odd: list[bytes], cut: bool, order: bytes) -> None:
    """One that waits for all its answers, and one beside it that leaves without them."""
    with connected(path) as client, connected(path) as rude:
        with suppress(OSError):  # it had enough of us: too long
            rude.settimeout(1.0)
            rude.sendall(b"\n".join(odd))
        client.sendall(b"\n".join([*sane, order]) + (b"" if cut else b"\n"))
        client.shutdown(socket.SHUT_WR)
        rude.close()
        answered = [line for line in lines_of(client) if "more" not in line]
    assert all("data" in line or "error" in line for line in answered)
    assert len(answered) == sum(len(part.strip()) > 0 for piece in sane for part in piece.split(b"\n")) + (not cut)


@pytest.mark.timeout(300)
def test_ten_thousand_requests_of_any_kind_harm_nobody(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(GOOD))
    stack.wait_ready()
    check: Callable[[str], None] = hypothetical
    check(own(state_dir(stack)))
    ask(state_dir(stack), "start", {"apps": ["api"]})
    assert ask(state_dir(stack), "wait", {})["apps"][0]["state"] == "ready"
    assert stack.get("api").text == "x"
    assert stack.stop() == 0
    assert stack.errors == []


# --- where it is ----------------------------------------------------------------------------------------------------


def deep(folder: Path) -> Path:
    """A folder whose path is longer than a socket's may be."""
    while len(os.fsencode(folder)) <= LONGEST:
        folder = folder / "a-folder-with-a-long-name"
    folder.mkdir(parents=True)
    return folder


def test_a_long_path_is_got_round(tmp_path: Path, up: StackStarter) -> None:
    folder = deep(tmp_path)
    for name, content in GOOD.items():
        (folder / name).write_text(content)
    stack = up(folder)
    stack.wait_ready()
    path = locate(state_dir(stack))
    assert len(os.fsencode(path)) <= LONGEST and not os.path.lexists(own(state_dir(stack)))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(pointer(state_dir(stack))).st_mode) == 0o600
    assert status_of(stack)["pid"] == stack.process.pid
    assert stack.stop() == 0
    assert not os.path.lexists(os.path.dirname(path)) and not os.path.lexists(pointer(state_dir(stack)))


def test_what_a_killed_launcher_left_is_replaced(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(GOOD)
    first = up(folder, check_env_files=False)
    first.wait_ready()
    first.kill()
    assert os.path.lexists(own(state_dir(first)))
    with pytest.raises(NobodyListensError):
        status_of(first)
    second = up(folder, check_env_files=False)
    second.wait_ready()
    assert status_of(second)["pid"] == second.process.pid


def test_what_a_killed_launcher_left_elsewhere_is_removed(tmp_path: Path) -> None:
    state = deep(tmp_path)
    folder = tempfile.mkdtemp(prefix="devrun-")
    dead = os.path.join(folder, "control.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(dead)
    Path(pointer(str(state))).write_text(dead)
    warnings: list[str] = []
    with listening(state, warnings.append) as listener_:
        assert listener_ is not None and locate(str(state)) != dead
        assert not os.path.exists(folder)
    assert warnings == []


def test_a_copy_of_a_project_leaves_the_socket_of_the_original_alone(tmp_path: Path) -> None:
    state = deep(tmp_path)
    copy = state.with_name("copy")
    with listening(state, print) as listener:
        assert listener is not None
        shutil.copytree(state, copy)
        path = locate(str(state))
        assert locate(str(copy)) == path
        with listening(copy, print):
            assert locate(str(copy)) != path
        assert os.path.lexists(path)
    assert not os.path.lexists(path)


@pytest.mark.parametrize("target", ["/etc/hostname", "/nowhere/devrun-x/control.sock", "", "a\0b"])
def test_a_pointer_to_something_else_harms_nothing(tmp_path: Path, target: str) -> None:
    Path(pointer(str(tmp_path))).write_text(target)
    with pytest.raises(NobodyListensError):
        ask(str(tmp_path), "status", {})
    with listening(tmp_path, print) as listener:
        assert listener is not None and locate(str(tmp_path)) == own(str(tmp_path))
    assert not target.startswith("/etc") or os.path.exists(target)


def test_the_stack_runs_without_a_socket_if_it_must(tmp_path: Path) -> None:
    warnings: list[str] = []
    missing = deep(tmp_path) / "missing"  # neither the socket nor a pointer can be made there
    with listening(missing, warnings.append) as listener:
        assert listener is None
    assert len(warnings) == 1 and "control socket" in warnings[0]


def test_of_a_place_that_takes_no_socket_another_is_chosen(tmp_path: Path) -> None:
    Path(own(str(tmp_path))).mkdir()
    with listening(tmp_path, print) as listener:
        assert listener is not None
        assert locate(str(tmp_path)) != own(str(tmp_path))
        with connected(locate(str(tmp_path))):
            pass


# --- the server alone -----------------------------------------------------------------------------------------------


async def answers(request: Request, more: object) -> Mapping[str, Any]:
    if request == AskStatus(verbose=True):
        raise RefusedError("failed", "no")
    return {"padding": "x" * 100_000}


async def broken(request: Request, more: object) -> Mapping[str, Any]:
    raise KeyError("oops")


def served(
    folder: Path,
    talk: Callable[[str], Any],
    patience: float = DEADLINE,
    answers: Callable[..., Any] = answers,
    beat: float = BEAT,
) -> Any:
    """What ``talk`` returns, called in a thread with the path of a server's socket."""

    async def serve() -> Any:
        with listening(folder, print) as listener:
            assert listener is not None
            server = Server(answers, patience, beat)
            accepting = asyncio.create_task(server.accept(listener))
            try:
                return await asyncio.to_thread(talk, own(str(folder)))
            finally:
                accepting.cancel()
                await server.close()

    return asyncio.run(serve())


def test_requests_are_answered_in_their_order(tmp_path: Path) -> None:
    def talk(path: str) -> list[object]:
        with connected(path) as client:
            for byte in b'\n \n{\n{"v":1,"ask":"status","verbose":true}\n{"v":1,"ask":"x"}\n' + STATUS + b'{"v":1,':
                client.sendall(bytes([byte]))
            client.shutdown(socket.SHUT_WR)
            return [line.get("error") or line["answer"] for line in lines_of(client)]

    assert served(tmp_path, talk) == ["bad-request", "failed", "unknown-request", "status"]


@pytest.mark.parametrize(("length", "said"), [(LONGEST_REQUEST, "status"), (LONGEST_REQUEST + 1, "too-long")])
def test_the_length_of_a_request_has_a_limit(tmp_path: Path, length: int, said: str) -> None:
    def talk(path: str) -> list[object]:
        with connected(path) as client:
            client.sendall(STATUS.rstrip().ljust(length - 1) + b"\n")
            client.shutdown(socket.SHUT_WR)
            return [line.get("error") or line["answer"] for line in lines_of(client)]

    assert served(tmp_path, talk) == [said]


def test_a_line_without_end_is_refused_before_its_end(tmp_path: Path) -> None:
    def talk(path: str) -> object:
        with connected(path) as client:
            client.sendall(b"x" * (LONGEST_REQUEST + 1))
            return next(lines_of(client))["error"]

    assert served(tmp_path, talk) == "too-long"


def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    def talk(path: str) -> None:
        with connected(path) as client:
            client.sendall(STATUS * 1000)
            wait_until(lambda: hung_up(client), "it is still served")

    served(tmp_path, talk, patience=0.2)


def test_a_client_that_says_nothing_is_dropped(tmp_path: Path) -> None:
    def talk(path: str) -> bytes:
        with connected(path) as client:
            client.sendall(STATUS[:5])
            return client.recv(1)

    assert served(tmp_path, talk, patience=0.2) == b""


def hung_up(client: socket.socket) -> bool:
    try:
        client.sendall(b"\n")
    except OSError:
        return True
    return False


def test_the_number_of_clients_has_a_limit(tmp_path: Path) -> None:
    def talk(path: str) -> tuple[object, object]:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(MOST_CLIENTS + 1)]
        try:
            for client in clients:
                client.settimeout(DEADLINE)
                client.connect(path)
            last = next(lines_of(clients[-1]))["error"]
            clients[0].close()
            wait_until(lambda: "answer" in ask_once(path), "the place of one that left is not given to another")
            return last, "answer"
        finally:
            for client in clients:
                client.close()

    assert served(tmp_path, talk) == ("busy", "answer")


def ask_once(path: str) -> dict[str, Any]:
    with connected(path) as client:
        client.sendall(STATUS)
        return next(lines_of(client))


def test_what_goes_wrong_with_an_answer_is_told(tmp_path: Path) -> None:
    told = served(tmp_path, ask_once, answers=broken)
    assert (told["error"], told["message"]) == ("failed", "the launcher could not answer: KeyError: 'oops'")


def test_there_are_signs_of_life_until_the_answer(tmp_path: Path) -> None:
    answering = threading.Event()

    async def slowly(request: Request, more: Callable[[Mapping[str, Any]], Any]) -> Mapping[str, Any]:
        await more({"part": 1})
        while not answering.is_set():
            await asyncio.sleep(0.01)
        return {"part": 2}

    def talk(path: str) -> list[dict[str, Any]]:
        with connected(path) as client:
            client.sendall(STATUS)
            answers = lines_of(client)
            heard = [next(answers) for _ in range(3)]
            answering.set()
            return heard + [next(line for line in answers if "more" not in line)]

    sign = {"v": 1, "answer": "status", "more": True}
    assert served(tmp_path, talk, answers=slowly, beat=0.02) == [
        {**sign, "data": {"part": 1}},
        sign,
        sign,
        {"v": 1, "answer": "status", "data": {"part": 2}},
    ]


def test_nobody_works_for_one_who_has_left(tmp_path: Path) -> None:
    ended = threading.Event()

    async def never(request: Request, more: object) -> Mapping[str, Any]:
        try:
            await asyncio.Event().wait()
            return {}
        finally:
            ended.set()

    def talk(path: str) -> bool:
        with connected(path) as client:
            client.sendall(STATUS)
        return ended.wait(DEADLINE)

    assert served(tmp_path, talk, answers=never, beat=0.02)


# --- the client alone -----------------------------------------------------------------------------------------------


def answering_with(folder: Path, line: bytes) -> Any:
    """What ``ask`` returns when it is answered ``line``."""
    with listening(folder, print) as listener:
        assert listener is not None
        listener.setblocking(True)

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(line)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return ask(str(folder), "status", {})
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [("unknown-name", UnknownNameError, 2), ("going-down", NoStackError, 3), ("busy", LauncherError, 1)],
)
def test_what_is_refused_has_its_exit_code(tmp_path: Path, code: str, kind: type[DevrunError], exit_code: int) -> None:
    line = json.dumps({"v": 1, "error": code, "message": "so it is"}).encode() + b"\n"
    with pytest.raises(LauncherError) as refused:
        answering_with(tmp_path, line)
    error = refusal(refused.value.code, refused.value.said)
    assert (type(error), error.exit_code) == (kind, exit_code) and "so it is" in error.message


def test_the_client_passes_over_signs_of_life_and_parts(tmp_path: Path) -> None:
    parts = b'{"v":1,"answer":"status","more":true}\n{"v":1,"answer":"status","more":true,"data":{"a":0}}\n'
    assert answering_with(tmp_path, parts + b'{"v":1,"answer":"status","data":{"a":1}}\n') == {"a": 1}


def test_the_client_returns_the_data(tmp_path: Path) -> None:
    assert answering_with(tmp_path, b'{"v":1,"answer":"status","data":{"a":1}}\n') == {"a": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"v":1,"error":"busy","message":"more than 100 clients"}\n', "the launcher says: more than 100 clients"),
        (b'{"v":2,"answer":"status","data":{}}\n', "not known here"),
        (b'{"v":1,"answer":"other","data":{}}\n', "not known here"),
        (b'{"v":1,"answer":"status","data":7}\n', "not known here"),
        (b"7\n", "not known here"),
        (b"\n", "not known here"),
    ],
)
def test_the_client_explains_what_it_cannot_use(tmp_path: Path, line: bytes, said: str) -> None:
    with pytest.raises(DevrunError, match=said):
        answering_with(tmp_path, line)


@pytest.mark.parametrize("line", [b"", b'{"v":1,'])
def test_the_client_tells_when_the_launcher_left(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(NobodyListensError):
        answering_with(tmp_path, line)


def test_the_client_does_not_wait_for_ever(tmp_path: Path) -> None:
    with listening(tmp_path, print), pytest.raises(DevrunError, match=r"does not answer within 0\.1 s"):
        ask(str(tmp_path), "status", {}, patience=0.1)

"""Starts what is measured, tells its processes, and ends all of them. Every side gets a project folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.asking import NotReadyError, wait_ready
from tests.benchmarks.environment import Environment
from tests.benchmarks.projects import Sample
from tests.driver import clean_environ, marked, wait_until, write_files

MARK = "DEVRUN_BENCHMARK_MARK"
"""The environment variable by which the processes of one side are known."""
PATIENCE = 60.0
"""Seconds until everything of a side must answer."""
TAIL_BYTES = 20_000
STARTS = 3
"""How often a peer is started anew when another process took the port that was meant for it."""


class Drain:
    """Reads the output of processes, so that they never wait for it, and keeps the end of it for messages."""

    def __init__(self) -> None:
        self._tail = b""
        self._threads: list[threading.Thread] = []

    def add(self, descriptor: int) -> None:
        """Read ``descriptor`` to its end, in a thread of its own, and close it."""
        thread = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _read(self, descriptor: int) -> None:
        while chunk := os.read(descriptor, 65536):
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        os.close(descriptor)

    def text(self) -> str:
        """What was said last."""
        return self._tail.decode("utf-8", "replace")


class Running:
    """The processes of one side, from entering to leaving. ``ports`` is there once it is known."""

    def __init__(self, folder: Path, commands: Iterable[Sequence[str]], path: Path | None = None) -> None:
        self.folder = folder
        self.commands = [list(command) for command in commands]
        self.ports: dict[str, int] = {}
        self.mark = uuid.uuid4().hex
        self.environ = {**clean_environ(), MARK: self.mark}
        if path is not None:
            self.environ["PATH"] = f"{path}{os.pathsep}{self.environ['PATH']}"
        self.drain = Drain()
        self.begun = 0.0
        """``time.perf_counter`` just before the first process was started."""
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Running:
        self.begun = time.perf_counter()
        try:
            for command in self.commands:
                self._processes.append(self._start(command))
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        ours, theirs = os.pipe()
        try:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        finally:
            os.close(theirs)
            self.drain.add(ours)
        return process

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all in order, as Ctrl-C does, and kill what is left after that."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.tree(), timeout=5)
        for left in self.tree():
            with contextlib.suppress(psutil.Error):
                left.kill()
        for process in self._processes:
            process.wait(10)

    def tree(self) -> list[psutil.Process]:
        """Every living process of this side: those that carry its mark, and what descends from those started here."""
        found = {process.pid: process for process in marked(MARK, self.mark)}
        for started in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in psutil.Process(started.pid).children(recursive=True):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found[process.pid] = process
        return list(found.values())

    def ended(self) -> bool:
        """Whether one of the processes that were started here has ended."""
        return any(process.poll() is not None for process in self._processes)

    def wait_ready(self, path: str) -> dict[str, bytes]:
        """Wait until every app has answered ``path`` with 200, one after the other, and return the answers.

        Raises NotReadyError, with what was said last.
        """
        deadline = time.monotonic() + PATIENCE
        try:
            return {name: wait_ready(port, path, deadline, self.ended) for name, port in self.ports.items()}
        except NotReadyError as error:
            raise NotReadyError(f"{error}\n{self.last_words()}") from None

    def last_words(self) -> str:
        """What the processes printed last."""
        return f"{' '.join(self.commands[0])} said:\n{self.drain.text()[-3000:]}"


class Stack(Running):
    """A ``devrun up``. Its ports are those in ``.env``."""

    def __init__(self, folder: Path, sample: Sample, *args: str) -> None:
        super().__init__(folder, [[sys.executable, "-m", "devrun", "up", *args]])
        (folder / ".env").unlink(missing_ok=True)  # of a run that had to be killed
        self._names = list(sample.apps)
        self.told = 0.0
        """``time.perf_counter`` when ``.env`` was there."""

    def wait_told(self) -> None:
        """Wait until ``.env`` is on disk; from then on the ports are known."""
        file = self.folder / ".env"
        deadline = time.monotonic() + PATIENCE
        while not file.exists():  # it is put in place whole
            if time.monotonic() > deadline or self.ended():
                raise NotReadyError(f"no .env was written\n{self.last_words()}")
            time.sleep(0.0005)
        self.told = time.perf_counter()
        found = dict(line.split("=", 1) for line in file.read_text().splitlines() if line[:1].isalpha())
        self.ports = {name: int(found[f"{name.upper()}_PORT"]) for name in self._names}

    def wait_ready(self, path: str) -> dict[str, bytes]:
        if not self.ports:
            self.wait_told()
        return super().wait_ready(path)


class Peers(Running):
    """Other servers, one process an app.

    They get ports that were free a moment ago: most of them cannot take a socket that is bound already, nor tell the
    port that the system chose. (devrun needs no such thing.)
    """

    def __init__(self, folder: Path, sample: Sample, command: Callable[[str, int], Sequence[str]], path: Path) -> None:
        ports = free_ports(len(sample.apps))
        commands = [command(target, port) for target, port in zip(sample.apps.values(), ports, strict=True)]
        super().__init__(folder, commands, path)
        self.ports = dict(zip(sample.apps, ports, strict=True))


class Honcho(Running):
    """A honcho that runs one ``uvicorn --reload`` an app."""

    def __init__(self, folder: Path, sample: Sample, environment: Environment) -> None:
        ports = free_ports(len(sample.apps))
        pairs = list(zip(sample.apps, ports, strict=True))
        lines = [f"{name}: uvicorn {sample.apps[name]} --reload --port {port}\n" for name, port in pairs]
        (folder / "Procfile").write_text("".join(lines))
        super().__init__(folder, [[environment.program("honcho"), "start"]], environment.bin)
        self.ports = dict(pairs)


def free_ports(count: int) -> list[int]:
    """Different ports that are free now. Another process may take one before the peer does."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]


def write_project(
    folder: Path,
    sample: Sample,
    environment: Environment,
    engine: str | None = None,
    uvicorn: Mapping[str, bool | str] | None = None,
) -> Path:
    """Write the project of one side. With ``engine`` it gets a ``devrun.toml`` too."""
    folder.mkdir(parents=True)
    write_files(folder, sample.files)
    if engine is not None:
        (folder / "devrun.toml").write_text(devrun_toml(sample, environment, engine, uvicorn or {}))
    return folder


def devrun_toml(sample: Sample, environment: Environment, engine: str, uvicorn: Mapping[str, bool | str]) -> str:
    """The apps run in the environment of the peers, so that all sides have the same uvicorn and packages."""
    lines = ['name = "bench"', "", "[defaults]", f"python = {json.dumps(str(environment.python))}"]
    if uvicorn:
        settings = ", ".join(f"{key} = {json.dumps(value)}" for key, value in uvicorn.items())
        lines.append(f"uvicorn = {{ {settings} }}")
    lines += ["", "[reload]", f'engine = "{engine}"']
    for name, target in sample.apps.items():
        lines += ["", f"[apps.{name}]", f'app = "{target}"']
    return "\n".join(lines) + "\n"


Starter = Callable[[Path, Sample], Running]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the tools that are compared. ``engine`` is set for devrun."""

    name: str
    make: Starter
    engine: str | None = None
    fastapi_only: bool = False


def sides(environment: Environment, engines: Sequence[str]) -> list[Side]:
    """devrun with each engine, and every peer that the environment holds."""
    found = [Side("devrun" if engine == "auto" else f"devrun ({engine})", _stack, engine=engine) for engine in engines]
    commands: dict[str, Callable[[str, int], Sequence[str]]] = {
        "uvicorn": lambda app, port: ["uvicorn", app, "--reload", "--port", str(port)],
        "granian": lambda app, port: ["granian", "--interface", "asgi", "--reload", "--port", str(port), app],
        "hypercorn": lambda app, port: ["hypercorn", "--reload", "--bind", f"127.0.0.1:{port}", app],
        "fastapi": lambda app, port: ["fastapi", "dev", "--port", str(port), "--entrypoint", app],
        "uvicorn-hmr": lambda app, port: ["uvicorn-hmr", app, "--host", "127.0.0.1", "--port", str(port)],
    }
    titles = {"uvicorn": "uvicorn --reload", "granian": "granian --reload", "hypercorn": "hypercorn --reload"}
    for program, command in commands.items():
        if Path(environment.program(program)).exists():
            title = "fastapi dev" if program == "fastapi" else titles.get(program, program)
            make = _peers(environment, command)
            found.append(Side(title, make, fastapi_only=program == "fastapi"))
    return found


def _stack(folder: Path, sample: Sample) -> Running:
    return Stack(folder, sample, "--plain")


def _peers(environment: Environment, command: Callable[[str, int], Sequence[str]]) -> Starter:
    def make(folder: Path, sample: Sample) -> Running:
        def full(app: str, port: int) -> list[str]:
            program, *rest = command(app, port)
            return [environment.program(program), *rest]

        return Peers(folder, sample, full, environment.bin)

    return make


@contextlib.contextmanager
def started(make: Callable[[], Running], path: str) -> Iterator[Running]:
    """A side that answers ``path``; started again with other ports when it ends before that."""
    for attempt in range(STARTS):
        with make() as running:
            try:
                running.wait_ready(path)
            except NotReadyError:
                if attempt + 1 == STARTS or not running.ended():
                    raise
                continue
            yield running
            return

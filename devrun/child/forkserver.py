"""The fork server: has the installed modules of its apps imported, and forks their workers.

``run`` is called by ``worker.py FD fork``. FD is a stream socket to the launcher; ``forks`` tells what is said on it.

Standard library and uvicorn only, Python 3.9 on.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import importlib
import os
import signal
import socket
import sys
import threading
from typing import Any, Callable

from .channel import Channel
from .forked import Ahead, Forked
from .forks import Forks, Start
from .generators import Generators
from .loading import own_files
from .parking import take_output
from .preloading import preload, uninstalled
from .system import adopt_orphans, outlasts_fork
from .traces import Traces, package_folders

_INSTALLED = (".dist-info", ".egg-info", ".egg-link", ".pth")
_LATE = (
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvicorn.lifespan.on",
)
Work = Callable[[dict[str, Any], Channel, Forked], None]


def run(descriptor: int, work: Work) -> None:
    """Serve until the launcher is gone; ``work`` is what a forked child does."""
    adopt_orphans()
    server = _Server(socket.socket(fileno=descriptor))
    start = server.forks.serve()
    gc.enable()
    end_with(lambda: _be_worker(start, server, work))


class _Server:
    def __init__(self, sock: socket.socket) -> None:
        self.own = own_files()
        self.forks = Forks(sock, self._changed, self._preload)
        self._traces: Traces | None = None
        self._spoiled: list[str] = []
        self._generators = Generators()
        error = _import_uvicorn()
        self._late = _import_what_uvicorn_needs_later()
        self.forks.channel.send({"is": "hello", "pid": os.getpid(), "error": error, "packages": packages()})
        self._early = frozenset(sys.modules)
        self._count_modules()

    def _preload(self, message: dict[str, Any]) -> dict[str, object]:
        if self._traces is None:
            self._traces = Traces(self.own, message["junk"], message["pruned"])
        with self._generators.heard():
            left_out = preload(message["modules"], self.own)
        self._spoiled += left_out  # what the launcher asks for before it has heard of that
        self._traces.complete()
        self._count_modules()
        return {
            "left_out": left_out,
            "modules": [name for name, _ in message["modules"] if name in sys.modules],
            "uninstalled": uninstalled(message["ask_after"]),
        }

    def _count_modules(self) -> None:
        """Before any fork: what a child counted itself it would no longer share."""
        self._imported = len(sys.modules)
        self._preloaded = frozenset(name.partition(".")[0] for name in sys.modules if name not in self._early)

    def ahead(self) -> Ahead:
        """Return what a child finds imported already."""
        return Ahead(self._imported, self._preloaded, self._preloaded | self._late, self._generators)

    def _changed(self) -> list[str]:
        return self._spoiled or ([] if self._traces is None else self._traces.changed())


def _import_uvicorn() -> str | None:
    """Import what every worker needs. Return why none can be forked."""
    try:
        importlib.import_module("uvicorn")
        importlib.import_module(f"{__package__}.serving")
    except ImportError as exc:
        return str(exc)
    # What is imported here is shared. ``random`` seeds itself in every fork, but only where it was imported before.
    own = [f"{__package__}.{name}" for name in ("breakpoints", "debugport", "failure")]
    for name in (*own, "random", "resource", "uvicorn.loops.auto", "uvicorn.loops.asyncio"):
        importlib.import_module(name)
    threads = outlasts_fork(threads=1)
    return None if threads is None else f"something that the interpreter imports when it starts {threads}"


def _import_what_uvicorn_needs_later() -> frozenset[str]:
    """Import what uvicorn imports after the app: its loop, protocols and lifespan. Return the names at the top level.

    What is not installed it does without, too; what one of its settings keeps from being used does no harm.
    """
    before = set(sys.modules)
    for name in _LATE:
        try:
            importlib.import_module(name)
        except Exception:  # as uvicorn's own fall-backs, and a filter may make errors of warnings
            continue
    return frozenset(name.partition(".")[0] for name in sys.modules if name not in before)


def packages() -> str:
    """Return a digest of the interpreter and of all that is installed for it."""
    names: list[str] = []
    for folder in package_folders():
        try:
            names += [name for name in os.listdir(folder) if name.endswith(_INSTALLED)]
        except OSError:
            continue
    text = "\n".join([sys.version, sys.executable, *sorted(names)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _be_worker(start: Start, server: _Server, work: Work) -> None:
    message = start.message
    take_output(start.output)
    channel = Channel(socket.socket(fileno=start.channel))
    order = {**channel.receive(), "fds": start.sockets}
    os.environ.update(message["environ"])
    os.chdir(message["cwd"])
    process = sys.modules.get("multiprocessing.process")
    if process is not None:  # where the processes of a pool look for modules: where it was imported
        process.ORIGINAL_DIR = message["cwd"]  # type: ignore[attr-defined]
    work(order, channel, Forked(start, channel, server.ahead()))


def end_with(target: Callable[[], None]) -> None:
    """Call ``target`` and end the process as the interpreter would, but without returning to who forked it."""
    code: Any = 0
    try:
        target()
    except SystemExit as exc:
        code = exc.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as exc:
        sys.excepthook(type(exc), exc, exc.__traceback__)
        code = 1
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    except BaseException as exc:
        sys.excepthook(type(exc), exc, exc.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit((code or 0) & 0xFF)

"""The source of the probe app: what a process can see of how it was started. Tests write it out as ``probe.py``.

It looks at four moments: the ``top`` of its import, the ``end`` of it (after its module ``leaf``, which the tests
edit), the lifespan's ``startup``, and each ``request``. All that it says is the same from one start to the next, so
that two ways to start it can be compared: kinds of descriptors instead of their numbers, and no pid, port or time.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import ctypes
import faulthandler
import gc
import importlib
import json
import locale
import logging
import multiprocessing
import os
import posix
import resource
import select
import signal
import socket
import stat
import sys
import threading
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

LOADED_BEFORE = frozenset(sys.modules)
"""Not what this module itself imports: that is the same on all sides by its own doing."""
# Not os.getpid: nobody could go on from an import that has asked it.
TOP_PID, TOP_PARENT = posix.getpid(), os.getppid()
PR_GET_PDEATHSIG, PR_GET_CHILD_SUBREAPER = 2, 37


def kind(thing: object) -> str:
    """The name of a class, a function or an object's class."""
    named = thing if isinstance(thing, type) or hasattr(thing, "__qualname__") else type(thing)
    return f"{getattr(named, '__module__', '?')}.{getattr(named, '__qualname__', '?')}"


def main_module() -> dict[str, Any]:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    return {
        "name": main.__name__,
        "file": getattr(main, "__file__", None),
        "spec": spec and spec.name,
        "package": getattr(main, "__package__", None),
        "loader": kind(getattr(main, "__loader__", None)),
    }


def loop() -> dict[str, Any]:
    """No more than a look at the loop: an engine may notice its use during the import, and act on it."""
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    return {
        "running": running and kind(type(running)),
        "tasks": {} if running is None else dict(Counter(map(coroutine, asyncio.all_tasks()))),
        "policy": kind(asyncio.get_event_loop_policy()),
        "asyncgen hooks": [hook is not None for hook in sys.get_asyncgen_hooks()],
        "origin depth": sys.get_coroutine_origin_tracking_depth(),
    }


def loop_in_use() -> dict[str, Any]:
    running = asyncio.get_running_loop()
    return {
        "debug": running.get_debug(),
        "task factory": repr(running.get_task_factory()),
        "exception handler": repr(running.get_exception_handler()),
        "slow": running.slow_callback_duration,
    }


def coroutine(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "?")


def handler(one: logging.Handler) -> dict[str, Any]:
    formatter = one.formatter
    stream = getattr(one, "stream", None)
    return {
        "class": kind(one),
        "level": one.level,
        "formatter": formatter and kind(formatter),
        "format": formatter and formatter._fmt,
        "dates": formatter and formatter.datefmt,
        "colors": getattr(formatter, "use_colors", None),
        "stream": getattr(stream, "name", None),
        "filters": [kind(each) for each in one.filters],
    }


def logger(name: str | None) -> dict[str, Any]:
    one = logging.getLogger(name)
    return {
        "level": one.level,
        "handlers": [handler(each) for each in one.handlers],
        "filters": [kind(each) for each in one.filters],
        "propagate": one.propagate,
        "disabled": one.disabled,
    }


def loggers() -> dict[str, Any]:
    # Not getLogger for names that nobody has asked for: that would make them.
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("uvicorn", "asyncio")]
    return {
        **{name: logger(name) for name in sorted(names)},
        "root": logger(None),
        "names": sorted(logging.root.manager.loggerDict),
        "disable": logging.root.manager.disable,
        "class": kind(logging.getLoggerClass()),
        "record": kind(logging.getLogRecordFactory()),
        "last resort": logging.lastResort and logging.lastResort.level,
        "warnings captured": kind(warnings.showwarning),
        "level 5": logging.getLevelName(5),
    }


def signals() -> dict[str, Any]:
    handlers: dict[str, Any] = {}
    for one in sorted(signal.valid_signals()):
        found = signal.getsignal(one)
        # Real-time signals have no names of their own in the enumeration.
        name = getattr(one, "name", f"SIG{int(one)}")
        handlers[name] = found.name if isinstance(found, signal.Handlers) else found and kind(found)
    in_main = threading.current_thread() is threading.main_thread()
    wakeup = signal.set_wakeup_fd(-1) if in_main else -1
    if in_main:
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    return {
        "handlers": handlers,
        "blocked": sorted(int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "pending": sorted(int(one) for one in signal.sigpending()),
        "alarm": signal.getitimer(signal.ITIMER_REAL),
        "wakeup descriptor": wakeup >= 0,
    }


def numbers() -> list[int]:
    """The open descriptors, without the one by which the folder is read."""
    return [number for number in sorted(map(int, os.listdir("/proc/self/fd"))) if is_open(number)]


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def descriptor(number: int) -> str:
    """What a descriptor is, and whether children get it."""
    mode = os.fstat(number).st_mode
    name = os.readlink(f"/proc/self/fd/{number}")
    if stat.S_ISSOCK(mode):
        with socket.socket(fileno=os.dup(number)) as one:
            what = "listening" if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) else "connected"
            name = f"{what} {one.family.name} {one.type.name}"
    elif name.startswith("pipe:"):
        name = "pipe"
    return f"{name}{', inherited' if os.get_inheritable(number) else ''}"


def descriptors() -> dict[str, Any]:
    found: Counter[str] = Counter()
    standard: dict[str, str] = {}
    for number in numbers():
        if number > 2:
            found[descriptor(number)] += 1
        else:
            standard[str(number)] = descriptor(number)
    return {"standard": standard, "others": dict(found)}


def listening() -> list[str]:
    """Options of the listening sockets that an app could come to feel."""
    found: list[str] = []
    for number in numbers():
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            continue
        with socket.socket(fileno=os.dup(number)) as one:
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                reuse = one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
                delay = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                found.append(f"{one.getsockname()[0]} reuse={reuse} nodelay={delay} timeout={one.gettimeout()}")
    return found


def stream(one: Any) -> dict[str, Any]:
    names = ("name", "mode", "encoding", "errors", "line_buffering", "write_through", "newlines")
    found = {name: getattr(one, name, None) for name in names}
    return {**found, "class": kind(one), "buffer": kind(one.buffer), "tty": one.isatty(), "number": one.fileno()}


def threads() -> dict[str, Any]:
    return {
        "python": sorted(one.name for one in threading.enumerate()),
        "system": len(os.listdir("/proc/self/task")),
        "in main": threading.main_thread() is threading.current_thread(),
        "main": threading.main_thread().name,
        "main is the process": threading.main_thread().native_id == posix.getpid(),
        "hooks": [kind(threading.excepthook), repr(threading.gettrace()), repr(threading.getprofile())],
        "stack size": threading.stack_size(),
    }


def limits() -> dict[str, Any]:
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def prctl(option: int) -> int:
    value = ctypes.c_int()
    ctypes.CDLL(None).prctl(option, ctypes.byref(value))
    return value.value


def process() -> dict[str, Any]:
    return {
        "cwd": os.getcwd(),
        "leads its group": os.getpgrp() == posix.getpid(),
        "leads its session": os.getsid(0) == posix.getpid(),
        "terminal": has_terminal(),
        "umask": umask(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "processors": sorted(os.sched_getaffinity(0)),
        "ids": [os.getresuid(), os.getresgid(), sorted(os.getgroups())],
        "limits": limits(),
        "status": status(("SigBlk", "SigIgn", "NoNewPrivs", "Seccomp", "CapEff", "THP_enabled")),
        "death signal": prctl(PR_GET_PDEATHSIG),
        "subreaper": prctl(PR_GET_CHILD_SUBREAPER),
        "core filter": read("/proc/self/coredump_filter"),
        "out of memory": read("/proc/self/oom_score_adj"),
        "children": children(),
        "pid as at the top": posix.getpid() == TOP_PID,
        "parent as at the top": os.getppid() == TOP_PARENT,
    }


def has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def umask() -> str:
    mask = os.umask(0)
    os.umask(mask)
    return oct(mask)


def read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


def status(names: tuple[str, ...]) -> dict[str, str]:
    lines = (line.partition(":") for line in read("/proc/self/status").splitlines())
    return {name: value.strip() for name, _, value in lines if name in names}


def children() -> str:
    """Whether ``wait`` would find a child."""
    try:
        return "running" if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None else "ended"
    except ChildProcessError:
        return "none"


def interpreter() -> dict[str, Any]:
    return {
        "path": sys.path,
        "argv": sys.argv,
        "original argv": sys.orig_argv,
        # pip and venv name one interpreter in several ways: python, python3, python3.11.
        "executable": [os.path.dirname(sys.executable), os.path.realpath(sys.executable)],
        "prefix": [sys.prefix, sys.exec_prefix, sys.base_prefix],
        "flags": repr(sys.flags),
        "options": {str(key): str(value) for key, value in sys._xoptions.items()},
        "warn options": sys.warnoptions,
        "filters": [repr(each) for each in warnings.filters],
        "byte code": [sys.dont_write_bytecode, sys.pycache_prefix],
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug(), len(gc.callbacks)],
        "frozen objects": gc.get_freeze_count() > 0,
        "meta path": [kind(each) for each in sys.meta_path],
        "path hooks": [kind(each) for each in sys.path_hooks],
        "recursion limit": sys.getrecursionlimit(),
        "switch interval": sys.getswitchinterval(),
        "digits": sys.get_int_max_str_digits(),
        "hooks": [kind(each) for each in (sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook)],
        "tracing": [repr(sys.gettrace()), repr(sys.getprofile()), tracemalloc.is_tracing(), faulthandler.is_enabled()],
        "contextvars": sorted(each.name for each in contextvars.copy_context()),
        "atexit": atexit._ncallbacks(),
        "multiprocessing": [
            repr(multiprocessing.parent_process()),
            multiprocessing.current_process().name,
            multiprocessing.get_start_method(allow_none=True),
        ],
        "socket timeout": socket.getdefaulttimeout(),
        "locale": [locale.setlocale(locale.LC_ALL), locale.getencoding(), sys.getfilesystemencoding(), time.tzname],
    }


def modules(names: Iterable[str]) -> dict[str, bool]:
    """Packages, and whole names only of those whose parts matter here."""
    return {name if name.startswith(("uvicorn.", "asyncio.")) else name.partition(".")[0]: True for name in names}


def stdin() -> str:
    """What is there to read: nothing, some of it, or what keeps one waiting."""
    if not select.select([0], [], [], 0)[0]:
        return "waits"
    return "end" if not os.read(0, 1) else "data"


LOOKS: dict[str, Callable[[], Any]] = {
    "main": main_module,
    "loop": loop,
    "logging": loggers,
    "signals": signals,
    "descriptors": descriptors,
    "listening": listening,
    "threads": threads,
    "process": process,
    "python": interpreter,
    "environ": lambda: dict(os.environ),
    "streams": lambda: {str(n): stream(one) for n, one in enumerate((sys.stdin, sys.stdout, sys.stderr))},
    "real streams": lambda: [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    "stdin": stdin,
}


def snapshot() -> dict[str, Any]:
    # Descriptors first: other looks may leave some open for a moment.
    return {"descriptors": descriptors(), **{name: look() for name, look in LOOKS.items() if name != "descriptors"}}


# Before and after a module of the app's own that changes: an engine may keep the state of the process in between.
SEEN: dict[str, Any] = {"top": {**snapshot(), "modules": modules(LOADED_BEFORE)}}
VERSION: int = importlib.import_module("leaf").VERSION
SEEN["end"] = {**snapshot(), "name": __name__, "file": __file__, "modules": modules(sys.modules)}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        SEEN["startup"] = {**snapshot(), "loop in use": loop_in_use()}
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    now = {**snapshot(), "loop in use": loop_in_use(), "scope": described(scope)}
    said = VERSION if scope["path"] == "/version" else {**SEEN, "request": now}
    body = json.dumps(said, default=str).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def described(scope: Any) -> dict[str, Any]:
    same = {name: value for name, value in scope.items() if name not in ("client", "server", "headers")}
    return {**same, "keys": sorted(scope), "host": scope["server"][0]}

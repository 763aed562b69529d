"""Kinds of apps that a launcher can trip over: each behaves as under uvicorn, also after reloads.

What an app does is measured under the installed uvicorn in the same test, never assumed. An app consists of ``early``
(the kind's own code), ``leaf`` (which the test edits to make a reload) and ``main``, which imports them in this order:
an engine that goes on from the middle of an import has run ``early`` in another process.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack, wait_until, write_files
from tests.live.apps import RESPOND
from tests.live.test_interpreters import PIP_SECONDS, Pairing, environments, install
from tests.live.test_parity import ENGINES, Uvicorn, activated, devrun_toml

__all__ = ["environments"]

# Besides the test itself, an environment may have to be made, or waited for.
pytestmark = pytest.mark.timeout(60 + PIP_SECONDS)

RELOADS = 2

MAIN = f"""
import early
import leaf
import inspect, json
{RESPOND}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send, getattr(early, "startup", None), getattr(early, "shutdown", None))
    name = scope["path"].lstrip("/")
    if name == "version":
        return await respond(send, leaf.VERSION)
    try:
        said = getattr(early, name)()
        if inspect.isawaitable(said):
            said = await said
    except Exception as error:
        said = f"{{type(error).__name__}}: {{error}}"
    await respond(send, json.dumps(said))
"""

TRACE = """
import os, posix
FOLDER = os.path.dirname(os.path.abspath(__file__))

def trace(text):
    # A file that is there, and not os.getpid: else no import could be gone on from.
    with open(os.path.join(FOLDER, "traces"), "a") as file:
        print(posix.getpid(), text, file=file)
"""


@dataclass(frozen=True)
class Kind:
    """One kind of app. ``asks``: functions of ``early`` that are called in this order, a request each.

    ``prints``: patterns of lines that both sides must print.
    ``packages``: installed next to uvicorn in an environment of the kind's own; none: the one that the tests run in.
    """

    early: str
    asks: tuple[str, ...] = ()
    prints: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    packages: tuple[str, ...] = ()

    def sources(self) -> dict[str, str]:
        early = TRACE + textwrap.dedent(self.early)
        return {**self.files, "traces": "", "early.py": early, "leaf.py": "VERSION = 0\n", "main.py": MAIN}


@dataclass(frozen=True)
class Life:
    """What a process answered, and what each of the processes of a kind wrote down, whatever their order."""

    answers: list[Any]
    traces: Counter[tuple[str, ...]]


def ask(get: Callable[[str], httpx.Response], kind: Kind, folder: Path) -> list[Any]:
    """What it answers. Two processes of one kind are in folders of their own."""
    return [(name, json.loads(get(f"/{name}").text.replace(str(folder), "FOLDER"))) for name in kind.asks]


def traces(folder: Path) -> Counter[tuple[str, ...]]:
    lines = (line.partition(" ") for line in (folder / "traces").read_text().splitlines())
    found: dict[str, list[str]] = {}
    for process, _, text in lines:
        found.setdefault(process, []).append(text)
    return Counter(map(tuple, found.values()))


def prints_all(patterns: tuple[str, ...], lines: Callable[[], list[str]]) -> Callable[[], bool]:
    return lambda: all(any(re.search(pattern, line) for line in lines()) for pattern in patterns)


def python_of(kind: Kind, environments: Path) -> Path:
    """The interpreter that a kind needs; the test is skipped where it cannot be made."""
    if not kind.packages:
        return Path(sys.executable)
    return install(Pairing("{}.{}".format(*sys.version_info), ("uvicorn", *kind.packages)), environments)


@pytest.fixture(scope="module")
def under_uvicorn(tmp_path_factory: pytest.TempPathFactory, environments: Path) -> Callable[[str], Life]:
    """The life of a kind under uvicorn, measured once for all engines."""

    @cache
    def measure(name: str) -> Life:
        kind = KINDS[name]
        folder = write_files(tmp_path_factory.mktemp(name), kind.sources())
        with Uvicorn(folder, "main:app", python=python_of(kind, environments)) as server:
            server.wait_ready()
            answers = ask(server.get, kind, folder)
            server.stop()
            wait_until(prints_all(kind.prints, lambda: server.lines), f"{kind.prints} are not printed")
        return Life(answers, traces(folder))

    return measure


def reload(stack: Stack, folder: Path, version: int) -> None:
    (folder / "leaf.py").write_text(f"VERSION = {version}\n")
    stack.wait_text("api", str(version), "/version")


KINDS = {
    "process pools": Kind(
        """
        import asyncio, concurrent.futures, multiprocessing, sys

        def facts(number):
            parent = multiprocessing.parent_process()
            again = sorted(name for name in sys.modules if name in ("__mp_main__", "early", "main"))
            return [2 * number, parent is not None and parent.name, again, os.getcwd() == FOLDER, sys.path[0]]

        def pool(method):
            return concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context(method))

        async def in_pool(executor):
            return await asyncio.get_running_loop().run_in_executor(executor, facts, 21)

        SPAWN, FORKSERVER = pool("spawn"), pool("forkserver")

        async def spawn_of_import():
            return await in_pool(SPAWN)

        async def forkserver_of_import():
            return await in_pool(FORKSERVER)

        async def spawn_of_request():
            with pool("spawn") as executor:
                return await in_pool(executor)

        async def forkserver_of_request():
            with pool("forkserver") as executor:
                return await in_pool(executor)
        """,
        ("spawn_of_import", "forkserver_of_import", "spawn_of_request", "forkserver_of_request"),
    ),
    "subprocesses": Kind(
        """
        import asyncio, subprocess, sys
        SEEN = '''
        import os, signal
        signals = [str(signal.getsignal(number)) for number in (1, 2, 3, 13, 15, 17)]
        print(sorted(int(name) for name in os.listdir("/proc/self/fd")), signals, os.getpgrp() == os.getppid())
        '''
        LIVING = subprocess.Popen(["sleep", "600"])

        def python(code, **options):
            return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options).stdout

        def output():
            import textwrap
            return python(textwrap.dedent(SEEN)), python(textwrap.dedent(SEEN), close_fds=False)

        def stdin():
            return python("import sys; print(repr(sys.stdin.read()))")

        def prints():
            return subprocess.run(["echo", "said by a child"]).returncode, os.system("echo said by a shell; exit 3")

        async def by_asyncio():
            child = await asyncio.create_subprocess_exec("sh", "-c", "echo hello; exit 4", stdout=-1)
            out, _ = await child.communicate()
            return out.decode(), child.returncode

        def lives_on():
            return LIVING.poll()

        def ends():
            LIVING.terminate()
            return LIVING.wait(10)
        """,
        ("output", "stdin", "prints", "by_asyncio", "lives_on", "ends"),
        prints=("said by a child$", "said by a shell$"),
    ),
    "children": Kind(
        """
        import multiprocessing, signal, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork in a process with threads

        def wait():
            return os.wait()

        def wait_for_any():
            return os.waitpid(-1, os.WNOHANG)

        def fork():
            pid = os.fork()
            if not pid:
                os._exit(7)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        def work(end):
            end.send([6 * 7, multiprocessing.current_process().name, multiprocessing.parent_process().name])

        def process(method="fork"):
            context = multiprocessing.get_context(method)
            ours, theirs = context.Pipe()
            child = context.Process(target=work, args=(theirs,), name="child")
            child.start()
            said = ours.recv()
            child.join(10)
            return said, child.exitcode, len(multiprocessing.active_children())

        def spawned():
            return process("spawn")

        def notified():
            heard = []
            before = signal.signal(signal.SIGCHLD, lambda *args: heard.append("child"))
            try:
                return fork(), heard
            finally:
                signal.signal(signal.SIGCHLD, before)
        """,
        ("wait", "wait_for_any", "fork", "process", "notified", "wait", "spawned"),
    ),
    "threads": Kind(
        """
        import asyncio, concurrent.futures, queue, threading

        class Echo(threading.Thread):
            def __init__(self, name, daemon):
                super().__init__(name=name, daemon=daemon)
                self.inbox, self.outbox = queue.Queue(), queue.Queue()
                self.start()

            def run(self):
                while True:
                    self.outbox.put(self.inbox.get() * 2)

            def ask(self):
                self.inbox.put(21)
                return self.outbox.get(timeout=10)

        ECHOES = [Echo("of the import", True), Echo("that does not end", False)]
        POOL = concurrent.futures.ThreadPoolExecutor(2, "pool")
        EARLY = POOL.submit(lambda: threading.current_thread().name)
        FIRED = threading.Event()
        threading.Timer(0.01, FIRED.set).start()
        LOCK = threading.Lock()

        async def startup():
            ECHOES.append(Echo("of the startup", True))

        def echoes():
            return [echo.ask() for echo in ECHOES], FIRED.wait(10)

        def pool():
            return EARLY.result(10), POOL.submit(sum, (1, 2)).result(10)

        async def default():
            def count():
                with LOCK:
                    return threading.main_thread() is threading.current_thread()
            return await asyncio.get_running_loop().run_in_executor(None, count)

        def names():
            return sorted(thread.name for thread in threading.enumerate() if not isinstance(thread, threading.Timer))
        """,
        ("echoes", "pool", "names", "default"),
    ),
    "the loop, at import": Kind(
        # uvicorn imports the app before it has a loop (0.47 on).
        """
        import asyncio

        async def work():
            return 42

        WORK = work()
        try:
            asyncio.create_task(WORK)
            SAID = "made"
        except RuntimeError as error:
            SAID = str(error)
            WORK.close()
        try:
            LOOP = asyncio.get_running_loop()
        except RuntimeError as error:
            LOOP = str(error)

        def said():
            return SAID, LOOP
        """,
        ("said",),
    ),
    "asyncio.run, at import": Kind(
        """
        import asyncio

        async def something():
            await asyncio.sleep(0)
            return 42

        SAID = asyncio.run(something())

        def said():
            return SAID
        """,
        ("said",),
    ),
    "asyncio's own, at import": Kind(
        """
        import asyncio, contextvars
        LOCK, QUEUE, EVENT, SEMAPHORE = asyncio.Lock(), asyncio.Queue(), asyncio.Event(), asyncio.Semaphore(1)
        NAME = contextvars.ContextVar("name", default="default")
        NAME.set("set at import")

        async def waits():
            async with LOCK, SEMAPHORE:
                waiting = asyncio.gather(QUEUE.get(), EVENT.wait(), asyncio.create_task(also()))
                await asyncio.sleep(0)
                QUEUE.put_nowait("item")
                EVENT.set()
            return await waiting

        async def also():
            async with LOCK, SEMAPHORE:
                return "also"

        def context():
            return NAME.get()
        """,
        ("waits", "context"),
    ),
    "atexit": Kind(
        """
        import asyncio, atexit, sys, weakref
        atexit.register(trace, "atexit")

        class Thing:
            pass

        THING = Thing()
        weakref.finalize(THING, trace, "finalizer")
        HOLD = []

        async def background():
            try:
                await asyncio.sleep(600)
            finally:
                trace("the task ends")

        async def startup():
            trace("startup")
            HOLD.append(asyncio.create_task(background()))
            atexit.register(trace, "atexit, of the startup")

        async def shutdown():
            trace("shutdown")
        """,
    ),
    "signals": Kind(
        """
        import asyncio, signal
        HEARD = []
        signal.signal(signal.SIGUSR1, lambda *args: HEARD.append("import"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, lambda *args: HEARD.append("alarm"))
        signal.setitimer(signal.ITIMER_REAL, 0.01)

        async def startup():
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, HEARD.append, "loop")

        async def heard():
            for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR2):
                os.kill(os.getpid(), number)
            for _ in range(1000):
                if len(HEARD) == 3:
                    break
                await asyncio.sleep(0.01)
            return sorted(HEARD)
        """,
        ("heard",),
    ),
    "state that is set at import": Kind(
        """
        import decimal, faulthandler, gc, locale, logging, socket, sys, warnings

        def state():
            return {
                "cwd": os.path.relpath(os.getcwd(), FOLDER),
                "variable": os.environ.get("SET_AT_IMPORT"),
                "path": [entry for entry in sys.path if entry.endswith("more") or not entry],
                "handlers": [str(type(handler)) for handler in logging.getLogger().handlers],
                "level": logging.getLogger().level,
                "filters": [repr(one) for one in warnings.filters],
                "limit": sys.getrecursionlimit(),
                "gc": (gc.isenabled(), gc.get_threshold(), len(gc.callbacks)),
                "umask": umask(),
                "socket": socket.getdefaulttimeout(),
                "decimal": decimal.getcontext().prec,
                "hook": sys.excepthook.__name__,
                "faulthandler": faulthandler.is_enabled(),
                "locale": locale.setlocale(locale.LC_ALL),
                "trace": repr(sys.getprofile()),
            }

        def umask():
            mask = os.umask(0)
            os.umask(mask)
            return mask

        BEFORE = state()
        os.environ["SET_AT_IMPORT"] = os.environ.get("SET_AT_IMPORT", "") + "x"
        os.makedirs(os.path.join(FOLDER, "elsewhere"), exist_ok=True)
        os.chdir(os.path.join(FOLDER, "elsewhere"))
        sys.path.insert(0, FOLDER)  # the working directory was the first entry
        sys.path.insert(0, os.path.join(FOLDER, "more"))
        logging.basicConfig(level=logging.DEBUG, format="mine %(message)s")
        warnings.simplefilter("always")
        sys.setrecursionlimit(1234)
        gc.disable()
        gc.set_threshold(5, 6, 7)
        gc.callbacks.append(print if False else (lambda *args: None))
        os.umask(0o077)
        socket.setdefaulttimeout(9)
        decimal.getcontext().prec = 5

        def hook(*args):
            pass

        sys.excepthook = hook
        faulthandler.enable()
        import found_there

        def before():
            return BEFORE

        def after():
            return state(), found_there.VALUE

        def child():
            import subprocess
            shell = "umask; pwd | tail -c 10; echo $SET_AT_IMPORT"
            return subprocess.run(shell, shell=True, capture_output=True, text=True).stdout

        def log():
            logging.getLogger("some.where").info("said by a logger")
            warnings.warn("said by a warning")
            sys.stdout.write("said by a print\\n")
            sys.stderr.write("said by an error\\n")
        """,
        ("before", "after", "child", "log"),
        prints=("mine said by a logger$", "UserWarning: said by a warning$", "said by a print$", "said by an error$"),
        files={"more/found_there.py": "VALUE = 1"},
    ),
    "standard input": Kind(
        """
        import sys

        def read():
            return sys.stdin.read()

        def ask():
            return input("?")
        """,
        ("read", "ask"),
    ),
    "seeds": Kind(
        """
        import random, numpy
        random.seed(7)
        numpy.random.seed(7)
        DRAWN = random.random(), numpy.random.rand()
        MINE = random.Random(7), numpy.random.default_rng(7)

        def drawn():
            return DRAWN

        def next():
            return random.random(), numpy.random.rand(), MINE[0].random(), MINE[1].random()
        """,
        ("drawn", "next", "next"),
        packages=("numpy", "uvloop"),
    ),
    "uvloop": Kind(
        """
        import asyncio, random, signal
        LOCK = asyncio.Lock()
        HOLD = {}

        async def echo(reader, writer):
            writer.write(await reader.read(100))
            writer.close()

        async def startup():
            HOLD["server"] = await asyncio.start_server(echo, "127.0.0.1", 0)

        async def loop():
            running = asyncio.get_running_loop()
            return type(running).__module__, type(running).__name__, type(asyncio.get_event_loop_policy()).__name__

        async def works():
            reader, writer = await asyncio.open_connection(*HOLD["server"].sockets[0].getsockname())
            writer.write(b"echo")
            async with LOCK, asyncio.timeout(10):
                said = (await reader.read()).decode()
            child = await asyncio.create_subprocess_exec("sh", "-c", "echo hello; exit 4", stdout=-1)
            out, _ = await child.communicate()
            return said, out.decode(), child.returncode, await asyncio.to_thread(sum, (1, 2))

        async def signals():
            heard = asyncio.Event()
            running = asyncio.get_running_loop()
            running.add_signal_handler(signal.SIGUSR2, heard.set)
            os.kill(os.getpid(), signal.SIGUSR2)
            await asyncio.wait_for(heard.wait(), 10)
            return running.remove_signal_handler(signal.SIGUSR2)

        async def shutdown():
            trace("shutdown")
        """,
        ("loop", "works", "signals"),
        packages=("numpy", "uvloop"),
    ),
    "names that others have": Kind(
        """
        import importlib, sys

        def whose(name):
            module = importlib.import_module(name)
            return "own" if os.path.abspath(module.__file__ or "").startswith(FOLDER) else "installed"

        # A module of the standard library that uvicorn imports, others, and packages that are installed and are not.
        NAMES = ["calendar", "colorsys", "queue", "this", "click", "httpx", "redis", "yaml", "pydantic", "anyio",
                 "rich", "fastapi", "statistics", "sqlite3", "selectors", "xmlrpc"]
        FOUND = {name: whose(name) for name in NAMES}

        def found():
            return FOUND, {name: whose(name) for name in NAMES}
        """,
        ("found",),
        files={
            **{f"{name}.py": "OWN = True" for name in ("calendar", "colorsys", "queue", "this", "click", "redis")},
            **{f"{name}.py": "OWN = True" for name in ("pydantic", "rich", "fastapi", "statistics", "selectors")},
            **{f"{name}/__init__.py": "OWN = True" for name in ("httpx", "yaml", "anyio", "sqlite3", "xmlrpc")},
        },
    ),
}


def asked(stack: Stack, kind: Kind, folder: Path) -> list[Any]:
    """What the newest worker answers, once it has printed what it should."""
    said = len(stack.lines)
    answers = ask(lambda path: stack.get("api", path), kind, folder)
    wait_until(prints_all(kind.prints, lambda: stack.lines[said:]), f"{kind.prints} are not printed")
    return answers


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", KINDS)
def test_it_behaves_as_under_uvicorn(
    name: str,
    engine: str,
    under_uvicorn: Callable[[str], Life],
    environments: Path,
    project: ProjectBuilder,
    up: StackStarter,
) -> None:
    kind = KINDS[name]
    expected = under_uvicorn(name)
    python = python_of(kind, environments)
    folder = project({**kind.sources(), "devrun.toml": devrun_toml(engine, "main:app", f'python = "{python}"')})
    stack = up(folder, env=activated(python))
    stack.wait_ready()
    for version in range(RELOADS + 1):
        if version:
            reload(stack, folder, version)
        assert asked(stack, kind, folder) == expected.answers, f"after {version} reloads"
    assert stack.stop() == 0
    assert traces(folder) == Counter({trace: count * (RELOADS + 1) for trace, count in expected.traces.items()})


CHANCE = """
import random, secrets, tempfile, uuid
try:
    import numpy
except ImportError:
    numpy = None

def numbers():
    found = {"random": random.random(), "secrets": secrets.token_hex(), "uuid": str(uuid.uuid4())}
    found["tempfile"] = next(tempfile._get_candidate_names())
    if numpy is not None:
        found["numpy.random"] = numpy.random.rand()
        found["numpy"] = numpy.random.default_rng().random()
    return found
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_no_two_processes_draw_the_same_numbers(
    engine: str, environments: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    """Two apps, and each after reloads. What ``early`` draws while it is imported may last over reloads."""
    kind = Kind(CHANCE, packages=("numpy", "uvloop"))
    python = python_of(kind, environments)
    apps = "".join(f'[apps.{name}]\napp = "main:app"\npython = "{python}"\n' for name in ("api", "other"))
    leaf = "import early\nDRAWN = early.numbers()\nearly.drawn = lambda: DRAWN\nVERSION = 0\n"
    folder = project({**kind.sources(), "devrun.toml": f'{apps}[reload]\nengine = "{engine}"\n', "leaf.py": leaf})
    stack = up(folder, env=activated(python))
    stack.wait_ready()
    drawn: list[Mapping[str, Any]] = []
    for version in range(RELOADS + 1):
        (folder / "leaf.py").write_text(leaf.replace("VERSION = 0", f"VERSION = {version}"))
        for app in ("api", "other"):
            stack.wait_text(app, str(version), "/version")
            drawn += [stack.get(app, path).json() for path in ("/drawn", "/numbers", "/numbers")]
    for source in drawn[0]:
        values = [numbers[source] for numbers in drawn]
        assert len(set(values)) == len(values), f"{source} repeats itself: {values}"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", ["sys.exit(5)", "os._exit(5)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_an_import_that_ends_the_process(way: str, engine: str, project: ProjectBuilder, up: StackStarter) -> None:
    """uvicorn ends, and so would the URL: here it answers 503 until the save that mends it (promise 3)."""
    kind = Kind(f"import os, sys\n{way}", ("fine",))
    folder = project({**kind.sources(), "devrun.toml": devrun_toml(engine, "main:app")})
    stack = up(folder)
    stack.wait_line(r"^\[devrun\] broken api: ")
    wait_until(lambda: stack.get("api").status_code == 503)
    (folder / "early.py").write_text("def fine():\n    return 'fine'\n")
    stack.wait_ready()
    assert stack.get("api", "/fine").json() == "fine"


@pytest.mark.parametrize("engine", ENGINES)
def test_what_runs_when_a_worker_ends_by_itself(
    engine: str, tmp_path: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    """After its last request it ends as any Python program does: threads are waited for, and ``atexit`` runs."""
    kind = Kind(
        """
        import atexit, concurrent.futures, threading, time, weakref
        atexit.register(trace, "atexit")
        POOL = concurrent.futures.ThreadPoolExecutor(1)

        class Thing:
            pass

        THING = Thing()
        weakref.finalize(THING, trace, "finalizer")

        ENDING = threading.Event()

        def work():
            ENDING.wait(10)
            time.sleep(0.2)
            trace("pool")

        async def shutdown():
            trace("shutdown")
            ENDING.set()

        def last():
            POOL.submit(work)
            return trace("last")
        """
    )
    reference = write_files(tmp_path / "reference", kind.sources())
    with Uvicorn(reference, "main:app", "--limit-max-requests", "1") as server:
        server.wait_ready()
        server.get("/last")
        server.wait_exit()
    (expected,) = traces(reference)
    settings = "uvicorn = { limit_max_requests = 1 }"
    folder = project({**kind.sources(), "devrun.toml": devrun_toml(engine, "main:app", settings)})
    stack = up(folder)
    stack.wait_ready()
    stack.get("api", "/last")
    stack.wait_line(r"^\[devrun\] exited api: exit code 0; restarting$")
    assert expected in traces(folder)


# --- signals, and what only one can have ------------------------------------------------------------------------------


HANDLERS = Kind(
    """
    import atexit, signal
    atexit.register(trace, "atexit")
    signal.signal(signal.SIGTERM, lambda *args: trace("the app's handler"))

    async def startup():
        trace("startup")

    async def shutdown():
        trace("shutdown")
    """
)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_handler_of_the_apps_comes_after_uvicorns(
    engine: str, tmp_path: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    """uvicorn (0.47 on) imports the app before it takes the signals, and hands them on at its end."""
    reference = write_files(tmp_path / "reference", HANDLERS.sources())
    with Uvicorn(reference, "main:app") as server:
        server.wait_ready()
        server.stop()
    folder = project({**HANDLERS.sources(), "devrun.toml": devrun_toml(engine, "main:app")})
    stack = up(folder)
    stack.wait_ready()
    reload(stack, folder, 1)
    assert stack.stop() == 0
    assert traces(folder) == Counter(dict.fromkeys(traces(reference), 2))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_import_takes_what_only_one_can_have(engine: str, project: ProjectBuilder, up: StackStarter) -> None:
    """A lock, a database file or a fixed port: uvicorn imports the app when the older process is gone."""
    kind = Kind(
        """
        import asyncio, fcntl
        FILE = open("lock", "w")
        fcntl.flock(FILE, fcntl.LOCK_EX | fcntl.LOCK_NB)

        async def slow():
            trace("slow")
            await asyncio.sleep(0.5)
            return "done"
        """
    )
    folder = project({**kind.sources(), "devrun.toml": devrun_toml(engine, "main:app")})
    stack = up(folder)
    stack.wait_ready()
    answers: list[str] = []
    request = threading.Thread(target=lambda: answers.append(stack.get("api", "/slow").json()))
    request.start()
    wait_until(lambda: traces(folder))
    (folder / "leaf.py").write_text("VERSION = 1\n")
    assert stack.wait_line(r"^\[devrun\] (ready|broken) api")[1] == "ready"
    request.join()
    assert answers == ["done"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_module_that_only_devrun_needs(
    engine: str, tmp_path: Path, project: ProjectBuilder, up: StackStarter
) -> None:
    kind = Kind("import sysconfig\ndef own():\n    return sysconfig.OWN", ("own",), files={"sysconfig.py": "OWN = 1"})
    reference = write_files(tmp_path / "reference", kind.sources())
    with Uvicorn(reference, "main:app") as server:
        server.wait_ready()
        expected = ask(server.get, kind, reference)
    folder = project({**kind.sources(), "devrun.toml": devrun_toml(engine, "main:app")})
    stack = up(folder)
    stack.wait_ready()
    assert ask(lambda path: stack.get("api", path), kind, folder) == expected

"""An app cannot tell devrun from ``uvicorn module:app``, but for the differences in ``MEANT``.

The probe app (``parity_probe.py``) says all that a process can see of how it was started: under real uvicorn, and with
each engine when it is first started and after reloads. ``test_app_kinds`` compares what apps do by the same means.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx
import psutil
import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import DEADLINE, MARK, clean_environ, marked, wait_until

# Three servers are started one after the other.
pytestmark = pytest.mark.timeout(120)

SPAWN, FORK = ("spawn",), ("fork",)
ENGINES = SPAWN + FORK
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    # As containers set them.
    "python-variables": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
}
PROBE = Path(__file__).with_name("parity_probe.py")
Flat = dict[str, Any]


class Uvicorn:
    """The installed console script, started in ``folder`` on a port that the system chooses. A context."""

    def __init__(
        self, folder: Path, target: str, *options: str, env: Mapping[str, str] | None = None, python: Path | None = None
    ) -> None:
        self.mark = uuid.uuid4().hex
        self._argv = ["uvicorn", target, "--port", "0", *options]
        self._environ = {**clean_environ(), **activated(python), **(env or {}), MARK: self.mark}
        self._folder = folder
        self.lines: list[str] = []

    def __enter__(self) -> Uvicorn:
        self.process = subprocess.Popen(
            self._argv,  # found on PATH, as when it is typed
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in marked(MARK, self.mark):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        print("\n".join(self.lines))  # pytest shows it where the test failed

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))

    def wait_ready(self) -> None:
        """Wait until the lifespan has started."""
        wait_until(lambda: self._said("startup complete") and self._said("running on"), f"{self._argv} is not ready")

    def _said(self, text: str) -> bool:
        assert self.process.poll() is None, f"{self._argv} has ended"
        return any(text in line for line in self.lines)

    @property
    def url(self) -> str:
        line = next(line for line in self.lines if "running on" in line)
        found = re.search(r"http://\S+", line)
        assert found is not None
        return found[0]

    def get(self, path: str = "/") -> httpx.Response:
        """One request over a connection of its own, past every proxy."""
        with httpx.Client(timeout=DEADLINE, trust_env=False) as client:
            return client.get(self.url + path)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(how)
        return self.wait_exit()

    def wait_exit(self) -> int:
        """Return the exit code, once it has ended by itself."""
        code = self.process.wait(DEADLINE)
        # A process that the app has left behind may hold the output open.
        self._reader.join(1)
        return code


def activated(python: Path | None = None) -> dict[str, str]:
    """PATH as in an activated virtual environment: that of ``python``, or else of this interpreter."""
    return {"PATH": os.pathsep.join((str(Path(python or sys.executable).parent), os.environ["PATH"]))}


def devrun_toml(engine: str, target: str, settings: str = "") -> str:
    return f'[apps.api]\napp = "{target}"\n{settings}\n[reload]\nengine = "{engine}"\n'


# --- what is meant to differ ------------------------------------------------------------------------------------------

ABSENT: Final = "absent"


@dataclass(frozen=True)
class Meant:
    """A difference on purpose. ``items``: a pattern of items, each a moment and the way to the value, with dots.

    ``shows``: what devrun's value must match, as JSON (no value: ``absent``). ``engines`` and ``variants``: where it is
    found.
    """

    items: str
    shows: str
    why: str
    engines: tuple[str, ...] = ENGINES
    variants: tuple[str, ...] = tuple(VARIANTS)

    def holds(self, item: str, value: Any) -> bool:
        return fnmatch.fnmatchcase(item, self.items) and bool(re.fullmatch(self.shows, json.dumps(value)))


EARLY_SOCKETS = "the sockets listen before any app starts (promise 1)"
BOTH_FAMILIES = "localhost may mean ::1: the port answers there, too"

CHANNEL = "the loop's own two, and one to the launcher"
HANDLER = '"_devrun_child.serving.Server.handle_exit"'
LINES = "a line shows when it is printed, and is not cut by another's"
UNBUFFERED = "PYTHONUNBUFFERED: what a Python child of the app prints into the pipe would come late"

OLDER_PYTHON = (
    ()
    if sys.version_info >= (3, 12)
    else (
        Meant("*.loop.tasks.Event.wait", "1", "asyncio.wait_for makes a task of what the worker waits for"),
        Meant("*.python.frozen objects", "true", "what is imported ahead is frozen, so that forks share it", FORK),
    )
)

MEANT = (
    # --- what the app is given
    Meant("*.environ.API_*", r'"(http://)?[\w.:]+"', "every app gets the addresses of the stack"),
    Meant("*.environ.DEVRUN", '"1"', "says who has started the app"),
    Meant("*.environ.DEVRUN_APP", '"api"', "says which app of the stack it is"),
    Meant("*.environ.DEVRUN_STACK", '".+"', "the guard knows the stack's processes by it"),
    Meant("*.environ.PYTHONUNBUFFERED", '"1"', UNBUFFERED, variants=("plain",)),
    Meant("*.streams.?.write_through", "true", UNBUFFERED, variants=("plain",)),
    Meant("*.streams.[12].buffer", '"_io.FileIO"', UNBUFFERED, variants=("plain",)),
    Meant("*.streams.[12].line_buffering", "true", LINES),
    # --- how its process was started
    Meant("*.python.argv", r'\["uvicorn", "probe:app"\]', "the port is devrun's to choose"),
    Meant("*.python.original argv", r'.*/python[\d.]*", "[^"]*/worker\.py", "\d+"\]', "what was really started", SPAWN),
    Meant("*.python.original argv", r'.*/python[\d.]*", .*, "fork"\]', "that of the fork server", FORK),
    Meant("*.main.file", r'".*/devrun/child/worker\.py"', "nothing runs there when multiprocessing imports it again"),
    Meant("*.python.path", r'\["", .*', "without the folder of uvicorn's script, which holds no modules"),
    Meant("*.python.meta path", r'.*"_devrun_child\.loading\.OwnFinder", "[^"]*PathFinder"\]', "sees what is imported"),
    Meant("*.python.hooks", r'\[.*, "_devrun_child\.breakpoints\.Breakpoints"\]', "`devrun attach` has the terminal"),
    Meant("*.modules._devrun_child", "true", "what the worker consists of, under a name that no app has"),
    # --- the loop
    Meant("request.signals.handlers.SIG*", HANDLER, "uvicorn's own, and wakes the loop"),
    Meant("startup.signals.handlers.SIG*", HANDLER, "the same"),
    Meant("*.loop.tasks.LifespanOn.main", '"absent"', "a class derived from it keeps why a startup failed"),
    Meant("*.loop.tasks.recording.<locals>.Recording.main", "1", "the same"),
    *OLDER_PYTHON,
    # --- descriptors
    Meant("top.descriptors.others.listening AF_INET SOCK_STREAM", "1", EARLY_SOCKETS),
    Meant("end.descriptors.others.listening AF_INET SOCK_STREAM", "1", EARLY_SOCKETS),
    Meant("startup.descriptors.others.listening AF_INET SOCK_STREAM", "1", EARLY_SOCKETS),
    Meant("*.descriptors.others.listening AF_INET6 SOCK_STREAM", "1", BOTH_FAMILIES),
    Meant("*.listening", r'\["127\.0\.0\.1 reuse=1 [^"]*", "::1 reuse=1 [^"]*"\]', f"{EARLY_SOCKETS}; {BOTH_FAMILIES}"),
    Meant("*.descriptors.others.connected AF_UNIX SOCK_STREAM", "3", CHANNEL),
    Meant("???.descriptors.others.connected AF_UNIX SOCK_STREAM", "1", "the one to the launcher"),
    # --- what a fork is
    Meant("???.modules.*", "true", "imported ahead; an app that hides one of them gets a process of its own", FORK),
    Meant("*.process.*as at the top", "false", "the import went on from a checkpoint in front of leaf", FORK),
)


def flat(value: Any, way: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the items of nested dicts; an empty dict has none."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{way}.{key}" if way else key)
    else:
        yield way, value


def differences(uvicorn: Flat, devrun: Flat) -> Flat:
    """devrun's values of the items that are not as under uvicorn."""
    items = uvicorn.keys() | devrun.keys()
    values = {item: (uvicorn.get(item, ABSENT), devrun.get(item, ABSENT)) for item in items}
    return {item: ours for item, (theirs, ours) in sorted(values.items()) if ours != theirs}


class Judge:
    """Holds what devrun shows against what uvicorn shows, and against what is meant to differ."""

    def __init__(self, table: Iterable[Meant], uvicorn: Flat) -> None:
        self._table = tuple(table)
        self._uvicorn = uvicorn
        self._used: set[Meant] = set()

    def strange(self, devrun: Flat) -> list[str]:
        """What differs and is not meant to."""
        said: list[str] = []
        for item, value in differences(self._uvicorn, devrun).items():
            meant = [entry for entry in self._table if entry.holds(item, value)]
            self._used.update(meant)
            if not meant:
                said.append(f"{item}: {json.dumps(value)} instead of {json.dumps(self._uvicorn.get(item, ABSENT))}")
        return said

    def unused(self) -> list[str]:
        """What is meant to differ and never did."""
        return [f"{entry.items}: {entry.shows}" for entry in self._table if entry not in self._used]


def reference(folder: Path, env: Mapping[str, str]) -> Flat:
    with Uvicorn(folder, "probe:app", env=env) as server:
        server.wait_ready()
        return shown(server.get())


def shown(answer: httpx.Response) -> Flat:
    """What the probe says, but for the mark of the test."""
    return {item: value for item, value in flat(answer.json()) if not item.endswith(f".environ.{MARK}")}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_app_sees_what_it_sees_under_uvicorn(
    engine: str, variant: str, project: ProjectBuilder, up: StackStarter
) -> None:
    files = {"devrun.toml": devrun_toml(engine, "probe:app"), "probe.py": PROBE.read_text(), "leaf.py": "VERSION = 0\n"}
    folder = project(files)
    env = {**VARIANTS[variant], **activated()}
    stack = up(folder, env=env)
    stack.wait_ready()
    table = [one for one in MEANT if engine in one.engines and variant in one.variants]
    judge = Judge(table, reference(folder, env))
    for version in (0, 1, 2):
        (folder / "leaf.py").write_text(f"VERSION = {version}\n")
        stack.wait_text("api", str(version), "/version")
        strange = judge.strange(shown(stack.get("api")))
        assert not strange, "\n".join((f"with version {version}:", *strange))
    assert not judge.unused(), "\n".join(("no longer differs:", *judge.unused()))

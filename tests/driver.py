"""Drives real stacks for tests: writes a project, starts ``devrun up`` in it, reads its lines, ends it.

Owns every process it starts: leaving a ``Stack`` fails when anything of it is still alive, or an env file is not as it
was before.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

import httpx
import psutil
import pytest

T = TypeVar("T")

DEADLINE = 20.0
"""Seconds until a wait fails: far more than anything takes here, little enough to keep a failing run short."""

MARK = "DEVRUN_TEST_MARK"
"""The environment variable by which the processes of one stack are known, even when their parent is gone."""

_STRANGERS = re.compile(
    r"PYTHON.*|VIRTUAL_ENV.*|DEVRUN.*|UVICORN_.*|WATCHFILES_.*|WEB_CONCURRENCY|NO_COLOR|FORCE_COLOR|CLICOLOR.*|TTY_.*|COLUMNS"
    r"|LINES|HOST|PORT|(http|https|all|no)_proxy|COVERAGE_.*|PYTEST_.*",
    re.IGNORECASE,
)
SESSION = "DEVRUN_TEST_SESSION"
"""Set in the test process itself and so in all it starts."""


def clean_environ() -> dict[str, str]:
    """The environment of this process without what changes how Python, uvicorn or a console behaves."""
    return {key: value for key, value in os.environ.items() if key == SESSION or not _STRANGERS.fullmatch(key)}


def wait_until(condition: Callable[[], T], message: str = "", timeout: float = DEADLINE) -> T:
    """The first truthy result of ``condition``; an AssertionError with ``message`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {message or condition}")
        time.sleep(0.01)


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write ``files`` (path to content) below ``folder``; texts are dedented."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else textwrap.dedent(content).lstrip("\n").encode()
        path.write_bytes(data)
    return folder


@contextlib.contextmanager
def small_file_system(disk: Path, size: str) -> Generator[Path]:
    """A file system of so little room at ``disk``; the test is skipped where none can be mounted."""
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a file system can be mounted by root only")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def marked(variable: str, value: str) -> list[psutil.Process]:
    """The living processes that have ``variable=value`` in their environment, this one left out."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        # A process may end while it is looked at, and another user's cannot be read.
        with contextlib.suppress(psutil.Error, OSError):
            alive = process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(variable) == value:
                found.append(process)
    return found


def describe(processes: list[psutil.Process]) -> str:
    """One line a process: pid, status and command line."""
    lines: list[str] = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            lines.append(f"  {process.pid} {process.status()}: {' '.join(process.cmdline())[:200]}")
    return "\n".join(lines)


def env_files(folder: Path) -> dict[str, bytes]:
    """Name and content of every env file in a project, whoever wrote it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob(".env*") if path.is_file()}


class _Lines:
    """The lines of one stream as they come in. The reading thread only appends; others wait on the condition."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.seen: list[str] = []
        self.closed = False
        self.changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for raw in stream:
                with self.changed:
                    self.seen.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
                    self.changed.notify_all()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait for the end of the stream: the last process that holds it has closed it."""
        self._thread.join(timeout)


class Stack:
    """One ``devrun up`` in ``folder``, started on entering and ended on leaving.

    Lines are read with a cursor: ``wait_line`` looks at what came after the line that it found last, so the ``ready``
    of a second reload is never mistaken for that of the first.
    """

    def __init__(
        self,
        folder: Path,
        *args: str,
        env: Mapping[str, str] | None = None,
        command: tuple[str, ...] = ("-m", "devrun", "up", "--plain"),
        check_env_files: bool = True,
        patience: float = 2.0,
    ) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.argv = (sys.executable, *command, *args)
        self.environ = {**clean_environ(), **(env or {}), MARK: self.mark}
        self.check_env_files = check_env_files
        self.patience = patience
        """Seconds that anything of the stack may outlive the launcher, however that ended."""
        self._cursor = 0

    # --- start and end --------------------------------------------------------------------------------------------

    def __enter__(self) -> Stack:
        self._before = env_files(self.folder)
        self.process = subprocess.Popen(
            self.argv,
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self._out = _Lines(self.process.stdout)
        self._err = _Lines(self.process.stderr)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        complaints = self._end()
        self._read_all()
        print(self.report())  # pytest shows it where the test failed
        if kind is None and complaints:
            raise AssertionError("\n".join(complaints))
        if error is not None:
            for complaint in complaints:
                error.add_note(complaint)

    def _end(self) -> list[str]:
        """Stop what still runs, kill what is left after that, and say what was wrong."""
        complaints: list[str] = []
        killed = self.process.returncode == -signal.SIGKILL
        try:
            self.stop()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            complaints.append(f"the launcher did not stop: {error}")
        left = self.left_over()
        if left:
            complaints.append(f"processes of the stack are still alive:\n{describe(left)}")
        for process in (*left, *self._launcher()):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait(5)
        after = env_files(self.folder)
        if self.check_env_files and not killed and after != self._before:
            complaints.append(f"env files are not as they were: {self._before} became {after}")
        return complaints

    def _launcher(self) -> list[psutil.Process]:
        return [] if self.process.poll() is not None else [psutil.Process(self.process.pid)]

    def stop(self, how: signal.Signals = signal.SIGINT, timeout: float = DEADLINE) -> int:
        """Ask the stack to go down, wait until the launcher has ended, and give its exit code."""
        self.signal(how)
        return self.wait_exit(timeout)

    def wait_exit(self, timeout: float = DEADLINE) -> int:
        """The launcher's exit code, once it has ended by itself and all its output is read."""
        code = self.process.wait(timeout)
        self._read_all()
        return code

    def _read_all(self) -> None:
        deadline = time.monotonic() + self.patience
        for lines in (self._out, self._err):
            lines.join(max(0.0, deadline - time.monotonic()))

    def signal(self, which: signal.Signals) -> None:
        """Send a signal to the launcher alone, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(which)

    def kill(self) -> None:
        """Kill the launcher, and it alone, as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait(5)

    # --- what it says ---------------------------------------------------------------------------------------------

    @property
    def lines(self) -> list[str]:
        """Every line of standard output so far."""
        return list(self._out.seen)

    @property
    def errors(self) -> list[str]:
        """Every line of standard error so far."""
        return list(self._err.seen)

    def wait_line(self, pattern: str, timeout: float = DEADLINE, *, since: int | None = None) -> re.Match[str]:
        """The first line after the one found last (or from index ``since`` on) in which ``pattern`` is found."""
        at = self._cursor if since is None else since
        deadline = time.monotonic() + timeout
        with self._out.changed:
            while True:
                while at < len(self._out.seen):
                    match = re.search(pattern, self._out.seen[at])
                    at += 1
                    if match is not None:
                        self._cursor = max(self._cursor, at)
                        return match
                left = deadline - time.monotonic()
                if self._out.closed or left <= 0:
                    why = "before the output ended" if self._out.closed else f"within {timeout:g} s"
                    raise AssertionError(f"no line {pattern!r} {why}")
                self._out.changed.wait(left)

    def wait_ready(self, timeout: float = DEADLINE) -> None:
        """Wait until every app of the stack was ready once."""
        self.wait_line(r"^\[devrun\] stack ready", timeout)

    def report(self) -> str:
        """All that was said, for a person who reads a failed test."""
        code = self.process.returncode
        parts = [f"$ {' '.join(self.argv[1:])}  (in {self.folder}, exit code {code})", *self.lines]
        if self.errors:
            parts += ["--- standard error", *self.errors]
        return "\n".join(parts)

    # --- how it is reached ----------------------------------------------------------------------------------------

    def variables(self, path: str = ".env") -> dict[str, str]:
        """What the generated env file holds, once it is written."""
        file = self.folder / path
        wait_until(lambda: file.exists() and "# <<< devrun <<<" in file.read_text(), f"no block in {path}")
        found: dict[str, str] = {}
        for line in file.read_text().splitlines():
            key, separator, value = line.partition("=")
            if separator and not key.startswith("#"):
                found[key] = value
        return found

    def url(self, app: str) -> str:
        """Where an app is, from ``.env``: known before the app has started."""
        return self.variables()[f"{app.upper().replace('-', '_')}_URL"]

    def get(self, app: str, path: str = "/", **options: Any) -> httpx.Response:
        """One request to an app, past every proxy."""
        with httpx.Client(timeout=DEADLINE, trust_env=False) as client:
            return client.get(self.url(app) + path, **options)

    def wait_text(self, app: str, expected: str, path: str = "/", timeout: float = DEADLINE) -> None:
        """Wait until an app answers exactly ``expected``."""
        wait_until(lambda: self.get(app, path).text == expected, f"{app}{path} does not answer {expected!r}", timeout)

    # --- its processes --------------------------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Every living process of the stack: by its mark, which outlives a parent, and by descent, which a cleared
        environment does not hide."""
        found = {process.pid: process for process in marked(MARK, self.mark)}
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found[process.pid] = process
        return list(found.values())

    def pids(self) -> set[int]:
        """The process ids of ``processes``."""
        return {process.pid for process in self.processes()}

    def left_over(self) -> list[psutil.Process]:
        """What is still alive ``patience`` seconds from now: nothing may be, once the launcher has ended."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.processes(), timeout=self.patience)
        return self.processes()


@contextlib.contextmanager
def nothing_left_of_session(patience: float = 5.0) -> Generator[None]:
    """Mark this process, and fail when one that inherits the mark is alive ``patience`` seconds after the block."""
    mark = uuid.uuid4().hex
    os.environ[SESSION] = mark
    yield
    del os.environ[SESSION]
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not marked(SESSION, mark), timeout=patience)
    left = marked(SESSION, mark)
    names = describe(left)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    assert not left, f"the tests left processes behind:\n{names}"

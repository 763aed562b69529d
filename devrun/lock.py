"""Who may run a stack in a project, and the repair of what a killed launcher left.

Owns the lock and the life of ``.devrun/state.toml``. The lock alone decides, never a pid: folders are copied,
machines reboot and pids come again. Starts nothing and prints nothing; files are written by ``outputs.writer``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from devrun.errors import AlreadyRunningError, FileError
from devrun.lookup import try_lock
from devrun.outputs import statefile, writer
from devrun.outputs.statefile import EnvFileRecord, StackRecord
from devrun.plan import Endpoint
from devrun.project import Project, make_state_dir

_NAMED_URLS = 10
_POLL = 0.02


class State:
    """What the launcher that holds the project's lock has written down, so that the next command can repair it.

    ``env_files`` may hold the block: at first those that an older launcher left and that could not be repaired.
    """

    __slots__ = ("_record", "env_files", "project")

    def __init__(self, project: Project, owed: tuple[EnvFileRecord, ...] = ()) -> None:
        self.project = project
        self.env_files: tuple[EnvFileRecord, ...] = owed
        self._record: StackRecord | None = None

    def save(self, *, stack: str, name: str, endpoints: Iterable[Endpoint]) -> None:
        """Write state.toml for this process. Raises ``FileError``."""
        self._record = StackRecord(
            stack=stack,
            name=name,
            folder=self.project.folder,
            pid=os.getpid(),
            created=_create_time(os.getpid()),
            started=time.time(),
            endpoints=tuple(endpoints),
        )
        self._write(self._record)

    def move(self, endpoints: Iterable[Endpoint]) -> None:
        """Write down that the running stack is to be reached here from now on. Raises ``FileError``."""
        if self._record is None:
            raise RuntimeError("a stack that was not saved cannot move")
        self._record = replace(self._record, endpoints=tuple(endpoints))
        self._write(self._record)

    def touch(self, files: Iterable[EnvFileRecord]) -> None:
        """Write down that these env files are (about to be) changed, besides those that already were."""
        if self._record is None:
            raise RuntimeError("the stack must be saved before its env files are touched")
        known = {file.path: file for file in self.env_files}
        self.env_files = tuple({**known, **{file.path: file for file in files}}.values())
        self._write(self._record)

    def clear(self) -> None:
        """The stack is down: drop state.toml, unless an env file could not be restored and is owed a repair."""
        if not any(not file.keep for file in self.env_files):
            _drop(self.project)

    def _write(self, record: StackRecord) -> None:
        content = statefile.render(replace(record, env_files=self.env_files))
        writer.write(self.project.state_file, content, mode=0o600)


@contextmanager
def open_state(project: Project, *, patience: float = 2.0) -> Generator[State]:
    """Hold the project's lock and repair what a killed launcher left.

    The kernel frees the lock when the process dies, however it dies. Other commands hold it for a moment while they
    repair, and a launcher that is just starting has no URLs to tell yet: hence up to ``patience`` seconds of waiting.
    Raises ``AlreadyRunningError``, or ``FileError`` when ``.devrun`` cannot be made.
    """
    make_state_dir(project)
    lock = _wait_for_lock(project, time.monotonic() + patience)
    try:
        owed, _ = _repair(project)
        yield State(project, owed)
    finally:
        os.close(lock)


def repair(project: Project) -> tuple[str, ...]:
    """Restore the env files and drop the state of a launcher that was killed; nothing while a stack is up.

    For every command that is not ``up``. Returns what could not be repaired, as messages; raises nothing.
    """
    if not os.path.lexists(project.state_file):
        return ()
    try:
        lock = _try_lock(project)
    except OSError:
        return ()
    if lock is None:
        return ()
    try:
        return _repair(project)[1]
    finally:
        os.close(lock)


def is_held(project: Project) -> bool:
    """Say whether somebody holds the lock: a launcher that starts, runs or leaves."""
    try:
        if not project.lock_file.exists():
            return False
        lock = _try_lock(project, shared=True)
    except OSError:
        return False
    if lock is None:
        return True
    os.close(lock)
    return False


def running(project: Project) -> StackRecord | None:
    """The stack that is up in the project; None: there is none, or it is only just starting or already leaving."""
    record = _read(project)
    if record is None:
        return None
    try:
        lock = _try_lock(project, shared=True)
    except OSError:
        return None
    if lock is None:
        return record
    os.close(lock)
    return None


def _repair(project: Project) -> tuple[tuple[EnvFileRecord, ...], tuple[str, ...]]:
    record = _read(project)
    moved = record is not None and not os.path.lexists(record.folder / project.state_dir.name)
    files = statefile.files_in(record, project.folder, moved=moved) if record else ()
    for path in (project.state_file, *(file.path for file in files)):
        writer.sweep(path)
    owed, complaints = restore(file for file in files if not file.keep)
    if not owed:
        _drop(project)
    return owed, complaints


def restore(files: Iterable[EnvFileRecord]) -> tuple[tuple[EnvFileRecord, ...], tuple[str, ...]]:
    """Take the block out of each; what failed, and why."""
    owed: list[EnvFileRecord] = []
    complaints: list[str] = []
    for file in files:
        try:
            writer.remove_block(file.path, file.created, file.owner)
        except FileError as error:
            owed.append(file)
            complaints.append(error.message)
    return tuple(owed), tuple(complaints)


def _read(project: Project) -> StackRecord | None:
    try:
        return statefile.parse(project.state_file.read_bytes())
    except OSError:
        return None


def _drop(project: Project) -> None:
    with suppress(OSError):
        project.state_file.unlink()


def _wait_for_lock(project: Project, deadline: float) -> int:
    while True:
        try:
            lock = _try_lock(project)
        except OSError as error:
            raise FileError(f"cannot lock {writer.shown(project.lock_file)}: {error.strerror}") from error
        if lock is not None:
            return lock
        record = _read(project)
        # A record whose process is gone was left by an older launcher and names the wrong stack.
        if time.monotonic() > deadline or (record is not None and is_alive(record)):
            raise _already_running(project, record)
        time.sleep(_POLL)


def _try_lock(project: Project, *, shared: bool = False) -> int | None:
    return try_lock(str(project.lock_file), shared=shared)


def _create_time(pid: int) -> float:
    # Imported here because it is heavy, and commands that only read a URL never need it.
    import psutil

    return psutil.Process(pid).create_time()


def is_alive(record: StackRecord) -> bool:
    """Say whether the launcher of the record is there: its pid, and the time when that process began."""
    # A second of slack: the time is counted from the boot time, which is rounded anew in every process.
    import psutil

    try:
        process = psutil.Process(record.pid)
        return abs(process.create_time() - record.created) < 1.5 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, OverflowError):
        return False


def refuse_running(project: Project) -> None:
    """Raise AlreadyRunningError if a stack is up in the project."""
    record = running(project)
    if record is not None:
        raise _already_running(project, record)


def _already_running(project: Project, record: StackRecord | None) -> AlreadyRunningError:
    where = writer.shown(project.folder)
    if record is None:
        return AlreadyRunningError(f"another devrun is starting or stopping in {where}", hint="try again in a moment")
    urls = [f"{endpoint.name} {endpoint.url}" for endpoint in record.endpoints]
    if len(urls) > _NAMED_URLS:
        urls[_NAMED_URLS:] = [f"and {len(urls) - _NAMED_URLS} more"]
    return AlreadyRunningError(
        f"{writer.shown(record.name)} is already up in {where} (pid {record.pid}): {', '.join(urls)}",
        hint="use it, or stop it first with `devrun down`",
    )

"""Private stacks: any number at once in one project, beside the project's own, which know nothing of each other.

Each has free ports and a state folder in ``.devrun/run`` that is gone when it ends; whoever comes next removes those of
owners that were killed. The caches of ``.devrun`` are everybody's. Starts nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec.structs import replace

from devrun.control.listening import forget
from devrun.errors import FileError
from devrun.lookup import try_lock
from devrun.outputs.writer import shown
from devrun.plan import AppPlan, CommandPlan, Plan
from devrun.project import Project, make_state_dir

_LOCK = ".lock"


def private_plan(plan: Plan, *, reload: bool = False) -> Plan:
    """The same stack for one user alone: free ports, no env file, no browser; ``reload``: as the plan has it."""
    apps = {name: replace(app, port=0, reload=app.reload and reload, open=None) for name, app in plan.apps.items()}
    commands = {
        name: command if command.port is None else replace(command, port=0) for name, command in plan.commands.items()
    }
    return replace(plan, apps=apps, commands=commands, env_files=())


def freed_ports(plan: Plan) -> Iterator[str]:
    """Say for each app and command with a port of its own that it has another one in a private stack."""
    parts: list[AppPlan | CommandPlan] = [*plan.apps.values(), *plan.commands.values()]
    for part in parts:
        if isinstance(part.port, int) and part.port:
            yield f"{part.name} has a free port this time, not {part.port}: a private stack takes no port from others"


@contextmanager
def private_state(project: Project, stack: str) -> Generator[Project]:
    """The project with a state folder of its own for ``stack`` (``Plan.stack``). Raises ``FileError``."""
    own = replace(project, private=stack.rpartition("-")[2])
    make_state_dir(project)
    try:
        project.runs_dir.mkdir(mode=0o700, exist_ok=True)
        sweep(project)
        lock = _claim(own.state_dir)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileError(f"cannot make the folder {shown(own.state_dir)}: {reason}") from error
    try:
        yield own
    finally:
        _drop(own.state_dir)
        os.close(lock)


def sweep(project: Project) -> None:
    """Remove the state folders of private stacks whose owners are gone."""
    try:
        locks = [name for name in os.listdir(project.runs_dir) if name.endswith(_LOCK)]
    except OSError:
        return
    for name in locks:
        with suppress(OSError):
            path = project.runs_dir / name
            lock = try_lock(str(path))
            if lock is not None:
                _drop(path.with_suffix(""))
                os.close(lock)


def _claim(folder: Path) -> int:
    """Make the folder and return the lock that says that it is in use."""
    while True:
        lock = try_lock(f"{folder}{_LOCK}")
        if lock is not None:  # else somebody who sweeps has it for a moment
            break
    try:
        folder.mkdir(mode=0o700)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _drop(folder: Path) -> None:
    """Remove a folder, its socket and its lock, which the caller holds."""
    forget(str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.unlink(f"{folder}{_LOCK}")

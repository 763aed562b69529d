"""What devrun writes into ``.zed``: tasks and debug configurations.

Pure. The files are JSON with comments, a list at the top. Forms: https://zed.dev/docs/tasks,
https://zed.dev/docs/debugger, https://zed.dev/docs/languages/python#debugging.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from devrun.editors import patch
from devrun.editors.jsonc import decode
from devrun.editors.setup import ALL, ATTACH, DOWN, FOLDER, PREFIX, UP, Change, Files, Setup

_WORKTREE = "$ZED_WORKTREE_ROOT"
_TAGS = ["devrun"]
_ENV = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
_ROOTS = [{"localRoot": _WORKTREE, "remoteRoot": _WORKTREE}]


def files(setup: Setup) -> Files:
    """Return what to do to which file."""
    tasks = [
        _task(setup, UP, setup.up()),
        *(_task(setup, f"{UP} {name}", setup.up(name)) for name in setup.compounds),
        _task(setup, DOWN, setup.down()),
    ]
    launches = [_debug(setup, ALL), *(_debug(setup, PREFIX + app, app) for app in setup.apps)]
    debug = [*launches, *(_attach(app, port) for app, port in setup.debug_ports.items())]
    return {".zed/tasks.json": _listing(tasks, _is_own_task), ".zed/debug.json": _listing(debug, _is_own_debug)}


def ports_in(content: bytes | None) -> dict[str, int]:
    """Return the debug ports that a debug.json tells of, by app. Raises ``JsoncError``."""
    return patch.ports(decode(content or b""), [], "label", _is_own_debug)


def _listing(wanted: Sequence[dict[str, Any]], own: Callable[[Any], bool]) -> Change:
    return lambda content: patch.put_items(decode(content or b""), [], "label", wanted, own).encode()


def _task(setup: Setup, label: str, arguments: list[str]) -> dict[str, Any]:
    command, *first = (part.replace(FOLDER, _WORKTREE) for part in setup.devrun)
    return {
        "label": label,
        "command": command,
        "args": [*first, *arguments],
        "cwd": _WORKTREE,
        "reveal": "no_focus",
        "tags": _TAGS,  # no language has such a tag: it only tells whose the task is
    }


def _debug(setup: Setup, label: str, *apps: str) -> dict[str, Any]:
    return {
        "label": label,
        "adapter": "Debugpy",
        "request": "launch",
        "module": "devrun",
        "args": setup.up(*apps),
        "python": setup.python.replace(FOLDER, _WORKTREE),
        "cwd": _WORKTREE,
        "subProcess": True,
        "justMyCode": True,
        "env": _ENV,
    }


def _attach(app: str, port: int) -> dict[str, Any]:
    return {
        "label": ATTACH + app,
        "adapter": "Debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": port},
        "pathMappings": _ROOTS,
        "justMyCode": True,
    }


def _is_own_task(task: Any) -> bool:
    return str(patch.field(task, "label")).startswith(PREFIX) and patch.field(task, "tags") == _TAGS


def _is_own_debug(found: Any) -> bool:
    label = str(patch.field(found, "label"))
    launches = patch.field(found, "module") == "devrun" and patch.field(found, "env") == _ENV
    attaches = label.startswith(ATTACH) and patch.field(found, "pathMappings") == _ROOTS
    return label.startswith(PREFIX) and (launches or attaches)

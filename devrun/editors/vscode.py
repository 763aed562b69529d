"""What devrun writes into ``.vscode``: tasks with problem matchers, debug configurations, the schema of devrun.toml.

Pure. An entry is devrun's when it has one of the names here, or says in its own words that devrun has written it; all
else in those files is the user's. Forms: https://code.visualstudio.com/docs/reference/tasks-appendix,
https://code.visualstudio.com/docs/python/debugging, https://github.com/tamasfe/taplo/tree/main/editors/vscode.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from devrun.editors import patch
from devrun.editors.jsonc import decode
from devrun.editors.matchers import matchers
from devrun.editors.setup import ALL, ATTACH, DOWN, FOLDER, PREFIX, SIGN, UP, Change, Files, Setup

SCHEMA = "./.devrun/devrun.schema.json"
_WORKSPACE = "${workspaceFolder}"
_GROUP = {"group": "devrun"}
_ON_OPEN = {"runOn": "folderOpen"}
_ASSOCIATIONS = "evenBetterToml.schema.associations"


def files(setup: Setup) -> Files:
    """Return what to do to which file."""
    return {
        ".vscode/tasks.json": _on_text(lambda text: _tasks(text, setup)),
        ".vscode/launch.json": _on_text(lambda text: _launch(text, setup)),
        ".vscode/settings.json": _on_text(lambda text: _settings(text, setup)),
    }


def ports_in(content: bytes | None) -> dict[str, int]:
    """Return the debug ports that a launch.json tells of, by app. Raises ``JsoncError``."""
    return patch.ports(decode(content or b""), ["configurations"], "name", _is_own_configuration)


def _on_text(change: Callable[[str], str]) -> Change:
    return lambda content: change(decode(content or b"")).encode()


def _tasks(text: str, setup: Setup) -> str:
    if setup.on_open is None:
        setup = replace(setup, on_open=_starts_on_open(text))
    compounds = [_up(setup, f"{UP} {name}", name) for name in setup.compounds]
    down: dict[str, Any] = {**_task(setup, DOWN, setup.down()), "problemMatcher": []}
    tasks = [_up(setup, UP), *compounds, down]
    return patch.put_items(_versioned(text, "2.0.0"), ["tasks"], "label", tasks, _is_own_task)


def _starts_on_open(text: str) -> bool:
    ups = [task for task in patch.items(text, ["tasks"]) if patch.field(task, "label") == UP]
    return any(patch.field(task, "runOptions") == _ON_OPEN for task in ups)


def _up(setup: Setup, label: str, *names: str) -> dict[str, Any]:
    task = _task(setup, label, setup.up(*names)) | {
        "isBackground": True,
        "presentation": {"reveal": "always", "panel": "dedicated"},
        "problemMatcher": matchers(setup.apps, setup.config),
    }
    return task | {"runOptions": _ON_OPEN} if setup.on_open and not names else task


def _task(setup: Setup, label: str, arguments: list[str]) -> dict[str, Any]:
    command, *first = (part.replace(FOLDER, _WORKSPACE) for part in setup.devrun)
    return {
        "label": label,
        "detail": SIGN,
        "type": "process",
        "command": command,
        "args": [*first, *arguments],
        "options": {"cwd": _WORKSPACE},
    }


def _launch(text: str, setup: Setup) -> str:
    launches = [_debug(setup, ALL), *(_debug(setup, PREFIX + app, app) for app in setup.apps)]
    configurations = [*launches, *(_attach(app, port) for app, port in setup.debug_ports.items())]
    return patch.put_items(_versioned(text, "0.2.0"), ["configurations"], "name", configurations, _is_own_configuration)


def _debug(setup: Setup, name: str, *apps: str) -> dict[str, Any]:
    return {
        "name": name,
        "presentation": _GROUP,
        "type": "debugpy",
        "request": "launch",
        "module": "devrun",
        "args": setup.up(*apps),
        "python": setup.python.replace(FOLDER, _WORKSPACE),
        "cwd": _WORKSPACE,
        "console": "integratedTerminal",
        "subProcess": True,
        "justMyCode": True,
        # Else every process of the stack warns at length that breakpoints in the standard library may be missed.
        "env": {"PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    }


def _attach(app: str, port: int) -> dict[str, Any]:
    return {
        "name": ATTACH + app,
        "presentation": _GROUP,
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": port},
        # The same on both sides: it tells the stack whose editor this is, for another checkout may have this file, too.
        "pathMappings": [{"localRoot": _WORKSPACE, "remoteRoot": _WORKSPACE}],
        "justMyCode": True,
    }


def _settings(text: str, setup: Setup) -> str:
    return patch.put_member(text, [_ASSOCIATIONS], f"(^|/){re.escape(setup.config)}$", SCHEMA)


def _versioned(text: str, version: str) -> str:
    """A file that says no version gets one; the user's own stays."""
    return text if patch.has(text, "version") else patch.put_member(text, [], "version", version)


def _is_own_task(task: Any) -> bool:
    return str(patch.field(task, "label")).startswith(PREFIX) and patch.field(task, "detail") == SIGN


def _is_own_configuration(found: Any) -> bool:
    return str(patch.field(found, "name")).startswith(PREFIX) and patch.field(found, "presentation") == _GROUP

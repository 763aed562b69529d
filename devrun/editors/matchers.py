"""What VS Code's task engine needs to follow ``devrun up --plain``: when work begins and ends, and what is wrong where.

Pure. The lines themselves are ``outputs.lines``'s. The rules of the engine, as far as they shape what is here:

- A line that begins or ends a cycle is not looked at for problems, so what ends a broken reload is ``waiting``.
- A cycle's end takes away the problems of its owner that stood when it began, so every app is an owner of its own,
  and one of its matchers is enough to tell of cycles.
- The tasks that depend on this one start at the first end of any cycle, so before the stack is ready only one runs.
- A pattern of one line with a "line" takes the third group for a column unless told otherwise: "location" has none.
- A pattern of several lines has a fixed number of them, so a traceback's last frame takes a matcher for each length.

https://code.visualstudio.com/docs/debugtest/tasks#_background-watching-tasks
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

LONGEST_STATEMENT = 6
"""Lines of source and of carets below the last frame of a traceback that are known: Python 3.13 shows three of each."""


def matchers(apps: Iterable[str], config: str) -> list[dict[str, Any]]:
    """Return the problem matchers for these apps, read from ``config``."""
    return [_stack(config), *(matcher for app in apps for matcher in _app(app))]


def _stack(config: str) -> dict[str, Any]:
    """From the start to all ready; the problems are the mistakes in the config itself."""
    return {
        **_matcher("devrun"),
        "pattern": {"regexp": f"^({re.escape(config)}):(\\d+): (.+)$", "file": 1, "location": 2, "message": 3},
        "background": {
            "activeOnStart": True,
            "beginsPattern": r"^\[devrun\] starting ",
            "endsPattern": r"^\[devrun\] stack (?:ready|down)\b",
        },
    }


def _app(app: str) -> list[dict[str, Any]]:
    name = re.escape(app)
    broken = {"regexp": rf"^\[devrun\] broken {name}: ([^:]+):(\d+): (.+)$", "file": 1, "location": 2, "message": 3}
    background = {
        "activeOnStart": False,
        "beginsPattern": rf"^\[devrun\] (?:reloading|exited) {name}:",
        "endsPattern": rf"^\[devrun\] (?:ready|waiting|stopped) {name}(?:[ :]|$)",
    }
    owner = _matcher(f"devrun {app}")
    return [
        {**owner, "pattern": broken, "background": background},
        *({**owner, "pattern": _last_frame(name, below)} for below in range(1, LONGEST_STATEMENT + 1)),
    ]


def _last_frame(name: str, below: int) -> list[dict[str, Any]]:
    """The innermost frame of a traceback with ``below`` lines of source, and the exception."""
    return [
        {"regexp": rf'^\[{name}\] +File "([^"<>]+)", line (\d+)', "file": 1, "line": 2},
        *[{"regexp": rf"^\[{name}\]      *\S"}] * below,
        {"regexp": rf"^\[{name}\] ([A-Za-z_][\w.]*(?::.*)?)$", "message": 1},
    ]


def _matcher(owner: str) -> dict[str, Any]:
    return {
        "owner": owner,
        "source": owner,
        "severity": "error",
        "fileLocation": ["autoDetect", "${workspaceFolder}"],
    }

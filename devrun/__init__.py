"""devrun: several ASGI apps of one project, on ports the operating system chose, with hot reload.

What programs use is named here and loaded when it is asked for: commands that only look up a URL have no time for it.
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = [
    "AlreadyRunningError",
    "App",
    "AsyncApp",
    "AsyncStack",
    "BindError",
    "BrokenAppError",
    "ConfigError",
    "DevrunError",
    "FileError",
    "NoProjectError",
    "NoStackError",
    "NotReadyError",
    "Running",
    "Stack",
    "UnknownNameError",
    "UsageError",
    "running",
]

TYPE_CHECKING = False  # type checkers know the name; importing typing takes longer than all of a light command
if TYPE_CHECKING:
    from devrun.embedding import Running, running
    from devrun.errors import (
        AlreadyRunningError,
        BindError,
        BrokenAppError,
        ConfigError,
        DevrunError,
        FileError,
        NoProjectError,
        NoStackError,
        NotReadyError,
        UnknownNameError,
        UsageError,
    )
    from devrun.handles import App, AsyncApp, AsyncStack, Stack

else:  # a checker would take any name for one of these

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'devrun' has no attribute {name!r}")
        from importlib import import_module

        home = "errors" if name.endswith("Error") else "embedding"
        return getattr(import_module(f"devrun.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

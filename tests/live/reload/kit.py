"""The module ``kit`` of every random project: registries to write to at import, and the app that shows all state.

Never imported by a test: its text is copied into each project, so it rests on the standard library alone. What it
shows is free of addresses, times and process ids, so that two interpreters can be compared.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import random
import sys
import threading
import types
import zlib
from collections.abc import Callable
from typing import Any

VALUE = 100000
ROOT = os.path.dirname(os.path.abspath(__file__))
NAMES = frozenset(
    [
        "main",
        "shop",
        "kit",
        "leaf",
        "extra",
        "ant",
        "bee",
        "cat",
        "dog",
        "elk",
        "fox",
        "gnu",
        "owl",
        "one",
        "two",
        "ten",
    ]
)
"""The top-level names that modules of a random project have."""

ITEMS: list[Any] = []
CLASSES: list[Any] = []
LATER: list[Callable[[], Any]] = []
TICKS = [0]
_ANSWER: list[bytes] = []

random.seed(7)


def add(*what: Any) -> None:
    """Append to the registry; the order of imports shows in it."""
    ITEMS.append([show(one) for one in what])


def register(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that registers."""
    add("function", function)
    return function


def later(function: Callable[[], Any]) -> Callable[[], Any]:
    """A decorator for what a handler does when it is first asked: lazy imports."""
    LATER.append(function)
    return function


def tick() -> int:
    """Count the calls so far."""
    TICKS[0] += 1
    return TICKS[0]


def seen() -> list[str]:
    """The project's modules that are imported by now, in order."""
    return [name for name in sys.modules if name.partition(".")[0] in NAMES]


def idle() -> None:
    """What a thread does that was started at import."""
    threading.Event().wait()


class Base:
    """Registers its subclasses."""

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__()
        CLASSES.append([cls.__module__, cls.__qualname__, show(words)])


class Stand:
    """Stands in ``sys.modules`` in place of a module."""

    def __init__(self, name: str, value: int) -> None:
        self.name = name
        self.VALUE = value

    def __getattr__(self, name: str) -> str:
        if name.startswith("virtual_"):
            return f"{self.name} stands for {name}"
        raise AttributeError(name)


def show(value: Any) -> Any:
    """What can be compared of a value, as JSON has it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [show(one) for one in value]
    if isinstance(value, dict):
        return [[show(key), show(one)] for key, one in value.items()]
    if isinstance(value, threading.Thread):
        return f"thread {'alive' if value.is_alive() else 'dead'}"
    if isinstance(value, io.IOBase):
        return f"file {'closed' if value.closed else value.tell()}"
    if isinstance(value, type):
        return f"class {value.__module__}.{value.__qualname__}({', '.join(base.__name__ for base in value.__bases__)})"
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, types.FunctionType):
        return f"function {value.__module__}.{value.__qualname__}"
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def module_state(module: Any) -> Any:
    """What a module shows, in the order in which its names were bound."""
    if module is None:
        return None
    found = [[name, show(one)] for name, one in vars(module).items() if name == "__all__" or not name.startswith("_")]
    if isinstance(module, types.ModuleType):
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        found.append(["place", [one and os.path.relpath(one, ROOT) for one in places]])
    return found


def ask(function: Callable[[], Any]) -> Any:
    """What a lazy function gives or raises."""
    try:
        return show(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def state() -> dict[str, Any]:
    """Everything that import has left behind, once what is imported lazily is imported."""
    answers = [ask(function) for function in list(LATER)]
    return {
        "order": seen(),
        "modules": {name: module_state(sys.modules[name]) for name in seen()},
        "items": ITEMS,
        "classes": CLASSES,
        "ticks": TICKS[0],
        "later": answers,
        "environ": {key: value for key, value in sorted(os.environ.items()) if key.startswith("KIT_")},
        "path": [
            os.path.relpath(one or ".", ROOT) for one in sys.path if one.startswith(ROOT) or not os.path.isabs(one)
        ],
        "finders": [type(one).__name__ for one in sys.meta_path if type(one).__module__.partition(".")[0] in NAMES],
        "random": zlib.crc32(repr(random.getstate()).encode()),
    }


def files() -> list[str]:
    """The files of the project's modules, relative to its folder."""
    found = {getattr(sys.modules.get(name), "__file__", None) for name in seen()}
    return sorted(os.path.relpath(file, ROOT) for file in found if file)


def answer() -> bytes:
    """The state as it is when first asked for: asking again would repeat imports that failed."""
    if not _ANSWER:
        _ANSWER.append(json.dumps({"pid": os.getpid(), "state": state(), "files": files()}).encode())
    return _ANSWER[0]


def load(name: str) -> Any:
    """Import what may not be there."""
    try:
        return importlib.import_module(name).VALUE
    except ImportError as error:
        return type(error).__name__


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with the state."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    body = answer()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

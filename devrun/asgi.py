"""Finds the ASGI apps among the files of a project: who makes one, by which name, and what only looks like one.

Pure: works on what ``sources`` read, never imports a file. What is mounted into another app, wrapped by it, or made by
a factory that the project itself calls is a part of that app and none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from posixpath import commonpath, dirname

from msgspec import Struct

from devrun.sources import Function, Module

PLAIN = "ASGI"
_PLAIN_NAMES = ("app", "application", "asgi")

FRAMEWORKS = {
    "fastapi.FastAPI": "FastAPI",
    "fastapi.applications.FastAPI": "FastAPI",
    "starlette.applications.Starlette": "Starlette",
    "litestar.Litestar": "Litestar",
    "litestar.app.Litestar": "Litestar",
    "quart.Quart": "Quart",
    "quart.app.Quart": "Quart",
    "django.core.asgi.get_asgi_application": "Django",
    "django.core.handlers.asgi.ASGIHandler": "Django",
    "channels.routing.ProtocolTypeRouter": "Django Channels",
    "sanic.Sanic": "Sanic",
    "sanic.app.Sanic": "Sanic",
    "falcon.asgi.App": "Falcon",
    "falcon.asgi.app.App": "Falcon",
    "blacksheep.Application": "BlackSheep",
    "blacksheep.server.Application": "BlackSheep",
    "blacksheep.server.application.Application": "BlackSheep",
    "connexion.AsyncApp": "Connexion",
    "connexion.FlaskApp": "Connexion",
    "socketio.ASGIApp": "Socket.IO",
    "asgiref.wsgi.WsgiToAsgi": "WSGI behind asgiref",
    "a2wsgi.WSGIMiddleware": "WSGI behind a2wsgi",
}
"""What makes an ASGI app when it is called, by the name under which it is imported."""

_WSGI = "is WSGI; to have devrun serve it, wrap it: a2wsgi.WSGIMiddleware(app)"
OTHERS = {
    "flask.Flask": ("Flask", _WSGI),
    "bottle.Bottle": ("Bottle", _WSGI),
    "falcon.App": ("Falcon", "is WSGI here; falcon.asgi.App is the ASGI one"),
    "falcon.API": ("Falcon", "is WSGI here; falcon.asgi.App is the ASGI one"),
    "robyn.Robyn": ("Robyn", "is not ASGI: it has a server of its own, so devrun cannot serve it"),
    "aiohttp.web.Application": ("aiohttp", "is not ASGI: it has a server of its own, so devrun cannot serve it"),
}
"""What people may expect devrun to serve, and why it does not."""

_COMMON = ("App", "Application", "API")


def _word(origin: str) -> str:
    first, last = origin.partition(".")[0], origin.rpartition(".")[2]
    return first if last in _COMMON else last


WORDS = tuple(sorted({"receive", *map(_word, FRAMEWORKS), *map(_word, OTHERS)}))
"""A file without any of these makes no app by itself: what is called, or its package where that is a common word."""


class Found(Struct, frozen=True):
    """An app: the file (relative to the project), the name in it, and what made it."""

    file: str
    attribute: str
    framework: str
    factory: bool = False


class Refused(Struct, frozen=True):
    """Something like an app that uvicorn cannot serve, and why."""

    file: str
    attribute: str
    framework: str
    reason: str


Place = tuple[str, str]
"""A file and a name in it."""


class Sources:
    """The files of a project that may have to do with an app, by their paths relative to it."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self._by_suffix: dict[str, list[str]] = {}
        for path in modules:
            parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
            for start in range(len(parts)):
                self._by_suffix.setdefault(".".join(parts[start:]), []).append(path)

    def makers(self) -> set[str]:
        """The names of the classes and functions here that make an app when they are called."""
        return {
            name
            for path, module in self._modules.items()
            for name in (*module.classes, *module.functions)
            if self._made(path, name) is not None
        }

    def apps(self) -> list[Found]:
        """Every app that stands for itself, in the order of the files."""
        found = [*self._bound(), *self._functions()]
        parts = {place for one in found for place in self._parts(one)}
        for path, module in self._modules.items():
            parts.update(self._origin(path, name) for name in module.mounted)
        return [one for one in found if (one.file, one.attribute) not in parts]

    def refused(self) -> list[Refused]:
        """What looks like an app and cannot be served, in files that have no app."""
        served = {one.file for one in self.apps()}
        return [
            Refused(path, name, *OTHERS[origin])
            for path, module in self._modules.items()
            if path not in served
            for name, value in dict(module.bindings).items()
            if (origin := self._origin(path, value.callee or "")[1]) in OTHERS
        ]

    # --- candidates ---------------------------------------------------------------------------------------------------

    def _bound(self) -> Iterator[Found]:
        for path, module in self._modules.items():
            seen: set[str | int] = set()
            for name, value in module.bindings:
                framework = None if value.callee is None else self._made(path, value.callee)
                # An instance that is called like an app and has another name is a middleware, most likely.
                if framework is None or (framework == PLAIN and name not in _PLAIN_NAMES):
                    continue
                if seen.isdisjoint((name, id(value))):  # `app = application = FastAPI()` is one app
                    yield Found(path, name, framework)
                seen.update((name, id(value)))

    def _functions(self) -> Iterator[Found]:
        for path, module in self._modules.items():
            for name, function in module.functions.items():
                if function.asgi:
                    if name in _PLAIN_NAMES or name.endswith("_app"):
                        yield Found(path, name, PLAIN)
                elif _is_factory(name, function) and (framework := self._returned(path, function, 0)) is not None:
                    yield Found(path, name, framework, factory=True)

    def _parts(self, one: Found) -> Iterator[Place]:
        """What an app is made of: none of it is an app of its own, nor is a function that hands out what has a name."""
        module = self._modules[one.file]
        function = module.functions.get(one.attribute)
        if function is None:
            values = tuple(value for name, value in module.bindings if name == one.attribute)
            used = {value.callee for value in values if value.callee}
        else:
            values = function.values
            used = set(function.calls)
            if any(value.alias is not None and self._is_bound(one.file, value.alias) for value in values):
                yield (one.file, one.attribute)
                return
        used.update(name for value in values for name in value.names)
        yield from (self._origin(one.file, name) for name in used - {one.attribute})

    # --- meanings -----------------------------------------------------------------------------------------------------

    def _is_bound(self, path: str, alias: str) -> bool:
        where, name = self._origin(path, alias)
        return bool(where) and any(bound == name for bound, _ in self._modules[where].bindings)

    def _made(self, path: str, callee: str, depth: int = 0) -> str | None:
        """The framework of what a call makes; None for everything else."""
        if depth > _DEEPEST:
            return None
        where, name = self._origin(path, callee)
        if not where:
            return FRAMEWORKS.get(name)
        module = self._modules[where]
        if name in module.classes:
            kinds = (self._made(where, base, depth + 1) for base in module.classes[name].bases)
            return next(filter(None, kinds), PLAIN if module.classes[name].asgi else None)
        return self._returned(where, module.functions[name], depth + 1) if name in module.functions else None

    def _returned(self, path: str, function: Function, depth: int) -> str | None:
        """The framework of what a function returns: by its annotation, else by what stands behind ``return``."""
        callees = (function.returns, *(value.callee for value in function.values))
        return next(filter(None, (self._made(path, callee, depth) for callee in callees if callee)), None)

    def _origin(self, path: str, name: str, depth: int = 0) -> Place:
        """Where a name that is used in a file comes from; an empty file name: from outside the project."""
        module = self._modules[path]
        first, _, rest = name.partition(".")
        if module.defines(first) or first not in module.imports or depth > _DEEPEST:
            return (path, name) if module.defines(first) else ("", name)
        origin = module.imports[first] + (f".{rest}" if rest else "")
        parent, _, last = origin.rpartition(".")
        where = self._file(path, parent) if parent.strip(".") else self._file(path, origin[: len(origin) - len(last)])
        return ("", origin) if where is None else self._origin(where, last, depth + 1)

    def _file(self, path: str, module: str) -> str | None:
        """The file of a module that ``path`` imports: of several, the one that is nearest to it."""
        name = module.lstrip(".")
        level = len(module) - len(name)
        files = self._by_suffix.get(name, [])
        if level:
            folder = path
            for _ in range(level):
                folder = dirname(folder)
            stem = "/".join(part for part in (folder, *name.split(".")) if part)
            files = [file for file in (f"{stem}.py", f"{stem}/__init__.py") if file in self._modules]
        others = [file for file in files if file != path]
        return max(others, key=lambda file: _shared(file, path), default=None)


_DEEPEST = 8
"""Classes and imports may run in a circle while somebody edits them."""


def _is_factory(name: str, function: Function) -> bool:
    """uvicorn calls a factory without arguments and does not await it."""
    return not (function.required or function.coroutine or name.startswith("_") or "test" in name)


def _shared(one: str, other: str) -> int:
    return len(commonpath([f"/{one}", f"/{other}"]))

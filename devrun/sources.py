"""One Python file as ``devrun init`` sees it: what it imports, defines and binds at its top, read without running it.

Pure: text in, names out. Knows no framework (that is ``asgi``) and no disk.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_MOUNT = re.compile(rb"[mM]ount\s*\(")
_ASGI_PARAMETERS = ["scope", "receive", "send"]


class Value(Struct, frozen=True):
    """An expression: the dotted name that it calls or that it is, as written, and every name that is read in it."""

    callee: str | None = None
    alias: str | None = None
    names: frozenset[str] = frozenset()


class Class(Struct, frozen=True):
    """``asgi``: its instances are called with scope, receive and send."""

    bases: tuple[str, ...]
    asgi: bool


class Function(Struct, frozen=True):
    """``returns``: its annotation. ``values``: what it returns. ``required``: it cannot be called without arguments."""

    returns: str | None
    values: tuple[Value, ...]
    calls: frozenset[str]
    required: bool
    coroutine: bool
    asgi: bool


class Module(Struct):
    """``imports``: local name to its origin, with leading dots where that is relative. ``mounted``: parts of apps."""

    imports: dict[str, str] = field(default_factory=dict[str, str])
    classes: dict[str, Class] = field(default_factory=dict[str, Class])
    functions: dict[str, Function] = field(default_factory=dict[str, Function])
    bindings: list[tuple[str, Value]] = field(default_factory=list[tuple[str, Value]])
    mounted: set[str] = field(default_factory=set[str])

    def defines(self, name: str) -> bool:
        """Whether a name is made here and not imported."""
        return name in self.classes or name in self.functions or any(name == bound for bound, _ in self.bindings)


def read(content: bytes) -> Module:
    """Read one file. Raises SyntaxError for what is not Python, in this interpreter's version of it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(content)
            module = Module()
            for statement in _everywhere(tree.body):
                _note_import(module, statement)
            if _MOUNT.search(content):
                for node in ast.walk(tree):
                    _note_mount(module, node)
            for statement in _flat(tree.body):
                _note_statement(module, statement)
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL, a false encoding, thousands of brackets
        raise SyntaxError(str(error) or "nested too deeply") from None
    return module


def _everywhere(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements, also those inside functions and classes; expressions, most of a tree, are not walked."""
    for statement in body:
        yield statement
        for name in ("body", "orelse", "handlers", "finalbody", "cases"):
            inner: list[ast.stmt] = getattr(statement, name, [])
            if inner:
                yield from _everywhere(inner)


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a body does, without those below ``if __name__ == "__main__"``."""
    for statement in body:
        yield statement
        match statement:
            case ast.If():
                if not _is_main(statement.test):
                    yield from _flat(statement.body)
                yield from _flat(statement.orelse)
            case ast.Try():
                for part in (statement.body, *(handler.body for handler in statement.handlers), statement.orelse):
                    yield from _flat(part)
            case ast.With() | ast.AsyncWith():
                yield from _flat(statement.body)
            case _:
                pass


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _note_import(module: Module, node: ast.AST) -> None:
    """Also imports inside functions: a factory often has its own."""
    if isinstance(node, ast.Import):
        for name in node.names:
            first = name.name.partition(".")[0]
            module.imports.setdefault(name.asname or first, name.name if name.asname else first)
    elif isinstance(node, ast.ImportFrom):
        origin = "." * node.level + (node.module or "")
        for name in node.names:
            joined = origin + name.name if origin.endswith(".") else f"{origin}.{name.name}"
            module.imports.setdefault(name.asname or name.name, joined)


def _note_mount(module: Module, node: ast.AST) -> None:
    """``app.mount("/admin", part)`` and ``Mount("/admin", app=part)``: what is mounted is no app of its own."""
    if not isinstance(node, ast.Call):
        return
    callee = dotted(node.func)
    if callee is None or callee.rpartition(".")[2].lower() != "mount":
        return
    for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
        part = dotted(argument.func if isinstance(argument, ast.Call) else argument)
        if part is not None:
            module.mounted.add(part)


def _note_statement(module: Module, statement: ast.stmt) -> None:
    match statement:
        case ast.ClassDef():
            bases = tuple(base for base in map(dotted, statement.bases) if base)
            module.classes[statement.name] = Class(bases, any(map(_is_asgi_call, statement.body)))
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            module.functions[statement.name] = _function(statement)
        case _:
            module.bindings += _bindings(statement)


def _bindings(statement: ast.stmt) -> list[tuple[str, Value]]:
    match statement:
        case ast.Assign(targets=targets, value=expression):
            value = _value(expression)  # one object, however many names it gets
            return [(target.id, value) for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as expression):
            return [(name, _value(expression))]
        case _:
            return []


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    statements = list(_flat(node.body))
    local = dict(binding for statement in statements for binding in _bindings(statement))
    returned = [
        _value(statement.value) for statement in statements if isinstance(statement, ast.Return) and statement.value
    ]
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) > len(arguments.defaults) or None in arguments.kw_defaults
    calls = [] if required else [dotted(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)]
    return Function(
        returns=_annotation(node.returns),
        values=tuple(local.get(value.alias or "", value) for value in returned),
        calls=frozenset(name for name in calls if name),
        required=required,
        coroutine=isinstance(node, ast.AsyncFunctionDef),
        asgi=isinstance(node, ast.AsyncFunctionDef) and [one.arg for one in positional] == _ASGI_PARAMETERS,
    )


def _is_asgi_call(node: ast.stmt) -> bool:
    match node:
        case ast.AsyncFunctionDef(name="__call__", args=arguments):
            return [one.arg for one in arguments.args[1:]] == _ASGI_PARAMETERS
        case _:
            return False


def _value(node: ast.expr) -> Value:
    names = frozenset(name.id for name in ast.walk(node) if isinstance(name, ast.Name))
    if isinstance(node, ast.Call):
        return Value(callee=dotted(node.func), names=names)
    return Value(alias=dotted(node), names=names)


def _annotation(node: ast.expr | None) -> str | None:
    """The name in an annotation, which may stand in quotes."""
    match node:
        case ast.Constant(value=str(text)):
            return text if _DOTTED.fullmatch(text) else None
        case _:
            return dotted(node)


def dotted(node: ast.expr | None) -> str | None:
    """``a.b.c``, also where brackets stand behind it; None for any other expression."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            before = dotted(value)
            return None if before is None else f"{before}.{attribute}"
        case ast.Subscript(value=value):
            return dotted(value)
        case _:
            return None

"""A module in two halves: what it imports at its top, and the rest, which is where people edit.

Run one after the other in the module's namespace, they do what the module does as a whole. As long as the first is as
it was, a process that has run it can go on with the second half of a newer file.

Standard library only, Python 3.9 on.
"""

from __future__ import annotations
import __future__

import ast
import sys
from importlib.util import decode_source
from types import CodeType


class Halves:
    """``line`` is the last one of the first half, ``first`` its code; ``text`` is that of the whole file."""

    def __init__(self, path: str, text: str, tree: ast.Module, count: int) -> None:
        last = tree.body[count - 1]
        self.line: int = last.end_lineno or last.lineno
        self.first: CodeType = compile(ast.Module(tree.body[:count], []), path, "exec", dont_inherit=True)
        self._path = path
        self.text = text
        self._count = count
        self._end = _end(last)
        self._head = _head(text, last)
        self._flags = _future_flags(tree.body[:count])

    def second(self) -> CodeType:
        """Return the code of the second half. Raises SyntaxError."""
        tree = ast.parse(self.text, self._path)
        rest = ast.Module(tree.body[self._count :], tree.type_ignores)
        code: CodeType = compile(rest, self._path, "exec", self._flags, dont_inherit=True)
        return code

    def take(self, source: bytes) -> bool:
        """Go on with a newer file from here on, if it begins with the same first half; False if it does not."""
        try:
            text = decode_source(source)
        except (SyntaxError, ValueError):
            return False
        if not text.startswith(self._head):
            return False
        try:
            tree = ast.parse(text, self._path)
        except (SyntaxError, ValueError, RecursionError):
            self.text = text  # to be complained about when it is run
            return True
        if (
            len(tree.body) < self._count
            or _end(tree.body[self._count - 1]) != self._end
            or not _divisible(tree, self._count)
        ):
            return False
        self.text = text
        return True


def split(source: bytes, path: str) -> Halves | None:
    """Return the halves; None for a module that imports nothing at its top, or cannot be run in two parts."""
    try:
        text = decode_source(source)
        tree = ast.parse(text, path)
        count = _count_of_first(tree.body)
        if not 0 < count < len(tree.body) or not _divisible(tree, count):
            return None
        compile(text, path, "exec", dont_inherit=True)
        return Halves(path, text, tree, count)
    except (SyntaxError, ValueError, RecursionError):
        return None  # whoever runs it as a whole will say what is wrong


def _count_of_first(body: list[ast.stmt]) -> int:
    """How many statements reach to the last import in front of the first function or class."""
    count = 0
    for index, statement in enumerate(body):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            break
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            count = index + 1
    return count


def _divisible(tree: ast.Module, count: int) -> bool:
    """Whether the second half would not be read as something else by itself."""
    if count < len(tree.body):
        first = tree.body[count]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            return False  # it would become the docstring
    # From Python 3.14 on all annotations of a module are one function of its code.
    return sys.version_info < (3, 14) or not any(isinstance(node, ast.AnnAssign) for node in ast.walk(tree))


def _end(statement: ast.stmt) -> tuple[int | None, int | None]:
    return statement.end_lineno, statement.end_col_offset


def _head(text: str, last: ast.stmt) -> str:
    """The text up to the end of a statement."""
    lines = text.split("\n")
    line = (last.end_lineno or 1) - 1
    end = lines[line].encode()[: last.end_col_offset].decode()
    return "\n".join([*lines[:line], end])


def _future_flags(statements: list[ast.stmt]) -> int:
    flags = 0
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__" and not statement.level:
            for alias in statement.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    return flags

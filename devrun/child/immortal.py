"""Keeps shared with every worker what a fork server has imported: the references to it are no longer counted.

A count is written with each use of an object, and the first write to a page that processes share copies it. PEP 683,
made for such servers (https://peps.python.org/pep-0683/), stops the counting for objects whose count has a value that
says so. CPython up to 3.14 has no function that gives an object this value: it is written here where the count is, once
an object of our own has shown that this is where it is. Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from types import CodeType, FunctionType, ModuleType
from typing import Any

_VERSIONS = ((3, 12), (3, 13))
"""Where this was tried."""
_IMMORTAL = 0xFFFFFFFF
_WORDS = 2**46
"""How many words of four bytes an address can have in front of it."""
_PARTS = (type, FunctionType, ModuleType)
"""What modules are made of. Classes have weak references from their bases."""
_REFERENCES = (weakref.ReferenceType, weakref.ProxyType, weakref.CallableProxyType)


def immortalize() -> int:
    """Make what has been imported immortal. Return how many objects, without names and constants.

    To be followed by ``gc.freeze``: what is frozen already is not seen here, and what is not is written to in its turn.
    Left out are objects whose end somebody could wait for: those with a finalizer or a weak reference, except the
    classes, functions and modules themselves; and the references, which tell of an end only while they last. What is
    immortal and loses its last name stays in memory, no more.
    """
    if _memory() is None:
        return 0
    objects = gc.get_objects()
    kinds: set[type[object]] = set(map(type, objects))
    mortal = set(filter(_must_end, kinds))
    awaited = {kind for kind in kinds if kind.__weakrefoffset__ and not issubclass(kind, _PARTS)}
    lasting = [
        one
        for one in objects
        if type(one) not in mortal and not (type(one) in awaited and weakref.getweakrefcount(one))
    ]
    codes = _codes(one.__code__ for one in objects if type(one) is FunctionType)
    # Constants that are equal to one another do not matter: what is often used is a name, of which there is but one.
    names: set[object] = set()
    names.update(*(code.co_names for code in codes), *(code.co_consts for code in codes))
    stop_counting(chain(lasting, codes, names))
    return len(lasting)


def stop_counting(things: Iterable[object]) -> None:
    """Make these immortal, but not what is in them: things whose end nobody is told of, such as texts and numbers.

    What a process looks at before each fork, it must not write to: all that it has forked before would be left with
    pages of their own.
    """
    words = _memory()
    if words is not None:
        for thing in things:
            words[id(thing) >> 2] = _IMMORTAL


def _must_end(kind: type[object]) -> bool:
    # Not hasattr: a class may answer in its own way, and import more for it.
    return issubclass(kind, _REFERENCES) or any("__del__" in base.__dict__ for base in kind.__mro__)


def _codes(outer: Iterable[CodeType]) -> list[CodeType]:
    """Return these and the ones inside of them, which the garbage collector does not know."""
    found: list[CodeType] = []
    new = list(outer)
    while new:
        found += new
        new = [one for code in new for one in code.co_consts if type(one) is CodeType]
    return found


@lru_cache(maxsize=1)
def _memory() -> Any:
    """Return this process's memory in words of four bytes; None where counts are not known to work as expected."""
    if (
        sys.implementation.name != "cpython"
        or sys.version_info[:2] not in _VERSIONS
        or (sys.maxsize, sys.byteorder) != (2**63 - 1, "little")
        or sys.abiflags  # without a global lock, or for debugging: with more in front of an object
    ):
        return None
    try:
        import ctypes
    except ImportError:
        return None
    words = (ctypes.c_uint32 * _WORDS).from_address(0)
    return words if _counts(words, object()) else None


def _counts(words: Any, one: object) -> bool:
    """Whether the count of an object is where it is expected, and the value stops the counting."""
    where = id(one) >> 2
    count = words[where]
    more = [one, one, one]
    if words[where] != count + len(more):
        return False
    words[where] = _IMMORTAL
    more += [one, one, one]
    return bool(words[where] == _IMMORTAL)

"""Holds a parsed TOML document against the types of ``config`` and reports everything that does not fit.

msgspec's own conversion ends at the first mistake; this walk goes on. It is at least as strict: a document without
mistakes here converts. Knows the types only through ``msgspec.inspect``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from msgspec import inspect as types

from devrun.kinds import KEY_WORDS, LARGEST
from devrun.places import KeyPath
from devrun.uvicorn_settings import ELSEWHERE

Report = Callable[[KeyPath, str, str, str | None], None]
"""Takes a mistake: its key, what was found, what was expected, the nearest valid name."""

_NOUNS = {
    "File": "a key at the top of devrun.toml",
    "App": "a key of an app",
    "Command": "a key of a command",
    "External": "a key of [external]",
    "EnvFile": "a key of [[dotenv]]",
    "Reload": "a key of [reload]",
    "UvicornSettings": "a setting of uvicorn",
}


def check(value: object, kind: types.Type, key: KeyPath, report: Report) -> None:
    """Report all that is wrong with ``value``, which stands at ``key`` and should be of ``kind``."""
    inner = _fitting(value, kind)
    match inner:
        case types.StructType() if isinstance(value, dict):
            _check_struct(cast("dict[str, object]", value), inner, key, report)
        case types.DictType() if isinstance(value, dict):
            _check_dict(cast("dict[str, object]", value), inner, kind, key, report)
        case types.VarTupleType() if isinstance(value, list):
            _check_list(cast("list[object]", value), inner, kind, key, report)
        case types.Type() if _accepts(value, inner):
            pass
        case _:
            report(key, shown(value), expected(kind), _near(value, _names(kind)))


def _check_struct(table: Mapping[str, object], kind: types.StructType, key: KeyPath, report: Report) -> None:
    known = {field.encode_name: field for field in kind.fields}
    for name, value in table.items():
        if name in known:
            check(value, known[name].type, (*key, name), report)
        else:
            report((*key, name), *_unknown(name, kind.cls.__name__, known))
    for name, field in known.items():
        if field.required and name not in table:
            report((*key, name), "missing", expected(field.type), None)


def _unknown(name: str, table: str, known: Iterable[str]) -> tuple[str, str, str | None]:
    if table == "UvicornSettings" and name in ELSEWHERE:
        return f"not set here: {ELSEWHERE[name]}", "", None
    near = _near(name, known)
    noun = _NOUNS[table]
    return "unknown key", noun if near is not None else f"{noun}: {', '.join(known)}", near


def _check_dict(
    table: Mapping[str, object], inner: types.DictType, kind: types.Type, key: KeyPath, report: Report
) -> None:
    if len(table) < (inner.min_length or 0):
        report(key, "an empty table", expected(kind), None)
    for name, value in table.items():
        if not _accepts(name, _bare(inner.key_type)):
            report((*key, name), shown(name), expected(inner.key_type), None)
        check(value, inner.value_type, (*key, name), report)


def _check_list(items: list[object], inner: types.VarTupleType, kind: types.Type, key: KeyPath, report: Report) -> None:
    least, most = inner.min_length or 0, inner.max_length
    if len(items) < least or (most is not None and len(items) > most):
        report(key, f"a list of {len(items)}" if items else "an empty list", expected(kind), None)
    for index, item in enumerate(items):
        check(item, inner.item_type, (*key, index), report)


# --- one value ----------------------------------------------------------------------------------------------------


def _bare(kind: types.Type) -> types.Type:
    return kind.type if isinstance(kind, types.Metadata) else kind


def _fitting(value: object, kind: types.Type) -> types.Type:
    """Return the member of a union that ``value`` is meant for: one that accepts it, or a table or list as it is."""
    kind = _bare(kind)
    if not isinstance(kind, types.UnionType):
        return kind
    members = [_bare(member) for member in kind.types]
    return next((member for member in members if _container(value, member) or _accepts(value, member)), kind)


def _container(value: object, kind: types.Type) -> bool:
    if isinstance(value, list):
        return isinstance(kind, types.VarTupleType)
    return isinstance(value, dict) and isinstance(kind, types.StructType | types.DictType)


def _accepts(value: object, kind: types.Type) -> bool:
    match kind:
        case types.BoolType():
            return isinstance(value, bool)
        case types.IntType():
            return isinstance(value, int) and not isinstance(value, bool) and _in_range(value, kind)
        case types.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool) and _in_range(value, kind)
        case types.StrType():
            return isinstance(value, str) and "\0" not in value and _has_form(value, kind)
        case types.LiteralType():
            return any(type(value) is type(one) and value == one for one in kind.values)
        case _:
            return False


def _in_range(value: float, kind: types.IntType | types.FloatType) -> bool:
    return (kind.ge is None or value >= kind.ge) and (kind.le is None or value <= kind.le)  # false for nan


def _has_form(value: str, kind: types.StrType) -> bool:
    if kind.pattern is not None:
        # `$` of Python, unlike that of JSON Schema, would let a newline at the end pass.
        return re.search(kind.pattern.removesuffix("$") + r"\Z", value) is not None
    return len(value) >= (kind.min_length or 0)


# --- words --------------------------------------------------------------------------------------------------------


def shown(value: object) -> str:
    """Return a value of a TOML document in few words, on one line."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            text = repr(value if len(value) <= 60 else value[:57] + "...")
            return f"a NUL character in {text}" if "\0" in value else text
        case int() if value.bit_length() > 100:  # str() refuses the longest ones
            return "a number of more than 30 digits"
        case int() | float():
            return str(value)
        case _:
            return f"the date or time {value}"


def expected(kind: types.Type) -> str:
    """Return in words what a type accepts."""
    words = _extra(kind).get("expected")
    if words is not None:
        return str(words)
    match _bare(kind):
        case types.UnionType(types=members):
            return _either([expected(member) for member in members if not isinstance(member, types.NoneType)])
        case types.LiteralType(values=values):
            return _either([repr(value) for value in values])
        case types.BoolType():
            return "true or false"
        case types.IntType() as number:
            return f"a whole number{_range(number)}"
        case types.FloatType() as number:
            return f"a number{_range(number)}"
        case types.StrType(pattern=str() as pattern):
            return KEY_WORDS[pattern]
        case types.StrType(min_length=least):
            return "a string that is not empty" if least else "a string"
        case types.VarTupleType(item_type=item):
            return f"a list of {'tables' if isinstance(_bare(item), types.StructType) else 'strings'}"
        case _:
            return "a table"


def _either(words: list[str]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else words[0]


def _range(kind: types.IntType | types.FloatType) -> str:
    return f", {kind.ge} or more" if kind.le == LARGEST else f" from {kind.ge} to {kind.le}"


def _extra(kind: types.Type) -> dict[str, Any]:
    return cast("dict[str, Any]", kind.extra or {}) if isinstance(kind, types.Metadata) else {}  # pyright: ignore[reportUnknownMemberType]


def _names(kind: types.Type) -> list[str]:
    """Return the words that a type knows."""
    bare = _bare(kind)
    if isinstance(bare, types.UnionType):
        return [name for member in bare.types for name in _names(member)]
    if isinstance(bare, types.LiteralType):
        return [value for value in bare.values if isinstance(value, str)]
    return list(_extra(kind).get("names", ()))


def _near(value: object, names: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(value, list(names), 1) if isinstance(value, str) else []
    return near[0] if near else None

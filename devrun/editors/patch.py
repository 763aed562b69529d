"""Puts values into a JSON text with comments and leaves every other byte as it is.

Pure: text in, text out. What a value means, and whose it is, is the caller's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from devrun.editors.jsonc import Item, JsoncError, List, Node, Object, parse, tail, value

WIDTH = 110
"""Columns up to which a value stands on one line."""

_SPACES = " \t\r\n"
_Path = Sequence[str]


def put_items(
    text: str, path: _Path, key: str, wanted: Sequence[Mapping[str, Any]], stale: Callable[[Any], bool]
) -> str:
    """Make the list at ``path`` hold each of ``wanted``, known by what it has under ``key``; take ``stale`` ones out.

    An item that already means the same is not touched, one that does not is replaced where it stands, a missing one
    comes last. Raises ``JsoncError`` where the text is none or holds something else at ``path``.
    """
    names = [item[key] for item in wanted]
    text = _remove(text, path, lambda old: field(old, key) not in names and stale(old))
    for item in wanted:
        text = _put_item(text, path, key, item)
    return text


def put_member(text: str, path: _Path, key: str, wanted: Any) -> str:
    """Make the object at ``path`` have this value under ``key``. Raises as ``put_items`` does."""
    box = _find(text, parse(text), path)
    if box is None:
        return _make(text, [*path, key], wanted)
    if not isinstance(box, Object):
        raise JsoncError(text, box.start, f"expected an object{_at(path)}")
    old = box.get(key)
    if old is None:
        return _append(text, box, f"{json.dumps(key)}: ", wanted)
    return text if same(value(old), wanted) else _replace(text, old, wanted)


def has(text: str, key: str) -> bool:
    """Whether the object at the top has a key. Raises as ``put_items`` does."""
    root = parse(text)
    if root is None or isinstance(root, Object):
        return root is not None and root.get(key) is not None
    raise JsoncError(text, root.start, "expected an object")


def same(one: Any, other: Any) -> bool:
    """Whether two values mean the same to a reader of JSON, for whom true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def items(text: str, path: _Path) -> list[Any]:
    """Return what the list at ``path`` holds. Raises as ``put_items`` does."""
    box = _list(text, path)
    return [] if box is None else [value(item.node) for item in box.parts]


def ports(text: str, path: _Path, key: str, own: Callable[[Any], bool]) -> dict[str, int]:
    """Return the ports that own entries attach to, by what comes last in their names. Raises as ``put_items`` does."""
    found: dict[str, int] = {}
    for item in items(text, path):
        port = field(field(item, "connect"), "port")
        if own(item) and type(port) is int and 0 < port < 65536:
            found[str(field(item, key)).rpartition(" ")[2]] = port
    return found


def rendered(wanted: Any, unit: str, indent: str, eol: str) -> str:
    """Return a value as text whose first line is already indented, on one line if it fits."""
    flat = json.dumps(wanted, ensure_ascii=False)
    if flat[0] not in "{[" or not wanted or len(indent) + len(flat) <= WIDTH:
        return flat
    deeper = indent + unit
    if flat[0] == "{":
        parts = [f"{json.dumps(key)}: {rendered(part, unit, deeper, eol)}" for key, part in wanted.items()]
    else:
        parts = [rendered(part, unit, deeper, eol) for part in wanted]
    return flat[0] + ",".join(f"{eol}{deeper}{part}" for part in parts) + f"{eol}{indent}{flat[-1]}"


def _put_item(text: str, path: _Path, key: str, wanted: Mapping[str, Any]) -> str:
    box = _list(text, path)
    if box is None:
        return _make(text, path, [wanted])
    old = next((item.node for item in box.parts if field(value(item.node), key) == wanted[key]), None)
    if old is None:
        return _append(text, box, "", wanted)
    return text if same(value(old), wanted) else _replace(text, old, wanted)


def field(item: Any, key: str) -> Any:
    """What an object has under a key; None, too, for what is no object."""
    return cast("dict[str, Any]", item).get(key) if isinstance(item, dict) else None


def _list(text: str, path: _Path) -> List | None:
    box = _find(text, parse(text), path)
    if box is None or isinstance(box, List):
        return box
    raise JsoncError(text, box.start, f"expected a list{_at(path)}")


def _find(text: str, root: Node | None, path: _Path) -> Node | None:
    node = root
    for depth, key in enumerate(path):
        if node is None:
            return None
        if not isinstance(node, Object):
            raise JsoncError(text, node.start, f"expected an object{_at(path[:depth])}")
        node = node.get(key)
    return node


def _at(path: _Path) -> str:
    return f" at {'.'.join(path)!r}" if path else ""


def _make(text: str, path: _Path, wanted: Any) -> str:
    """Put a value where nothing is yet, with the objects around it that are missing."""
    root = parse(text)
    if root is None:
        eol = _eol(text)
        gap = "" if not text or text.endswith(("\n", "\ufeff")) else eol
        if path:
            return _make(f"{text}{gap}{{{eol}}}{eol}", path, wanted)
        return text + gap + _text(text, wanted, "") + eol
    depth = next(depth for depth in range(len(path)) if _find(text, root, path[: depth + 1]) is None)
    box = _find(text, root, path[:depth])
    assert isinstance(box, Object)
    for key in reversed(path[depth + 1 :]):
        wanted = {key: wanted}
    return _append(text, box, f"{json.dumps(path[depth])}: ", wanted)


def _replace(text: str, old: Node, wanted: Any) -> str:
    return text[: old.start] + _text(text, wanted, _indent(text, old.start)) + text[old.end :]


def _append(text: str, box: Object | List, label: str, wanted: Any) -> str:
    """Put a part behind the last one, with its comma after the fashion of the list or object."""
    last = box.parts[-1] if box.parts else None
    at, eol = tail(text, box), _eol(text)
    outer = _indent(text, box.start)
    first = box.parts[0].start if box.parts else box.start
    inner = _indent(text, first) if _begins_line(text, first) and box.parts else outer + _unit(text)
    part = f"{eol}{inner}{label}{_text(text, wanted, inner)}"
    if last is not None and last.comma is not None:
        part += ","
    if "\n" not in text[at : box.end - 1] and "\r" not in text[at : box.end - 1]:
        part += eol + outer
    if last is not None and last.comma is None:
        return text[: last.end] + "," + text[last.end : at] + part + text[at:]
    return text[:at] + part + text[at:]


def _remove(text: str, path: _Path, unwanted: Callable[[Any], bool]) -> str:
    while True:
        box = _list(text, path)
        parts = () if box is None else box.parts
        index = next((index for index, part in enumerate(parts) if unwanted(value(part.node))), None)
        if index is None:
            return text
        before = parts[index - 1] if index else None
        text = _cut(text, parts[index], before)


def _cut(text: str, part: Item, before: Item | None) -> str:
    """Take a part and one comma out, and the lines that hold nothing else."""
    start, end = part.start, part.end
    if part.comma is not None and not text[end : part.comma].strip(_SPACES):
        end = part.comma + 1
    elif part.comma is not None:  # a comment stands before the comma
        text = text[: part.comma] + text[part.comma + 1 :]
    rest = text[end:].lstrip(" \t")
    if _begins_line(text, start) and rest.startswith(("\n", "\r")):
        start -= len(_indent(text, start))
        end = len(text) - len(rest) + (2 if rest.startswith("\r\n") else 1)
    text = text[:start] + text[end:]
    if part.comma is None and before is not None and before.comma is not None:
        text = text[: before.comma] + text[before.comma + 1 :]
    return text


def _text(text: str, wanted: Any, indent: str) -> str:
    return rendered(wanted, _unit(text), indent, _eol(text))


def _eol(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """What one level is indented by in this text."""
    root = parse(text)
    if isinstance(root, Object | List):
        for part in root.parts:
            if _begins_line(text, part.start) and _indent(text, part.start):
                return _indent(text, part.start)
    return "  "


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _indent(text: str, at: int) -> str:
    """The spaces at the start of the line that ``at`` is in."""
    line = text[_line_start(text, at) : at].removeprefix("\ufeff")
    return line[: len(line) - len(line.lstrip(" \t"))]


def _begins_line(text: str, at: int) -> bool:
    return not text[_line_start(text, at) : at].removeprefix("\ufeff").strip(" \t")

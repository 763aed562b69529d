"""The JSON Schema of devrun.toml, made from the types of ``config``, for editors.

It refuses what ``parse`` refuses as far as a schema can: names that must exist, clashes and circles are ``parse``'s.
"""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec

from devrun.config import file_type

_NO_NUL = r"^[^\x00]*$"


def schema() -> dict[str, Any]:
    """Return the schema. Draft 7: the newest that the TOML plugins of all three big editors understand."""
    raw = msgspec.json.schema(file_type())
    parts = {name: _cleaned(part) for name, part in raw["$defs"].items()}
    top = parts.pop(raw["$ref"].rpartition("/")[2])
    for name, part in parts.items():
        part.pop("description", None)  # a docstring, for readers of the code
        part["title"] = name
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **top,
        "title": "devrun.toml",
        "description": "The ASGI apps of a project, and where devrun writes their URLs.",
        **_app_is_required(),
        "$defs": parts,
    }


def schema_text() -> str:
    """Return the schema as a text, as it stands in a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _app_is_required() -> dict[str, Any]:
    """`app` is the one key that an app must have, unless all of them have it from ``[defaults]``."""
    with_app = {"required": ["app"]}
    return {
        "if": {"required": ["defaults"], "properties": {"defaults": with_app}},
        "else": {"properties": {"apps": {"additionalProperties": with_app}}},
    }


def _cleaned(node: Any) -> Any:
    """Return a part of msgspec's schema without null, which TOML does not have, and without NUL in texts."""
    if isinstance(node, list | tuple):
        return [_cleaned(item) for item in cast("list[Any]", node) if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    parts = cast("dict[str, Any]", node)
    cleaned = {key: _cleaned(value) for key, value in parts.items() if value is not None}
    if cleaned.get("type") == "string":
        cleaned.setdefault("pattern", _NO_NUL)
    if len(cleaned.get("anyOf", ())) == 1:
        return {**cleaned.pop("anyOf")[0], **cleaned}
    return cleaned

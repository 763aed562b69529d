"""Shared by both services: how a temperature is written. Both restart when a file of this folder is saved."""

from __future__ import annotations

import json
from pathlib import Path

NAMES: dict[str, str] = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))


def spell(celsius: float) -> str:
    return f"{celsius:.1f} {NAMES['celsius']}"

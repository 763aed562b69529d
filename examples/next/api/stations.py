"""What the stations say. Edit a number and save: the open page shows it."""

from __future__ import annotations

from typing import TypedDict


class Reading(TypedDict):
    station: str
    celsius: float


def readings() -> list[Reading]:
    return [
        {"station": "Lisbon", "celsius": 19.5},
        {"station": "Oslo", "celsius": 3.0},
        {"station": "Reykjavik", "celsius": 1.5},
    ]

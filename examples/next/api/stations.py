"""What the stations say. Edit a number and save: the open page shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    station: str
    celsius: float


def readings() -> list[Reading]:
    return [
        Reading("Lisbon", 19.5),
        Reading("Oslo", 3.0),
        Reading("Reykjavik", 1.5),
    ]

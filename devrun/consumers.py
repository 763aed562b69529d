"""The programs that read env files, by the names that ``for`` in devrun.toml takes.

Names only: what each of them does with a value is ``portable``'s, with a name ``naming``'s.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

Consumer = Literal[
    "dotenv",
    "dotenv-expand",
    "vite",
    "next",
    "node",
    "bun",
    "python-dotenv",
    "pydantic-settings",
    "environs",
    "django-environ",
    "uv",
    "docker-compose",
    "systemd",
    "bash",
    "dash",
    "direnv",
    "ruby-dotenv",
]
Consumers = frozenset[Consumer]

ORDER: tuple[Consumer, ...] = get_args(Consumer)
EVERYBODY: Consumers = frozenset(ORDER)


def listed(consumers: Collection[Consumer]) -> str:
    """Return them in words, in the one order that messages have."""
    if len(consumers) == len(ORDER):
        return "every reader of env files"
    names = [name for name in ORDER if name in consumers]
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])

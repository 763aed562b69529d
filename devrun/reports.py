"""What an engine reports about itself. Frozen data, for ``devrun status -v``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """A process parked in front of ``file`` (as the app's interpreter named it), or after its ``line``."""

    file: str
    pid: int
    line: int | None = None


@dataclass(frozen=True, slots=True)
class AppReport:
    """How the workers of one app are made.

    ``reason``: why not as was asked; ``refused``: why there is no checkpoint.
    """

    engine: Literal["fork", "spawn"]
    reason: str | None = None
    refused: str | None = None
    checkpoints: tuple[CheckpointReport, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerReport:
    """One fork server. ``left_out`` tells for each module that is not preloaded why."""

    python: str
    apps: tuple[str, ...]
    pid: int | None
    preloaded: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Everything that ``devrun status -v`` says about engines."""

    apps: Mapping[str, AppReport]
    servers: tuple[ServerReport, ...] = ()

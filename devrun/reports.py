"""What an engine reports about itself. Frozen data, for ``devrun status -v``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field


class CheckpointReport(Struct, frozen=True):
    """A process parked in front of ``file`` (as the app's interpreter named it), or after its ``line``."""

    file: str
    pid: int
    line: int | None = None


class AppReport(Struct, frozen=True):
    """How the workers of one app are made.

    ``reason``: why not as was asked; ``refused``: why there is no checkpoint; ``fresh``: the latest got an interpreter
    of its own, as no fork server was ready.
    """

    engine: Literal["fork", "spawn"]
    reason: str | None = None
    refused: str | None = None
    checkpoints: tuple[CheckpointReport, ...] = ()
    fresh: bool = False


class ServerReport(Struct, frozen=True):
    """One fork server. ``left_out`` tells for each module that is not preloaded why.

    ``changes``: the apps that nothing is preloaded for, and the variable that the own code of each changes meanwhile.
    """

    python: str
    apps: tuple[str, ...]
    pid: int | None
    preloaded: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    changes: Mapping[str, str] = field(default_factory=dict[str, str])


class EngineReport(Struct, frozen=True):
    """Everything that ``devrun status -v`` says about engines."""

    apps: Mapping[str, AppReport]
    servers: tuple[ServerReport, ...] = ()

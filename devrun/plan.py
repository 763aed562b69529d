"""What one ``devrun up`` runs, where, with which variables. Frozen data; ``devrun.planning`` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from devrun.consumers import EVERYBODY, Consumers


class AppPlan(Struct, frozen=True):
    """One app of the plan. Paths are absolute; ``env`` still holds its ``${…}`` templates."""

    name: str
    target: str
    """Import string, as uvicorn takes it."""
    factory: bool
    cwd: Path
    python: Path
    port: int | Literal["sticky"]
    host: str
    env: Mapping[str, str]
    env_file: Mapping[str, str]
    """What the app's ``env_file`` says; later files won."""
    watch: tuple[str, ...]
    ignore: tuple[str, ...]
    depends_on: tuple[str, ...]
    health: str | None
    reload: bool
    grace: float
    open: str | None
    uvicorn: Mapping[str, object] = field(default_factory=dict[str, object])
    identify: bool = True
    """Whether its responses say who answers."""
    env_paths: tuple[Path, ...] = ()
    """The files of ``env_file``."""

    @property
    def scheme(self) -> str:
        """``https`` when uvicorn is given a certificate."""
        return "https" if self.uvicorn.get("ssl_certfile") else "http"


class CommandPlan(Struct, frozen=True):
    """One command of the plan. Paths are absolute; ``run`` and ``env`` still hold their ``${…}`` templates."""

    name: str
    run: tuple[str, ...]
    """The program and its arguments."""
    cwd: Path
    env: Mapping[str, str]
    env_file: Mapping[str, str]
    port: int | Literal["sticky"] | None
    """None: it is read off the process."""
    restart: Literal["never", "on-failure", "always"]
    depends_on: tuple[str, ...]
    grace: float
    env_paths: tuple[Path, ...] = ()


Part = AppPlan | CommandPlan


class Endpoint(Struct, frozen=True):
    """Where a part of the stack, or what it refers to, is reached.

    ``host`` is an address that a client can connect to, never a wildcard.
    """

    name: str
    host: str
    port: int
    scheme: str = "http"
    given: str | None = None
    """The URL as somebody wrote it, where it says more or less than these parts: a path, no port."""

    @property
    def url(self) -> str:
        return self.given or f"{self.scheme}://{self._authority}"

    @property
    def ws_url(self) -> str:
        """The URL for a WebSocket; of what speaks no HTTP, the URL itself."""
        scheme = {"http": "ws", "https": "wss"}.get(self.scheme, self.scheme)
        return f"{scheme}{self.url.removeprefix(self.scheme)}"

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class AppRules(Struct, frozen=True):
    """What the core needs to know of an app's plan."""

    depends_on: tuple[str, ...]
    health: bool
    grace: float


class CommandRules(Struct, frozen=True):
    """What the core needs to know of a command's plan."""

    depends_on: tuple[str, ...]
    restart: Literal["never", "on-failure", "always"]
    grace: float
    promised: Endpoint | None
    """Where it is to listen; None: where it will."""


class EnvFilePlan(Struct, frozen=True):
    """One env file to write. ``path`` is absolute."""

    path: Path
    prefix: str
    only: tuple[str, ...] | None
    vars: Mapping[str, str]
    keep: bool
    readers: Consumers = EVERYBODY
    """Who must read every value alike."""


class ReloadPlan(Struct, frozen=True):
    """How workers are started. ``checkpoints``: how many an app may have."""

    engine: Literal["fork", "spawn"] = "spawn"
    preload: Literal["auto", "off"] | tuple[str, ...] = "auto"
    checkpoints: int = 4


class Plan(Struct, frozen=True):
    """Everything one ``devrun up`` runs."""

    name: str
    folder: Path
    apps: Mapping[str, AppPlan]
    env_files: tuple[EnvFilePlan, ...]
    environ: Mapping[str, str]
    stack: str
    """Unique to one launcher: the value of ``DEVRUN_STACK``."""
    commands: Mapping[str, CommandPlan] = field(default_factory=dict[str, CommandPlan])
    externals: Mapping[str, Endpoint] = field(default_factory=dict[str, Endpoint])
    """Where that is to which the stack only refers."""
    reload: ReloadPlan = ReloadPlan()
    warnings: tuple[str, ...] = ()
    """What is not wrong, but should be known, each with the line of the config that it is about."""

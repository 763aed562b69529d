"""Makes the plan: what to run, where, with which variables; a function of config, choices and machine.

Must not touch sockets or the clock; the disk only through the ``Disk`` protocol that it is handed.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import dotenv
import msgspec
from msgspec import Struct

from devrun import naming, variables
from devrun.choosing import chosen
from devrun.config import App, EnvFile, ProjectConfig, Reload
from devrun.consumers import EVERYBODY, Consumers
from devrun.errors import ConfigError, Mistake
from devrun.externals import endpoint_of
from devrun.places import KeyPath, Places
from devrun.plan import AppPlan, CommandPlan, Endpoint, EnvFilePlan, Part, Plan, ReloadPlan
from devrun.portable import Refusal, spell
from devrun.variables import expand, injected

PATIENT_GRACE = 600.0
"""Seconds of grace under a debugger: a save while an app stands at a breakpoint waits until the person goes on."""


class Disk(Protocol):
    """What a plan asks of the disk. ``read`` raises OSError or UnicodeDecodeError."""

    def is_file(self, path: Path) -> bool: ...

    def is_dir(self, path: Path) -> bool: ...

    def real(self, path: Path) -> Path:
        """The path without its links; what is not there stays as it is."""
        ...

    def read(self, path: Path) -> str: ...


class Host(Struct, frozen=True):
    """The machine that a plan is made for. ``python`` is devrun's own interpreter."""

    environ: Mapping[str, str]
    disk: Disk
    python: Path
    platform: str = sys.platform
    debugged: bool = False
    """Whether devrun runs under a debugger, which follows fresh interpreters only."""


class Source(Struct, frozen=True):
    """A parsed config file: what it says and where."""

    config: ProjectConfig
    places: Places
    file: Path


class Choices(Struct, frozen=True):
    """What the command line asked for. No names: everything."""

    names: tuple[str, ...] = ()
    reload: bool = True


def make_plan(source: Source, choices: Choices, host: Host, stack: str) -> Plan:
    """Return what to run. ``stack`` is unique to this launcher.

    Raises UsageError for a name that is neither app nor compound, ConfigError for what the file asks of this machine
    in vain (a missing folder, interpreter or env file).
    """
    planner = _Planner(source, host)
    names = chosen(source.config, choices.names)
    apps = {name: planner.app(name, choices) for name in names if name in source.config.apps}
    commands = {name: planner.command(name) for name in names if name in source.config.commands}
    env_files = tuple(planner.env_file(index) for index in range(len(source.config.dotenv)))
    if planner.mistakes:
        raise ConfigError(tuple(dict.fromkeys(planner.mistakes)))  # one in [defaults] is met in every app
    return Plan(
        name=source.config.name or source.file.parent.name or "devrun",
        folder=source.file.parent,
        apps=apps,
        env_files=env_files,
        environ=host.environ,
        stack=stack,
        reload=_reload(source.config.reload, host),
        warnings=tuple(dict.fromkeys(map(str, planner.warnings))),
        commands=commands,
        externals={name: endpoint_of(name, external.url) for name, external in source.config.external.items()},
    )


def _reload(reload: Reload, host: Host) -> ReloadPlan:
    """``auto`` forks where that is safe: macOS's own libraries do not bear it."""
    engine = reload.engine
    if engine == "auto":
        engine = "fork" if host.platform.startswith("linux") and not host.debugged else "spawn"
    return ReloadPlan(engine, reload.preload, reload.checkpoints)


def environment(plan: Plan, part: Part, endpoints: Mapping[str, Endpoint]) -> dict[str, str]:
    """Return the environment of an app's worker, or of a command.

    Highest precedence first: the part's ``env``, its ``env_file``, what devrun injects, devrun's own environment.
    """
    asked = isinstance(part, CommandPlan) and part.port is not None
    return {
        "PYTHONUNBUFFERED": "1",  # or what a Python child of the app prints into the pipe comes late
        **plan.environ,
        **injected(endpoints),
        **({"PORT": str(endpoints[part.name].port)} if asked else {}),
        "DEVRUN": "1",
        "DEVRUN_APP": part.name,
        **part.env_file,
        **{key: expand(value, endpoints, plan.environ, plan.folder) for key, value in part.env.items()},
        "DEVRUN_STACK": plan.stack,  # last: the guard knows the stack's processes by it
    }


def command_environments(plan: Plan, endpoints: Mapping[str, Endpoint]) -> dict[str, dict[str, str]]:
    """Return the environment of each command, by its name."""
    return {name: environment(plan, command, endpoints) for name, command in plan.commands.items()}


def words(plan: Plan, command: CommandPlan, endpoints: Mapping[str, Endpoint]) -> tuple[str, ...]:
    """Return the program and the arguments of a command."""
    return tuple(expand(word, endpoints, plan.environ, plan.folder) for word in command.run)


def env_file_variables(plan: Plan, file: EnvFilePlan, endpoints: Mapping[str, Endpoint]) -> dict[str, str]:
    """Return what goes into one env file. A variable about an app that is not started this time is left out."""
    shown = {name: endpoint for name, endpoint in endpoints.items() if file.only is None or name in file.only}
    return {
        **{file.prefix + key: value for key, value in injected(shown).items()},
        **{
            key: expand(value, endpoints, plan.environ, plan.folder)
            for key, value in file.vars.items()
            if endpoints.keys() >= set(variables.names(value))
        },
    }


def stack_variables(plan: Plan, endpoints: Mapping[str, Endpoint]) -> dict[str, str]:
    """Return the variables of a stack for somebody who would else read its env files.

    What they hold is there, too; the first file wins, and any of them over the stack's own variables.
    """
    files: dict[str, str] = {}
    for file in reversed(plan.env_files):
        files |= env_file_variables(plan, file, endpoints)
    return {**injected(endpoints), **files, "DEVRUN": "1", "DEVRUN_STACK": plan.stack}


def command_environment(plan: Plan, endpoints: Mapping[str, Endpoint]) -> dict[str, str]:
    """Return the environment of a command that is run for a stack."""
    return {**plan.environ, **stack_variables(plan, endpoints)}


def _listed(files: str | tuple[str, ...]) -> tuple[str, ...]:
    return (files,) if isinstance(files, str) else files


class _Planner:
    """Looks up what a config file names, and collects what is not there."""

    def __init__(self, source: Source, host: Host) -> None:
        self._config = source.config
        self._places = source.places
        self._folder = source.file.parent
        self._host = host
        self._endpoints = (*source.config.apps, *source.config.commands, *source.config.external)
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []

    def app(self, name: str, choices: Choices) -> AppPlan:
        app = self._config.apps[name]
        key = ("apps", name)
        cwd = self._cwd(key, app.cwd)
        self._check_texts((*key, "env"), app.env)
        return AppPlan(
            name=name,
            target=app.app,
            factory=app.factory,
            cwd=cwd,
            python=self._python(name, app, cwd),
            port=app.port,
            host=app.host,
            env=app.env,
            env_file=self._env_file(key, app.env_file, cwd),
            watch=app.watch,
            ignore=app.ignore,
            depends_on=app.depends_on,
            health=app.health,
            reload=app.reload and choices.reload,
            grace=PATIENT_GRACE if self._host.debugged else app.grace,
            open=("/" if app.open else None) if isinstance(app.open, bool) else app.open,
            uvicorn=msgspec.to_builtins(app.uvicorn),
            identify=app.identify,
            env_paths=tuple(cwd / file for file in _listed(app.env_file)),
        )

    def command(self, name: str) -> CommandPlan:
        command = self._config.commands[name]
        key = ("commands", name)
        cwd = self._cwd(key, command.cwd)
        self._check_texts((*key, "env"), command.env)
        if isinstance(command.run, str):
            run = tuple(shlex.split(command.run))
            self._check_texts(key, {"run": command.run})
        else:
            run = command.run
            self._check_texts((*key, "run"), dict(enumerate(run)))
        return CommandPlan(
            name=name,
            run=run,
            cwd=cwd,
            env=command.env,
            env_file=self._env_file(key, command.env_file, cwd),
            port=command.port,
            restart=command.restart,
            depends_on=command.depends_on,
            grace=command.grace,
            env_paths=tuple(cwd / file for file in _listed(command.env_file)),
        )

    def env_file(self, index: int) -> EnvFilePlan:
        file = self._config.dotenv[index]
        self._check_texts(("dotenv", index, "vars"), file.vars)
        path = Path(os.path.normpath(self._folder / file.path))
        key: KeyPath = ("dotenv", index, "path")
        real = self._host.disk.real(path)
        if not file.outside and not real.is_relative_to(self._folder):
            found = f"{file.path!r} is outside the project folder: {real}"
            self._mistake(key, found, "a file in the project folder, or outside = true beside it")
        elif not self._host.disk.is_dir(path.parent):
            self._mistake(key, f"no such folder: {path.parent}", "a file in a folder that is there")
        readers = EVERYBODY if file.readers is None else frozenset(file.readers)
        self._check_values(index, file, readers)
        self._check_names(index, file, readers)
        return EnvFilePlan(path, file.prefix, file.only, file.vars, file.keep, readers)

    def _check_values(self, index: int, file: EnvFile, readers: Consumers) -> None:
        """Whatever the ports will be: the addresses of one port stand in for those of another."""
        endpoints = {name: Endpoint(name, "127.0.0.1", 65535) for name in self._endpoints}
        endpoints |= {name: endpoint_of(name, external.url) for name, external in self._config.external.items()}
        for variable, text in file.vars.items():
            if any(variables.problems(text, endpoints, self._host.environ)):
                continue  # it is a mistake already
            spelling = spell(expand(text, endpoints, self._host.environ, self._folder), readers)
            if isinstance(spelling, Refusal):
                others = ", or `for` without those who do not" if spelling.readers != EVERYBODY else ""
                self._mistake(
                    ("dotenv", index, "vars", variable),
                    f"the value has {spelling}",
                    f"a value that all who read the file read alike{others}",
                )

    def _check_names(self, index: int, file: EnvFile, readers: Consumers) -> None:
        for part in self._endpoints if file.only is None else file.only:
            table = "apps" if part in self._config.apps else "commands" if part in self._config.commands else "external"
            for name in injected({part: Endpoint(part, "127.0.0.1", 65535)}):
                for fate in naming.warnings(file.prefix + name, readers):
                    self._warning((table, part), f"{file.prefix}{name} in {file.path} {fate}")
        for name in file.vars:
            for fate in naming.warnings(name, readers):
                self._warning(("dotenv", index, "vars", name), fate)

    def _warning(self, key: KeyPath, found: str) -> None:
        self.warnings.append(self._places.mistake(key, found))

    def _mistake(self, key: KeyPath, found: str, expected: str) -> None:
        self.mistakes.append(self._places.mistake(key, found, expected))

    def _check_texts(self, key: KeyPath, texts: Mapping[str, str] | Mapping[int, str]) -> None:
        """What needs the environment of this machine; the rest of a template was checked when it was read."""
        for variable, text in texts.items():
            for problem in variables.problems(text, self._endpoints, self._host.environ):
                self._mistake((*key, variable), problem.found, problem.expected)

    def _cwd(self, key: KeyPath, asked: str | None) -> Path:
        cwd = Path(os.path.normpath(self._folder / (asked or ".")))
        if not self._host.disk.is_dir(cwd):
            self._mistake((*key, "cwd"), f"no such folder: {asked}", "a folder, relative to the project")
        return cwd

    def _python(self, name: str, app: App, cwd: Path) -> Path:
        if app.python is None:
            return self._default_python(cwd)
        if "/" in app.python:
            candidates = [cwd / app.python, self._folder / app.python]
        else:
            candidates = [
                Path(folder, app.python) for folder in self._host.environ.get("PATH", "").split(":") if folder
            ]
        for candidate in candidates:
            if self._host.disk.is_file(candidate):
                return candidate
        self._mistake(
            ("apps", name, "python"),
            f"no such interpreter: {app.python}",
            "a path relative to the app's cwd or the project, or a command on PATH",
        )
        return Path(app.python)

    def _default_python(self, cwd: Path) -> Path:
        candidates = [cwd / ".venv/bin/python", self._folder / ".venv/bin/python"]
        if active := self._host.environ.get("VIRTUAL_ENV"):
            candidates.insert(1, Path(active, "bin/python"))
        return next((path for path in candidates if self._host.disk.is_file(path)), self._host.python)

    def _env_file(self, key: KeyPath, files: str | tuple[str, ...], cwd: Path) -> dict[str, str]:
        values: dict[str, str] = {}
        for file in _listed(files):
            try:
                text = self._host.disk.read(cwd / file)
            except (OSError, UnicodeDecodeError) as exc:
                reason = exc.strerror or str(exc) if isinstance(exc, OSError) else "it is not UTF-8"
                self._mistake((*key, "env_file"), f"{file} cannot be read: {reason}", "a file, relative to cwd")
                continue
            parsed = dotenv.dotenv_values(stream=io.StringIO(text), interpolate=False)
            for name, value in parsed.items():
                if not name or "=" in name or "\0" in f"{name}{value}":
                    self._mistake((*key, "env_file"), f"{file} has a variable that cannot be set: {name!r}", "")
            values.update({name: value for name, value in parsed.items() if value is not None})
        return values

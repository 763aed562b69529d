"""The readers of env files, each the real program in its real current version, and how one is asked what a file says.

A reader gets many files at once, for starting a program takes longer than reading: where the program can be asked
for one file only, two are asked at a time. Knows no rule and judges no answer.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from glob import glob
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from devrun.consumers import Consumer
from tests.readers.packages import Packages

SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE = 60.0

Answer = Mapping[str, str] | str
"""The variables that a reader found, or what it said instead."""


@dataclass(frozen=True, slots=True)
class Case:
    """An env file named ``.env`` in a folder of its own, and the names in it."""

    path: Path
    names: tuple[str, ...]


Read = Callable[[Sequence[Case]], list[Answer]]


@dataclass(frozen=True, slots=True)
class Reader:
    """``consumer``: what devrun calls it; ``label``: with its version. ``missing``: why it cannot be asked here."""

    consumer: Consumer
    label: str
    read: Read | None
    missing: str = ""


def clean(home: Path) -> dict[str, str]:
    """An environment with nothing in it that a reader would prefer to a file."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}


# --- how they are asked --------------------------------------------------------------------------------------------


def _script(command: Sequence[str], cwd: Path) -> Read:
    """One process for all files: paths in, answers out, as JSON."""

    def read(cases: Sequence[Case]) -> list[Answer]:
        files = json.dumps([{"path": str(case.path), "names": case.names} for case in cases])
        done = _run(command, cwd, files.encode())
        answers = json.loads(done)
        return [answer.get("variables") or answer.get("error") or {} for answer in answers]

    return read


def _each(command: Callable[[Path], Sequence[str]], parse: Callable[[bytes], Answer], cwd: Path) -> Read:
    """One process a file."""

    def one(case: Case) -> Answer:
        try:
            return parse(_run(command(case.path), cwd))
        except (subprocess.CalledProcessError, ValueError) as error:
            return f"{error} {getattr(error, 'stderr', b'')!r}"

    def read(cases: Sequence[Case]) -> list[Answer]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(one, cases))

    return read


def _run(command: Sequence[str], cwd: Path, given: bytes = b"") -> bytes:
    done = subprocess.run(command, input=given, cwd=cwd, env=clean(cwd), capture_output=True, timeout=PATIENCE)
    done.check_returncode()
    return done.stdout


def _environment(output: bytes) -> Answer:
    """What ``env -0`` printed."""
    pairs = (entry.partition(b"=") for entry in output.split(b"\0") if entry)
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "surrogateescape") for name, _, value in pairs}


def _shell(shell: str, cwd: Path) -> Read:
    def read(cases: Sequence[Case]) -> list[Answer]:
        output = _run([shell, str(SCRIPTS / "read.sh"), *(str(case.path) for case in cases)], cwd)
        answers = [_environment(part) for part in output.split(b"\0\0")[:-1]]
        assert len(answers) == len(cases), output[-500:]
        return answers

    return read


def _compose(program: str, cwd: Path, *, project: bool) -> Read:
    """``env_file:`` of a service, or with ``project`` the ``.env`` that fills in ``${NAME}``."""

    def ask(services: Mapping[str, object], *options: str) -> list[Answer]:
        config = json.dumps({"name": "readers", "services": services}).encode()
        output = _run([program, *options, "-f", "-", "config", "--format", "json"], cwd, config)
        found = json.loads(output)["services"]
        environments = [found[name].get("environment") or {} for name in services]
        # It prints a config that could be read again: a dollar sign is doubled there.
        return [{key: (value or "").replace("$$", "$") for key, value in one.items()} for one in environments]

    def services(cases: Sequence[Case]) -> dict[str, object]:
        return {f"s{i}": {"image": "none", "env_file": [str(case.path)]} for i, case in enumerate(cases)}

    def one(case: Case) -> Answer:
        try:
            if project:
                names = list(case.names)
                return ask({"s": {"image": "none", "environment": names}}, "--env-file", str(case.path))[0]
            return ask(services([case]))[0]
        except subprocess.CalledProcessError as error:
            return f"{error} {error.stderr!r}"

    def read(cases: Sequence[Case]) -> list[Answer]:
        if not project:
            try:
                return ask(services(cases))
            except subprocess.CalledProcessError:
                pass  # one bad file spoils it for all
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(one, cases))

    return read


# --- which ones there are --------------------------------------------------------------------------------------------


def roster(packages: Packages, home: Path) -> list[Reader]:
    """All readers. ``home``: an empty folder, in which they run."""
    return [
        *_npm(packages.npm, home),
        *_python(home),
        _uv(home),
        *_compose_readers(packages.compose, home),
        *_debian(home),
    ]


_SCRIPTED: tuple[tuple[Consumer, str, str], ...] = (
    ("dotenv", "dotenv 16", "dotenv16"),
    ("dotenv", "dotenv 17", "dotenv17"),
    ("dotenv", "dotenv 18", "dotenv18"),
    ("dotenv-expand", "dotenv-expand 12", "dotenv-expand12"),
    ("dotenv-expand", "dotenv-expand", "dotenv-expand"),
    ("vite", "vite", "vite"),
    ("next", "next", "@next/env"),
)
"""What ``read.mjs`` can ask: the consumer, its name there, and the folder that npm has put it in."""


def _npm(packages: Path | str, home: Path) -> list[Reader]:
    if isinstance(packages, str):
        scripted = [Reader(consumer, name, None, packages) for consumer, name, _ in _SCRIPTED]
        return [*scripted, Reader("node", "node", None, packages), Reader("bun", "bun", None, packages)]

    def label(consumer: Consumer, package: str) -> str:
        manifest = json.loads((packages / "node_modules" / package / "package.json").read_text())
        return f"{consumer} {manifest['version']}"

    def loads(program: str | Path) -> Read:
        code = "process.stdout.write(JSON.stringify(process.env))"
        return _each(lambda path: [str(program), f"--env-file={path}", "-e", code], json.loads, home)

    node, script, programs = shutil.which("node") or "node", str(SCRIPTS / "read.mjs"), packages / "node_modules/.bin"
    own = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip().removeprefix("v")
    return [
        *(
            Reader(who, label(who, package), _script([node, script, name], packages))
            for who, name, package in _SCRIPTED
        ),
        Reader("node", f"node {own}", loads(node)),
        Reader("node", label("node", "node"), loads(programs / "node")),
        Reader("bun", label("bun", "bun"), loads(programs / "bun")),
    ]


_LIBRARIES: tuple[Consumer, ...] = ("python-dotenv", "pydantic-settings", "environs", "django-environ")


def _python(home: Path) -> list[Reader]:
    readers: list[Reader] = []
    for name in _LIBRARIES:
        try:
            found = version(name)
        except PackageNotFoundError:
            readers.append(Reader(name, name, None, "not installed; the extra `dev` brings it"))
            continue
        readers.append(Reader(name, f"{name} {found}", _script([sys.executable, str(SCRIPTS / "read.py"), name], home)))
    return readers


def _uv(home: Path) -> Reader:
    program = Path(sys.executable).parent / "uv"
    if not program.exists():
        return Reader("uv", "uv", None, "not installed; the extra `dev` brings it")

    def command(path: Path) -> Sequence[str]:
        quiet = ("--no-project", "--no-config", "--offline", "--quiet")
        return [str(program), "run", *quiet, "--env-file", str(path), "--", "/usr/bin/env", "-0"]

    return Reader("uv", f"uv {version('uv')}", _each(command, _environment, home))


def _compose_readers(binary: Path | str, home: Path) -> list[Reader]:
    name: Consumer = "docker-compose"
    if isinstance(binary, str):
        return [Reader(name, "docker compose", None, binary)]
    done = subprocess.run([binary, "version", "--short"], capture_output=True, text=True)
    label = f"docker compose {done.stdout.strip()}"
    return [
        Reader(name, f"{label} (env_file)", _compose(str(binary), home, project=False)),
        Reader(name, f"{label} (.env)", _compose(str(binary), home, project=True)),
    ]


_SHELLS: tuple[Consumer, ...] = ("bash", "dash")


def _debian(home: Path) -> list[Reader]:
    readers = [_systemd(home), *(_sourced(shell, home) for shell in _SHELLS)]
    direnv, ruby = shutil.which("direnv"), shutil.which("ruby")
    if direnv is None:
        readers.append(Reader("direnv", "direnv", None, "not installed"))
    else:
        read = _each(lambda path: [direnv, "dotenv", "json", str(path)], json.loads, home)
        readers.append(Reader("direnv", f"direnv {_debian_version('direnv')}", read))
    if ruby is None or subprocess.run([ruby, "-e", 'require "dotenv"'], capture_output=True).returncode != 0:
        readers.append(Reader("ruby-dotenv", "ruby-dotenv", None, "not installed"))
    else:
        label = f"ruby-dotenv {_debian_version('ruby-dotenv')}"
        readers.append(Reader("ruby-dotenv", label, _script([ruby, str(SCRIPTS / "read.rb")], home)))
    return readers


def _sourced(shell: Consumer, home: Path) -> Reader:
    path = shutil.which(shell)
    if path is None:
        return Reader(shell, shell, None, "not installed")
    return Reader(shell, f"{shell} {_debian_version(shell)}", _shell(path, home))


def _systemd(home: Path) -> Reader:
    found = glob("/usr/lib/*/systemd/libsystemd-shared-*.so") + glob("/usr/lib*/systemd/libsystemd-shared-*.so")
    if not found:
        return Reader("systemd", "systemd", None, "there is no libsystemd-shared")
    number = Path(found[0]).stem.rpartition("-")[2]
    command = [sys.executable, str(SCRIPTS / "read.py"), "systemd", found[0]]
    return Reader("systemd", f"systemd {number}", _script(command, home))


def _debian_version(package: str) -> str:
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout.strip() or "(unknown version)"

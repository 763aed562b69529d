"""Light virtual environments with packages of the test's own, and what a stack says of its engines.

An environment has all that the running interpreter has (a ``.pth`` file leads there) and costs a fraction of a second.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sysconfig
import textwrap
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from devrun.control import address
from tests.driver import Stack


class Environment:
    """A virtual environment in ``folder``, made when it is constructed."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True, with_pip=False)
        self.python = folder / "bin/python"
        self.packages = next(folder.glob("lib/python*/site-packages"))
        (self.packages / "running.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")

    def install(self, name: str, source: str | Mapping[str, str], version: str = "1") -> Path:
        """Install or upgrade a package: the source of its ``__init__.py``, or its files. Returns its folder."""
        self.uninstall(name)
        folder = self.packages / name
        folder.mkdir()
        for file, text in ({"__init__.py": source} if isinstance(source, str) else source).items():
            (folder / file).write_text(textwrap.dedent(text))
        info = self.packages / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return folder

    def uninstall(self, name: str) -> None:
        """Remove a package, if it is there."""
        for folder in (self.packages / name, *self.packages.glob(f"{name}-*.dist-info")):
            shutil.rmtree(folder, ignore_errors=True)


class Diary:
    """A file that modules write a line to when they are executed. Descriptors and listings stay as they were."""

    def __init__(self, file: Path) -> None:
        file.touch()
        self._file = file

    def writing(self, *words: str) -> str:
        """Source that writes these words (expressions) and the process's number; no name of it stays behind."""
        text = ", ".join(words)
        return f"(lambda file, os: (print({text}, os.getpid(), file=file), file.close()))" + (
            f"(open({str(self._file)!r}, 'a'), __import__('posix'))\n"
        )

    def note(self, word: str) -> str:
        """Source that writes this word and the process's number."""
        return self.writing(repr(word))

    def lines(self) -> list[str]:
        """Everything that was written, without the process numbers."""
        return [line.rpartition(" ")[0] for line in self._file.read_text().splitlines()]

    def pids(self, word: str) -> list[int]:
        """The processes that wrote this word."""
        lines = (line.rpartition(" ") for line in self._file.read_text().splitlines())
        return [int(pid) for text, _, pid in lines if text == word]

    def clear(self) -> None:
        """Forget what was written."""
        os.truncate(self._file, 0)


def config(env: Environment, *apps: str, reload: str = "", settings: str = "") -> str:
    """A ``devrun.toml`` in which each app is the module of its name, run by the fork engine. ``settings``: of all."""
    tables = "".join(f'[apps.{name}]\napp = "{name}:app"\n' for name in apps or ("api",))
    return f'[defaults]\npython = "{env.python}"\n{settings}\n{tables}\n[reload]\nengine = "fork"\n{reload}\n'


def status(stack: Stack) -> dict[str, Any]:
    """What ``devrun status -v --json`` says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(20)
        sock.connect(address.locate(str(stack.folder / ".devrun")))
        sock.sendall(b'{"v": 1, "ask": "status", "verbose": true}\n')
        with sock.makefile("rb") as stream:
            answer = json.loads(stream.readline())
    found: dict[str, Any] = answer["data"]
    return found


def details(stack: Stack) -> dict[str, Any]:
    """What is said of engines, fork servers and memory."""
    found: dict[str, Any] = status(stack)["details"]
    return found


def worker(stack: Stack, app: str = "api") -> int:
    """The process of an app's newest run, as soon as it has one."""
    (found,) = (one for one in status(stack)["apps"] if one["name"] == app)
    return found["pid"] or 0


def engine(stack: Stack, app: str = "api") -> dict[str, Any]:
    """How the workers of an app are made."""
    found: dict[str, Any] = details(stack)["engines"][app]
    return found


def parked(stack: Stack, app: str = "api") -> list[str]:
    """The files in front of which a process is parked, in the order of the import; relative to the project.

    ``FILE:LINE`` for one that is parked after this line.
    """
    return [
        os.path.relpath(one["file"], stack.folder.resolve()) + (f":{one['line']}" if one.get("line") else "")
        for one in engine(stack, app)["checkpoints"]
    ]


def servers(stack: Stack) -> list[dict[str, Any]]:
    """The fork servers."""
    found: list[dict[str, Any]] = details(stack)["fork_servers"]
    return found


def server(stack: Stack, app: str = "api") -> dict[str, Any]:
    """The fork server of an app."""
    (found,) = (one for one in servers(stack) if app in one["apps"])
    return found


def preload_record(stack: Stack) -> dict[str, Any]:
    """The one record in the cache: what the apps were seen to import."""
    document = json.loads((stack.folder / ".devrun/cache/preload.json").read_bytes())
    (found,) = document["records"].values()
    record: dict[str, Any] = found
    return record


def zombies(stack: Stack) -> list[psutil.Process]:
    """Processes below the launcher that have ended and that nobody has reaped."""
    below = psutil.Process(stack.process.pid).children(recursive=True)
    return [process for process in below if process.is_running() and process.status() == psutil.STATUS_ZOMBIE]

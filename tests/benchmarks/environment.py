"""The virtual environment of the peers: made once, and again when what has to be in it changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = (
    "uvicorn[standard]",  # with watchfiles, uvloop and httptools: uvicorn at its best
    "fastapi",
    "sqlalchemy",
    "pandas",
    "granian[reload]",
    "hypercorn",
    "fastapi-cli",
    "honcho",
    *(["uvicorn-hmr"] if sys.version_info >= (3, 12) else []),
)
SHOWN = ("uvicorn", "fastapi", "sqlalchemy", "pandas", "granian", "hypercorn", "fastapi-cli", "uvicorn-hmr", "honcho")
"""Whose versions a report names."""


class Environment:
    """A virtual environment at ``path`` with all peers in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bin = path / "bin"
        self.python = self.bin / "python"

    def program(self, name: str) -> str:
        """The path of a command in the environment."""
        return str(self.bin / name)

    def versions(self) -> dict[str, str]:
        """Name and version of the peers that are installed."""
        code = (
            "import importlib.metadata as m, json\n"
            "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
        )
        found = json.loads(subprocess.check_output([self.python, "-c", code]))
        return {name: found[name] for name in SHOWN if name in found}


def default_path() -> Path:
    """A folder under the user's cache directory, one per Python."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "devrun-benchmarks" / f"venv-{sys.version_info[0]}.{sys.version_info[1]}"


def prepare(path: Path) -> Environment:
    """The environment at ``path``, made now unless it is complete. Raises CalledProcessError when pip fails."""
    stamp = path / "complete.json"
    wanted = json.dumps([sys.version, *REQUIREMENTS])
    if not stamp.exists() or stamp.read_text() != wanted:
        if path.exists() and not (path / "pyvenv.cfg").exists():
            raise SystemExit(f"{path} is no virtual environment: it is not touched")
        shutil.rmtree(path, ignore_errors=True)
        print(f"making the environment of the peers in {path}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", path], check=True, stdout=sys.stderr)
        pip = [str(path / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *REQUIREMENTS], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    return Environment(path)

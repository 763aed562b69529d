"""What an editor's TOML language server makes of the ``#:schema`` line that ``devrun init`` writes: taplo's linter."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.driver import clean_environ, write_files


def taplo(file: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sysconfig.get_path("scripts"), "taplo")
    if not program.exists():
        pytest.skip("taplo is not installed")
    command = [str(program), "lint", "--no-auto-config", file.name]
    return subprocess.run(command, cwd=file.parent, env=clean_environ(), capture_output=True, text=True, timeout=50)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A devrun.toml as ``devrun init`` writes it, with the schema beside the state."""
    write_files(tmp_path, {"main.py": "from fastapi import FastAPI\napp = FastAPI()\n"})
    command = [sys.executable, "-m", "devrun", "init"]
    subprocess.run(command, cwd=tmp_path, env=clean_environ(), capture_output=True, check=True, timeout=50)
    return tmp_path / "devrun.toml"


def test_it_finds_nothing_wrong(config: Path) -> None:
    done = taplo(config)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("prot = 8000", "'prot' was unexpected"),
        ("port = 'any'", "any"),
        ("port = 70000", "70000"),
        ("health = 'healthz'", "healthz"),
        ("[apps.Web]\napp = 'web:app'", "Web"),
        ("[reload]\nengine = 'thread'", "thread"),
    ],
)
def test_it_finds_what_is_wrong(config: Path, wrong: str, told: str) -> None:
    text = config.read_text()
    config.write_text(text.replace('app = "main:app"\n', f'app = "main:app"\n{wrong}\n'))
    done = taplo(config)
    assert done.returncode != 0
    assert told in done.stderr

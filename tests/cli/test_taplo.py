"""What an editor's TOML language server makes of the ``#:schema`` line that ``devrun init`` writes: taplo's linter."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from devrun.schema import schema_text
from tests.driver import clean_environ, write_files
from tests.unit.test_schema import EXAMPLES, INVALID, VALID


def taplo(*files: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sysconfig.get_path("scripts"), "taplo")
    if not program.exists():
        pytest.skip("taplo is not installed")
    command = [str(program), "lint", "--no-auto-config", *(file.name for file in files)]
    return subprocess.run(command, cwd=files[0].parent, env=clean_environ(), capture_output=True, text=True, timeout=50)


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


def many(folder: Path, texts: Sequence[str]) -> list[Path]:
    """A file for each text, with the schema line."""
    (folder / "schema.json").write_text(schema_text())
    return [
        write_files(folder, {f"{number}.toml": f"#:schema ./schema.json\n{text}\n".encode()}) / f"{number}.toml"
        for number, text in enumerate(texts)
    ]


def test_it_accepts_what_devrun_accepts(tmp_path: Path) -> None:
    done = taplo(*many(tmp_path, [*VALID, *(path.read_text() for path in EXAMPLES)]))
    assert done.returncode == 0, done.stderr


def test_it_refuses_what_devrun_refuses(tmp_path: Path) -> None:
    # One at a time: it lints several at once, and what it says of them gets mixed up.
    accepted = [text for file, text in zip(many(tmp_path, INVALID), INVALID, strict=True) if not taplo(file).returncode]
    assert accepted == []

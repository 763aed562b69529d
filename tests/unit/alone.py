"""Runs Python in a process of its own: with one thread, and with modules that nobody else needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.driver import clean_environ

ROOT = Path(__file__).parents[2]


def alone(script: str, *arguments: str, python: Path = Path(sys.executable)) -> Any:
    """Run ``script``, which leaves what it has found in ``found``; return that, as JSON knows it."""
    text = f"{script}\nimport json\nprint(json.dumps(found))"
    argv = [str(python), "-c", text, *arguments]
    done = subprocess.run(argv, cwd=ROOT, env=clean_environ(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])

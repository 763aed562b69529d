from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from devrun.schema import schema_text
from tests.driver import clean_environ


def test_it_prints_the_schema_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "devrun", "schema"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environ(), capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, schema_text(), "")

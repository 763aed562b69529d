"""Transcripts: what each command prints and how it ends, typed one after the other in a project.

A file of ``transcripts/`` is a list of commands, each with what comes of it:

    # a comment
    $ devrun url api
    http://127.0.0.1:PORT
    2> a line on standard error
    == 3        (the exit code, unless it is 0)

What differs each time stands there as PORT, PID, T.TTs, TIME and PROJECT. ``DEVRUN_GOLDEN=write`` writes them anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder
from tests.driver import clean_environ
from tests.live.apps import RESPOND

FOLDER = Path(__file__).parent / "transcripts"

APP = f"""{RESPOND}
import sys

print("hello from", __name__)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await respond(send, __name__)
"""
FILES = {
    "devrun.toml": """
        name = "shop"
        [defaults]
        uvicorn = { log_level = "warning" }
        [apps.api]
        app = "api:app"
        [apps.auth]
        app = "auth:app"
        depends_on = ["api"]
        [compounds]
        backend = ["api", "auth"]
    """,
    "api.py": APP,
    "auth.py": APP,
    "good.txt": APP,
    "bad.txt": "import nowhere\n",
    "sub/notes.txt": "",
}
CHANGING = [
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\b(in|last) \d+\.\d\ds", r"\1 T.TTs"),
    (r"\bpid \d+", "pid PID"),
    (r"\b(api|auth)=\d+", r"\1=PORT"),
    (r'"(port|pid|api|auth)":\d+', r'"\1":0'),
    (r'"(at|seconds|\w+_seconds)":\d+(\.\d+)?(e-\d+)?', r'"\1":0'),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", "TIME"),
    (r"up \d+s", "up Ns"),
    (r"─+", "──"),
    (r"(PORT) +\d[\d ms]*$", r"\1 ..."),
    (r"^\d+$", "PORT"),
    (r" +", " "),
]


@pytest.fixture
def shop(project: ProjectBuilder) -> Iterator[Path]:
    """A project; what a transcript leaves running there is ended."""
    folder = project(FILES)
    yield folder
    devrun("devrun down", folder)


def devrun(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**clean_environ(), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    return subprocess.run(["/bin/sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def normal(text: str, folder: Path) -> list[str]:
    lines: list[str] = []
    for line in text.replace(str(folder), "PROJECT").splitlines():
        for pattern, stands_there in CHANGING:
            line = re.sub(pattern, stands_there, line)
        lines.append(line.rstrip())
    return lines


def played(transcript: str, folder: Path) -> Iterator[str]:
    """The transcript with what really comes of its commands."""
    for line in transcript.splitlines():
        if line.startswith(("#", "$")):
            yield line
        if line.startswith("$ "):
            done = devrun(line[2:], folder)
            yield from normal(done.stdout, folder)
            yield from (f"2> {text}" for text in normal(done.stderr, folder))
            if done.returncode:
                yield f"== {done.returncode}"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
def test_transcript(file: Path, shop: Path) -> None:
    transcript = file.read_text()
    found = "\n".join(played(transcript, shop)) + "\n"
    if os.environ.get("DEVRUN_GOLDEN") == "write":
        file.write_text(found)
    assert found == transcript

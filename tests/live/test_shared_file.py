"""Two real stacks that write one file, a person who edits it meanwhile, and every way to end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devrun.outputs import block
from tests.conftest import StackStarter
from tests.driver import Stack, clean_environ, write_files
from tests.live.apps import answering

STARTS = [
    None,
    b"",
    b"A=1",
    b"\xef\xbb\xbfA=1\r\n",
    block.begin() + b"\nmine\n",
    block.end() + b"\n\xff\0",
    b"Q='open\n",
]
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


def config(path: str, prefix: str) -> str:
    return f"""
        [apps.api]
        app = "main:app"
        [[dotenv]]
        path = "{path}"
        prefix = "{prefix}"
        outside = true
        """


@pytest.mark.parametrize("seed", range(5))
def test_what_is_the_users_comes_through(tmp_path: Path, up: StackStarter, seed: int) -> None:
    chance = random.Random(seed)
    file = tmp_path / "home" / ".env"
    owners = {"home": "", "side": block.owner_of(tmp_path / "side")}
    paths = {"home": ".env", "side": "../home/.env"}
    for name in owners:
        write_files(tmp_path / name, {"main.py": answering(repr(name))})
    users = STARTS[seed]
    if users is not None:
        file.write_bytes(users)
    for turn in range(3):
        stacks: list[Stack] = []
        for name in chance.sample(list(owners), 2):
            prefix = chance.choice(["", "VITE_", "X_"])
            write_files(tmp_path / name, {"devrun.toml": config(paths[name], prefix)})
            stack = up(tmp_path / name, check_env_files=False)
            stacks.append(stack)
            stack.wait_line(r"\[devrun\] wrote ")
            assert f"{prefix}API_URL=".encode() in file.read_bytes()
        assert all(block.holds(file.read_bytes(), owner) for owner in owners.values())
        with file.open("ab") as appended:  # as `echo … >> .env` does
            appended.write(b"TURN=%d\n" % turn)
        users = (users or b"") + b"TURN=%d\n" % turn
        assert without_blocks(file, owners) == users
        for stack in chance.sample(stacks, 2):
            stack.signal(chance.choice(ENDS))
            stack.process.wait(20)
            assert without_blocks(file, owners) == users
            assert not stack.left_over()
    for name in owners:  # any command of a project repairs what its killed stack has left
        command = [sys.executable, "-m", "devrun", "check"]
        subprocess.run(command, cwd=tmp_path / name, env=clean_environ(), check=True, capture_output=True, timeout=30)
    assert file.read_bytes() == users


def without_blocks(file: Path, owners: dict[str, str]) -> bytes:
    content = file.read_bytes()
    for owner in owners.values():
        content = block.take(content, owner)
    return content

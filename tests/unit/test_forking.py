"""What the fork engine makes of late words. No process is started."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from pathlib import Path

from msgspec.structs import replace

from devrun.engine import Recipe, Surroundings
from devrun.events import Run
from devrun.forker import Exits
from devrun.forking import ForkEngine
from devrun.forkserver import Terms
from devrun.guarding import guarded
from devrun.homes import Homes
from devrun.plan import Endpoint
from devrun.spawning import SpawnEngine
from tests.live.ports import plan


def test_a_checkpoint_of_a_run_that_was_replaced_is_let_go(tmp_path: Path) -> None:
    """It was parked before a change that no checkpoint can see, and its word arrives after that."""

    async def play() -> None:
        app = replace(plan("api"), cwd=tmp_path, python=Path(sys.executable))
        recipes = {"api": Recipe(app, Endpoint("api", "127.0.0.1", 1), (), {})}
        surroundings = Surroundings(tmp_path, {}, (64, 64), "shop-1", None)
        with guarded("DEVRUN_STACK=x") as groups:
            terms = Terms(None, groups, Exits())
            homes = Homes(recipes, "off", tmp_path / "cache", terms, lambda _: None, lambda app, lines: None)
            spawning = SpawnEngine(recipes, surroundings)
            engine = ForkEngine(spawning, homes, surroundings, groups, 4, lambda app, reason: None)
            engine.note("api", ["a.py"])
            engine.note("api", ["queries.sql"])
            ours, theirs = socket.socketpair()
            with ours:
                word = {"is": "parked", "file": str(tmp_path / "a.py")}
                assert not engine.hear(Run("api", 1), word, deque([theirs.detach()]))
                assert engine.report().apps["api"].checkpoints == ()
                ours.settimeout(5)
                assert ours.recv(1) == b"", "it ends when nobody holds its other end"
            await engine.close()

    asyncio.run(play())

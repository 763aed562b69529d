"""Each kind of state that an import leaves, through a few reloads: what shows is what a fresh interpreter shows."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.live.apps import TOML, answering
from tests.live.reload.driving import PATIENCE, Reloads
from tests.live.reload.histories import DATA, FILES, IMPORTS, Edit, History
from tests.live.reload.processes import OUTSIDE, PROCESS
from tests.live.reload.trees import KIT, Tree

HISTORIES: Mapping[str, History] = {**IMPORTS, **FILES, **DATA, **PROCESS, **OUTSIDE}
ENGINE = os.environ.get("RELOAD_ENGINE")
"""``fork`` or ``spawn``; the default of the project when it is not set."""

GAPS = {"data that C code reads": "no audit event tells of it"}
"""What the fork engine does not hold yet, and why."""
FORKS = sys.platform == "linux" and ENGINE != "spawn"
PATIENCE_FOR_GAPS = 2.0


def kinds() -> list[Any]:
    return [pytest.param(name, marks=gap(GAPS[name]) if name in GAPS else ()) for name in HISTORIES]


def gap(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(FORKS, reason=reason, raises=AssertionError)


class Played:
    """A history that is being played: its project as it is now, and how often the leaf was edited."""

    def __init__(self, history: History, reloads: Reloads) -> None:
        self._history = history
        self._reloads = reloads
        self._leaves = 100
        self.tree: Tree = {**history.project, "kit.py": KIT}

    def leaf(self) -> Edit:
        """Another leaf, of the same length."""
        self._leaves += 1
        return {"leaf.py": f"VALUE = {self._leaves}\n{self._history.leaf}"}

    def after(self, *edits: Edit) -> Tree:
        merged = dict(self.tree)
        for edit in edits:
            for path, text in edit.items():
                if text is None:
                    del merged[path]
                else:
                    merged[path] = text
        self.tree = merged
        return merged


@pytest.mark.parametrize("name", kinds())
def test_a_kind_of_state(name: str, tmp_path: Path) -> None:
    history = HISTORIES[name]
    folder = tmp_path / "p"
    patience = PATIENCE_FOR_GAPS if FORKS and name in GAPS else PATIENCE
    with Reloads(folder, "main:app", engine=ENGINE, patience=patience) as reloads:
        played = Played(history, reloads)
        reloads.start(played.after(played.leaf()))
        for edit in history.edits:
            if reloads.good:
                reloads.save(played.after(played.leaf()))
            reloads.save(played.after(edit))
        for edit in history.aside:
            if reloads.good:
                reloads.save(played.after(played.leaf()))
            reloads.save(played.after(edit, played.leaf()))
        if reloads.good:
            reloads.save(played.after(played.leaf()))


@gap("a generator that was used is taken for one that was seeded")
def test_random_numbers_without_a_seed_are_other_ones_in_every_run(project: ProjectBuilder, up: StackStarter) -> None:
    head = "import random, ant, leaf"
    files = {"main.py": answering("[random.random(), leaf.DRAWN]", head), "ant.py": "import random\nrandom.random()\n"}
    leaf = "import random\nDRAWN = random.random()\nVALUE = "
    toml = TOML + (f'[reload]\nengine = "{ENGINE}"\n' if ENGINE else "")
    folder = project({"devrun.toml": toml, **files, "leaf.py": f"{leaf}100\n"})
    stack = up(folder)
    stack.wait_ready()
    drawn: list[float] = json.loads(stack.get("api").text)
    for number in range(101, 105):
        (folder / "leaf.py").write_text(f"{leaf}{number}\n")
        stack.wait_line(r"^\[devrun\] ready api")
        drawn += json.loads(stack.get("api").text)
    assert len(set(drawn)) == 10

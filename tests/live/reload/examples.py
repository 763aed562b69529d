"""One example: a random project, and a random sequence of edits to it under one stack."""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.driver import write_files
from tests.live.reload.driving import Manner, Reloads
from tests.live.reload.edits import Scene, bump_loaded, draw_edits
from tests.live.reload.fresh import Fresh
from tests.live.reload.projects import Project, draw_project
from tests.live.reload.trees import Chance, Tree, changed, without_line

LINES = 30
"""So many of what devrun said are shown of a failure."""
MANNERS = (
    *[Manner("in place")] * 4,
    *[Manner("atomic")] * 2,
    Manner("anew"),
    Manner("in place", twice=True),
    Manner("atomic", twice=True),
)


@dataclass
class Tally:
    """What a number of examples have come to."""

    examples: int = 0
    steps: int = 0
    broken: int = 0
    seconds: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        times = sorted(self.seconds) or [0.0]
        kinds = ", ".join(f"{name} {count}" for name, count in self.kinds.most_common())
        return (
            f"{self.steps} edit steps in {self.examples} examples, {self.broken} of them left the app broken; "
            f"a step took {times[len(times) // 2]:.3f} s in the middle, {times[-1]:.2f} s at most\n{kinds}"
        )


class _Enough(BaseException):
    """All is done. Not an Exception, which hypothesis would try to explain."""


def explore(
    how: settings,
    example: Callable[[random.Random], None],
    *,
    chosen: int = 0,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Let hypothesis draw examples from the seed ``chosen`` until there are ``enough``.

    Raises the failure that was seen last: the smallest one, if it was shrunk.

    What fails only now and then is a failure, too; hypothesis would say no more of it than that it does.
    """
    failures: list[AssertionError] = []

    @seed(chosen)
    @given(st.randoms(use_true_random=False))
    def test(source: random.Random) -> None:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                example(source)
        except AssertionError as error:
            failures.append(error)
            raise
        if enough() and not failures:  # else this is an attempt to shrink one
            raise _Enough

    try:
        how(test)()
    except _Enough:
        return
    except Exception as error:
        if failures:
            raise failures[-1] from error
        raise


def run_example(source: random.Random, steps: tuple[int, int], tally: Tally, engine: str | None = None) -> None:
    """Draw a project, then so many steps (least, most). Raises AssertionError where the app is not as fresh."""
    chance = Chance(source)
    tally.examples += 1
    with tempfile.TemporaryDirectory(prefix="reload-") as folder:
        project = _startable(draw_project(chance))
        with Reloads(Path(folder).resolve() / "p", project.target, engine=engine) as reloads:
            _Example(chance, project, reloads, tally).run(*steps)


def _startable(project: Project) -> Project:
    """The project without the blocks because of which it cannot be started."""
    tree = project.tree
    for _ in range(40):
        with tempfile.TemporaryDirectory(prefix="fresh-") as folder:
            state = Fresh(write_files(Path(folder).resolve(), tree), project.target).answer()["state"]
        if "broken" not in state:
            break
        file, line = state["place"] or (project.entry, len(tree[project.entry].splitlines()) - 2)
        tree = {**tree, file: without_line(tree[file], line)}
    return Project(tree, project.entry, project.unsafe)


class _Example:
    def __init__(self, chance: Chance, project: Project, reloads: Reloads, tally: Tally) -> None:
        self._chance = chance
        self._project = project
        self._reloads = reloads
        self._tally = tally
        self._tree: Tree = project.tree
        self._good: list[Tree] = []
        self._focus: list[str] = []
        self._story: list[str] = []

    def run(self, least: int, most: int) -> None:
        try:
            self._timed(["start"], lambda: self._reloads.start(self._tree))
            self._focus = [self._chance.pick(self._loaded()) for _ in range(self._chance.number(1, 3))]
            for number in range(most):
                # Two draws: hypothesis likes to draw the end.
                if number >= least and not self._chance.percent(80) and not self._chance.percent(85):
                    break
                self._step()
        except AssertionError as error:
            error.add_note(self._report())
            raise

    def _step(self) -> None:
        chance, loaded = self._chance, self._loaded()
        if self._reloads.good and chance.percent(6):
            path, manner = chance.pick(loaded), chance.pick((None, *MANNERS[:7]))
            self._story.append(f"touch {path}, {manner}")
            self._timed(["touch"], lambda: self._reloads.touch(path, manner))
            return
        scene = Scene(self._tree, self._project.entry, loaded, self._focus, self._good, self._project.unsafe)
        names, after = draw_edits(chance, scene)
        if not any(path in loaded for path in changed(self._tree, after)):
            # Nothing that the app is known to have loaded: it need not hear of it. The next reload has to.
            there = [path for path in loaded if path in after]
            after = bump_loaded(chance, Scene(after, self._project.entry, there, self._focus, self._good))
            names = [*names, "and a value"]
        manner = chance.pick(MANNERS)
        self._story.append(_told(names, manner, self._tree, after))
        self._tree = after
        self._timed(names, lambda: self._reloads.save(after, manner))

    def _loaded(self) -> list[str]:
        # Of an app that cannot even be found, the module that is looked for.
        return self._reloads.loaded or [self._project.entry]

    def _timed(self, names: Sequence[str], action: Callable[[], None]) -> None:
        begun = time.monotonic()
        action()
        seconds = time.monotonic() - begun
        if self._reloads.good:
            self._good = [*(tree for tree in self._good if tree != self._tree), self._tree]
        self._tally.kinds.update(names)
        if names != ["start"]:
            self._tally.steps += 1
            self._tally.seconds.append(seconds)
            self._tally.broken += not self._reloads.good

    def _report(self) -> str:
        start = {path: text for path, text in self._project.tree.items() if path != "kit.py"}
        lines = [f"app {self._project.target}; besides kit.py the project began as", _literal(start)]
        return "\n".join([*lines, *self._story, "what devrun said last:", *self._reloads.lines[-LINES:]])


def _told(names: Sequence[str], manner: Manner, before: Tree, after: Tree) -> str:
    edits = {path: "(kit.py)" if path == "kit.py" else after.get(path) for path in changed(before, after)}
    return f"{', '.join(names)}; {manner.style}{', twice' if manner.twice else ''}\n{_literal(edits)}"


def _literal(files: Mapping[str, str | None]) -> str:
    """As it can be pasted into a test."""
    return "\n".join(f"    {path!r}: {text!r}," for path, text in files.items())

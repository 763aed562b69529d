"""What the property test of reloads draws: valid, varied, and the same again from the same seed."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.live.reload.blocks import KINDS, UNSAFE, Site
from tests.live.reload.edits import EDITS, Scene, bump, bump_loaded, draw_edits
from tests.live.reload.projects import draw_project
from tests.live.reload.trees import Chance, Tree, changed, modules, name_of, text_of, with_value, without_line


def chance(number: int) -> Chance:
    return Chance(random.Random(number))


def scene(number: int, here: Chance | None = None) -> Scene:
    project = draw_project(here or chance(number))
    loaded = modules(project.tree)
    return Scene(project.tree, project.entry, loaded, loaded[:2], [project.tree])


@pytest.mark.parametrize("kind", [*KINDS, *UNSAFE])
def test_every_kind_of_block_is_python_of_one_block(kind: str) -> None:
    draw = {**KINDS, **UNSAFE}[kind][1]
    for number in range(30):
        here = chance(number)
        project = draw_project(here)
        block = draw(Site(here, project.tree, here.pick(modules(project.tree))))
        compile(f"import kit\nVALUE = 1\n{block}", kind, "exec")
        assert "\n\n" not in block, "an empty line ends a block"


def test_projects_are_python_and_not_alike() -> None:
    drawn = [draw_project(chance(number)) for number in range(50)]
    for project in drawn:
        for path in modules(project.tree):
            compile(project.tree[path], path, "exec")
        assert project.tree[project.entry].endswith("from kit import app\n")
    assert len({str(project.tree) for project in drawn}) == len(drawn)
    assert {project.target for project in drawn} == {"main:app", "shop.main:app"}
    assert any("/deep/" in path for project in drawn for path in project.tree)


def test_the_same_seed_draws_the_same() -> None:
    assert draw_project(chance(3)) == draw_project(chance(3))
    assert draw_edits(chance(4), scene(3)) == draw_edits(chance(4), scene(3))


def test_an_edit_changes_something_but_never_takes_the_app_away() -> None:
    kinds: Counter[str] = Counter()
    for number in range(300):
        before = scene(number % 30)
        names, after = draw_edits(chance(number), before)
        kinds.update(names)
        assert bool(names) == (after != before.tree)
        assert {before.entry, "kit.py"} <= set(after)
    assert set(kinds) == set(EDITS)


def test_a_broken_app_is_mended_more_often_than_not() -> None:
    good = scene(1)
    broken = Scene({**good.tree, "main.py": "("}, good.entry, good.loaded, good.focus, good.good)
    mended = [draw_edits(chance(number), broken) == (["mend"], good.tree) for number in range(40)]
    assert sum(mended) > 20


def test_another_value_keeps_the_length_most_times() -> None:
    lengths = Counter(map(longer_by, range(60)))
    assert lengths[0] > 40
    assert len(lengths) == 2


def longer_by(number: int) -> int:
    here = chance(number)
    before = scene(number, here)
    after = bump(here, before)
    (path,) = changed(before.tree, after)
    return len(after[path]) - len(before.tree[path])


def test_a_value_can_be_had_in_a_loaded_file_for_certain() -> None:
    tree: Tree = {"main.py": "VALUE = 1\n", "kit.py": "VALUE = 1\n", "ant.py": "VALUE = 1\n"}
    for number in range(60):
        after = bump_loaded(chance(number), Scene(tree, "main.py", ["ant.py"], ["main.py"], []))
        assert changed(tree, after) == ["ant.py"]


def test_names_and_texts() -> None:
    assert [name_of(path) for path in ("ant.py", "ant/__init__.py", "ant/deep/one.py")] == [
        "ant",
        "ant",
        "ant.deep.one",
    ]
    assert with_value("a = 1\n\nVALUE = 1\n\nb = 1\n", 2) == "a = 1\n\nVALUE = 2\n\nb = 1\n"
    assert with_value("a = 1\n", 2) == "a = 1\n\nVALUE = 2\n"
    text = text_of(["a = 1", "if a:\n    b = 1", "c = 1"])
    assert without_line(text, 1) == text_of(["if a:\n    b = 1", "c = 1"])
    assert without_line(text, 3) == without_line(text, 4) == text_of(["a = 1", "c = 1"])
    assert without_line(text, 6) == text_of(["a = 1", "if a:\n    b = 1"])

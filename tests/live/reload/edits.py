"""Draws what a person, an editor or a checkout does to a project. Pure: each edit gives another tree.

An edit that is not possible in a tree gives None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.live.reload.blocks import DATA, FLAGS, Site, draw_block
from tests.live.reload.projects import draw_module
from tests.live.reload.trees import (
    PARTS,
    TOPS,
    Chance,
    Tree,
    blocks_of,
    modules,
    name_of,
    package_of,
    text_of,
    with_value,
)


@dataclass(frozen=True)
class Scene:
    """A project between two edits. ``loaded``: the files that the app has loaded, as far as is known for certain."""

    tree: Tree
    entry: str
    loaded: Sequence[str]
    focus: Sequence[str]
    """The files that this person works on."""
    good: Sequence[Tree]
    """Earlier trees with which the app could be started."""
    unsafe: bool = False

    def movable(self) -> list[str]:
        """The modules that can be taken away: without the others there is no app at all."""
        return [path for path in modules(self.tree) if path not in (self.entry, "kit.py")]


def _one(chance: Chance, scene: Scene) -> str:
    """A file to edit: most often one that is loaded and worked on."""
    focus = [path for path in scene.focus if path in scene.loaded]
    if focus and not chance.percent(40):
        return chance.pick(focus)
    if scene.loaded and not chance.percent(15):
        return chance.pick(scene.loaded)
    return chance.pick(modules(scene.tree))


def bump(chance: Chance, scene: Scene) -> Tree:
    """Another value, mostly of the same length."""
    return _bumped(chance, scene, _one(chance, scene))


def bump_loaded(chance: Chance, scene: Scene) -> Tree:
    """The same, for certain in a file that the app has loaded."""
    path = _one(chance, scene)
    return _bumped(chance, scene, path if path in scene.loaded else chance.pick(scene.loaded))


def _bumped(chance: Chance, scene: Scene, path: str) -> Tree:
    text = with_value(scene.tree[path], chance.value())
    return {**scene.tree, path: f"{text}# longer\n" if chance.percent(10) else text}


def _add_block(chance: Chance, scene: Scene) -> Tree | None:
    path = _one(chance, scene)
    if path == "kit.py":
        return None
    blocks = blocks_of(scene.tree[path])
    at = chance.number(min(2, len(blocks)), len(blocks))
    blocks.insert(at, draw_block(Site(chance, scene.tree, path), unsafe=scene.unsafe))
    return {**scene.tree, path: text_of(blocks)}


def _drop_block(chance: Chance, scene: Scene) -> Tree | None:
    path = _one(chance, scene)
    blocks = blocks_of(scene.tree[path])
    last = len(blocks) - (2 if path == scene.entry else 1)
    if path == "kit.py" or last < 2:
        return None
    del blocks[chance.number(2, last)]
    return {**scene.tree, path: text_of(blocks)}


def _move_block(chance: Chance, scene: Scene) -> Tree | None:
    """Another order of imports."""
    path = scene.entry if chance.percent(50) else _one(chance, scene)
    blocks = blocks_of(scene.tree[path])
    if path == "kit.py" or len(blocks) < 4:
        return None
    blocks.insert(chance.number(1, len(blocks) - 1), blocks.pop(chance.number(1, len(blocks) - 1)))
    return {**scene.tree, path: text_of(blocks)}


def _create(chance: Chance, scene: Scene) -> Tree | None:
    top, part = chance.pick(TOPS), chance.pick(PARTS)
    path = chance.pick((f"{top}/{part}.py", f"{top}.py", f"{top}/__init__.py", f"{part}.py"))
    if path in scene.tree:
        return None
    return {**scene.tree, path: draw_module(Site(chance, scene.tree, path), unsafe=scene.unsafe)}


def _delete(chance: Chance, scene: Scene) -> Tree | None:
    movable = scene.movable()
    if not movable:
        return None
    gone = chance.pick(movable)
    return {path: text for path, text in scene.tree.items() if path != gone}


def _delete_folder(chance: Chance, scene: Scene) -> Tree | None:
    folders = sorted({package_of(path) for path in scene.movable()} - {"", package_of(scene.entry)})
    if not folders:
        return None
    folder = chance.pick(folders)
    return {path: text for path, text in scene.tree.items() if not path.startswith(f"{folder}/")}


def _rename(chance: Chance, scene: Scene) -> Tree | None:
    """A module gets another name; those who import it may hear of it or not."""
    movable = scene.movable()
    if not movable:
        return None
    old = chance.pick(movable)
    new = chance.pick([f"{top}.py" for top in TOPS] + [f"{top}/{part}.py" for top in TOPS for part in PARTS])
    if new in scene.tree:
        return None
    tree = {path: text for path, text in scene.tree.items() if path != old} | {new: scene.tree[old]}
    if chance.percent(60):
        for path in modules(tree):
            text = tree[path].replace(f"import {name_of(old)}\n", f"import {name_of(new)}\n")
            tree[path] = text.replace(f"from {name_of(old)} import", f"from {name_of(new)} import")
    return tree


def _rename_folder(chance: Chance, scene: Scene) -> Tree | None:
    there = {path.partition("/")[0] for path in scene.tree}
    folders = [top for top in TOPS if top in there]
    free = [top for top in TOPS if top not in there]
    if not folders or not free:
        return None
    old, new = chance.pick(folders), chance.pick(free)
    return {
        f"{new}/{path[len(old) + 1 :]}" if path.startswith(f"{old}/") else path: t for path, t in scene.tree.items()
    }


def _switch(chance: Chance, scene: Scene) -> Tree | None:
    """A module becomes a package of the same name, or the other way round."""
    movable = scene.movable()
    if not movable:
        return None
    old = chance.pick(movable)
    new = f"{old[:-12]}.py" if old.endswith("/__init__.py") else f"{old[:-3]}/__init__.py"
    if new in scene.tree:
        return None
    tree = {path: text for path, text in scene.tree.items() if path != old or chance.percent(20)}
    return {**tree, new: with_value(scene.tree[old], chance.value())}


def _switch_init(chance: Chance, scene: Scene) -> Tree | None:
    """A package becomes a namespace package, or the other way round."""
    folders = sorted({package_of(path) for path in scene.movable()} - {"", "shop"})
    if not folders:
        return None
    init = f"{chance.pick(folders)}/__init__.py"
    if init in scene.tree:
        return {path: text for path, text in scene.tree.items() if path != init}
    return {**scene.tree, init: draw_module(Site(chance, scene.tree, init), unsafe=scene.unsafe)}


def _swap(chance: Chance, scene: Scene) -> Tree | None:
    """Two modules change places."""
    movable = scene.movable()
    if len(movable) < 2:
        return None
    one, other = chance.pick(movable), chance.pick(movable)
    return {**scene.tree, one: scene.tree[other], other: scene.tree[one]}


def _data(chance: Chance, scene: Scene) -> Tree | None:
    files = [*DATA, *FLAGS, "ant/words.txt", "scripts/job.py", "lib/owl.py", "lib/bee.py", "data/extra.txt"]
    path = chance.pick(files)
    if path == "ant/words.txt" and not any(one.startswith("ant/") for one in scene.tree):
        return None
    if path in scene.tree and chance.percent(25):
        return {one: text for one, text in scene.tree.items() if one != path}
    number = chance.value()
    content = {"py": f"VALUE = {number}\n", "json": f"[{number}]"}.get(path.rpartition(".")[2], f"{number}\nb\nc\n")
    return {**scene.tree, path: content}


BREAKS = (
    "def broken(:\n    pass",
    "raise RuntimeError(f'broken {VALUE}')",
    "from nowhere import nothing",
    "x = undefined_name",
    "import sys\nsys.exit(VALUE)",
    "if VALUE:\npass",
    "import json\njson.loads('{')",
    "assert VALUE < 0, VALUE",
    "from kit import application",
)


def _break(chance: Chance, scene: Scene) -> Tree:
    path = _one(chance, scene)
    blocks = blocks_of(scene.tree[path])
    blocks.insert(chance.number(0, len(blocks)), chance.pick(BREAKS))
    return {**scene.tree, path: text_of(blocks)}


def _revert(chance: Chance, scene: Scene) -> Tree | None:
    """As it was some steps ago."""
    return dict(chance.pick(scene.good)) if scene.good else None


Draw = Callable[[Chance, Scene], Tree | None]
EDITS: dict[str, tuple[int, Draw]] = {
    "value": (18, bump),
    "add a block": (8, _add_block),
    "drop a block": (5, _drop_block),
    "move a block": (4, _move_block),
    "create": (5, _create),
    "delete": (2, _delete),
    "delete a folder": (1, _delete_folder),
    "rename": (2, _rename),
    "rename a folder": (1, _rename_folder),
    "module or package": (3, _switch),
    "with or without __init__": (3, _switch_init),
    "swap": (1, _swap),
    "data": (9, _data),
    "break": (4, _break),
    "revert": (2, _revert),
}
_BAG = [name for name, (weight, _) in EDITS.items() for _ in range(weight)]


def draw_edits(chance: Chance, scene: Scene) -> tuple[list[str], Tree]:
    """One to three edits, made together, and their names. A broken app is mended more often than not."""
    broken = not scene.good or scene.tree != scene.good[-1]
    if broken and scene.good and not chance.percent(15):
        return ["mend"], scene.good[-1]
    names: list[str] = []
    tree = scene.tree
    for _ in range(chance.pick((1, 1, 1, 2, 3))):
        name = chance.pick(_BAG)
        there = [path for path in scene.loaded if path in tree]
        edited = EDITS[name][1](chance, replace(scene, tree=tree, loaded=there))
        if edited is not None and edited != tree:
            names.append(name)
            tree = edited
    return (names, tree) if tree != scene.tree else ([], tree)

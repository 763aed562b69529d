"""Draws the random project that an example begins with. Touches no disk."""

from __future__ import annotations

from dataclasses import dataclass

from tests.live.reload.blocks import Site, draw_block
from tests.live.reload.trees import KIT, PARTS, TOPS, Chance, Tree, is_module, modules, name_of, text_of


@dataclass(frozen=True)
class Project:
    """``entry`` is the file of the module that holds ``app``."""

    tree: Tree
    entry: str
    unsafe: bool
    """Whether modules may start threads and keep descriptors open."""

    @property
    def target(self) -> str:
        """The app, as uvicorn takes it."""
        return f"{name_of(self.entry)}:app"


def draw_project(chance: Chance) -> Project:
    """Packages, modules, data files, and an entry that imports most of them. It may be broken from the start."""
    entry = chance.pick(("main.py", "shop/main.py"))
    unsafe = chance.percent(15)
    tree = dict.fromkeys(_layout(chance), "")
    if entry != "main.py":
        tree["shop/__init__.py"] = ""
    for path in modules(tree):
        tree[path] = draw_module(Site(chance, tree, path), unsafe=unsafe)
    tree[entry] = _entry(Site(chance, tree, entry), unsafe=unsafe)
    return Project({**tree, "kit.py": KIT, **_data(chance, tree)}, entry, unsafe)


def draw_module(site: Site, *, unsafe: bool = False) -> str:
    """The text of one module."""
    blocks = ["import kit", f"VALUE = {site.chance.value()}"]
    blocks += [draw_block(site, unsafe=unsafe) for _ in range(site.chance.number(0, 4))]
    return text_of(blocks)


def _layout(chance: Chance) -> list[str]:
    """Modules, packages with and without ``__init__``, and a package in a package."""
    paths: list[str] = []
    for top in TOPS[: chance.number(2, len(TOPS))]:
        if chance.percent(35):
            paths.append(f"{top}.py")
            continue
        paths += [f"{top}/{part}.py" for part in PARTS[: chance.number(1, len(PARTS))]]
        if not chance.percent(20):
            paths.append(f"{top}/__init__.py")
        if chance.percent(25):
            paths += [f"{top}/deep/__init__.py", f"{top}/deep/one.py"]
    return paths


def _entry(site: Site, *, unsafe: bool) -> str:
    names = [name_of(path) for path in modules(site.tree) if path != site.path]
    imports = [f"import {name}" for name in site.chance.shuffled(names) if not site.chance.percent(20)]
    own = [draw_block(site, unsafe=unsafe) for _ in range(site.chance.number(0, 2))]
    return text_of(["import kit", f"VALUE = {site.chance.value()}", *imports, *own, "from kit import app"])


def _data(chance: Chance, tree: Tree) -> Tree:
    found = {
        "data/words.txt": "some words",
        "data/numbers.json": "[1, 2, 3]",
        "data/more.txt": "first\nsecond\nthird\n",
        "scripts/job.py": f"VALUE = {chance.value()}\n",
        "lib/owl.py": f"VALUE = {chance.value()}\n",
    }
    if any(path.startswith("ant/") and is_module(path) for path in tree):
        found["ant/words.txt"] = "words of a package"
    if chance.percent(50):
        found["flags/red"] = ""
    return found

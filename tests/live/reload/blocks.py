"""What a module of a random project may do at import: one function a kind, each gives some lines of Python.

Every kind has one thing that goes wrong when an import is taken up half-way, or when code is kept that should be new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.live.reload.trees import PARTS, TOPS, Chance, Tree, modules, name_of, package_of

DATA = ("data/words.txt", "data/numbers.json", "data/more.txt")
FLAGS = ("flags/red", "flags/blue")


@dataclass(frozen=True)
class Site:
    """Where a block will stand."""

    chance: Chance
    tree: Tree
    path: str

    def new(self) -> str:
        """A name that nobody has."""
        return f"v{self.chance.new()}"

    def target(self) -> str:
        """A module that is there. Most often one that is later in the alphabet, so that most imports go one way."""
        names = [name_of(path) for path in modules(self.tree) if path != self.path and name_of(path) != "kit"]
        later = [name for name in names if name > name_of(self.path)]
        return self.chance.pick(later if later and not self.chance.percent(25) else names or ["kit"])

    def dangling(self) -> str:
        """A module that may be there or not."""
        top = self.chance.pick(TOPS)
        return self.chance.pick((top, f"{top}.{self.chance.pick(PARTS)}"))

    def sibling(self) -> str:
        return self.chance.pick(PARTS)


def _import(site: Site) -> str:
    return f"import {site.target()}"


def _import_as(site: Site) -> str:
    name = site.new()
    return f'import {site.target()} as {name}\n{name}_value = getattr({name}, "VALUE", "unset")'


def _from_import(site: Site) -> str:
    return f"from {site.target()} import VALUE as {site.new()}"


def _relative(site: Site) -> str:
    """Of a sibling that is there, unless there is none."""
    package = package_of(site.path)
    there = [path for path in modules(site.tree) if package and package_of(path) == package and path != site.path]
    names = [name_of(path).rpartition(".")[2] for path in there if not path.endswith("__init__.py")]
    if not names:
        return _relative_try(site)
    name = site.chance.pick(names)
    return site.chance.pick(
        (f"from . import {name}", f"from .{name} import VALUE as {site.new()}", f"from . import {name} as {site.new()}")
    )


def _relative_try(site: Site) -> str:
    name, origin = site.new(), site.chance.pick((f".{site.sibling()}", f"..{site.sibling()}"))
    fall_back = f"except ImportError as error:\n    {name} = type(error).__name__"
    return f"try:\n    from {origin} import VALUE as {name}\n{fall_back}"


def _star(site: Site) -> str:
    return f"from {site.target()} import *"


def _all(site: Site) -> str:
    names = site.chance.pick(('["VALUE"]', '["VALUE", "kit"]', "[name for name in dir() if name[0] != '_']", '["one"]'))
    return f"__all__ = {names}"


def _try(site: Site) -> str:
    name = site.new()
    other = site.chance.pick((f'    {name} = "fallback"', f"    from {site.target()} import VALUE as {name}"))
    return f"try:\n    from {site.dangling()} import VALUE as {name}\nexcept ImportError:\n{other}"


def _dynamic(site: Site) -> str:
    return f'{site.new()} = kit.load("{site.dangling()}")'


def _dynamic_relative(site: Site) -> str:
    return f'{site.new()} = kit.load(f"{{__package__}}.{site.sibling()}")'


def _flag(site: Site) -> str:
    name, flag = site.new(), site.chance.pick(FLAGS)
    body = site.chance.pick((f"    from {site.target()} import VALUE as {name}", f'    {name} = "raised"'))
    return f'import os\nif os.path.exists("{flag}"):\n{body}\nelse:\n    {name} = "lowered"'


def _text(site: Site) -> str:
    name, file = site.new(), site.chance.pick(DATA)
    read = site.chance.pick((f'open("{file}").read()', f'pathlib.Path("{file}").read_text()'))
    return f'import pathlib\ntry:\n    {name} = {read}\nexcept OSError:\n    {name} = "missing"'


def _json(site: Site) -> str:
    return f'import json\nwith open("data/numbers.json") as stream:\n    {site.new()} = json.load(stream)'


def _size(site: Site) -> str:
    file = site.chance.pick(DATA)
    return f'import os\n{site.new()} = os.path.getsize("{file}") if os.path.exists("{file}") else None'


def _resource(site: Site) -> str:
    name = site.new()
    read = site.chance.pick(
        (
            'pkgutil.get_data("ant", "words.txt")',
            'importlib.resources.files("ant").joinpath("words.txt").read_bytes()',
        )
    )
    return (
        f"import importlib.resources\nimport pkgutil\ntry:\n    {name} = {read}.decode()\n"
        f"except Exception as error:\n    {name} = type(error).__name__"
    )


def _listing(site: Site) -> str:
    seen = site.chance.pick(
        (
            'os.listdir("data")',
            '[one.name for one in os.scandir("flags")]',
            '[one.name for one in pathlib.Path("data").glob("*.txt")]',
            'glob.glob("*/*.txt")',
        )
    )
    return f"import glob\nimport os\nimport pathlib\n{site.new()} = sorted({seen})"


def _plugins(site: Site) -> str:
    """Import every module of a package that there is."""
    name, package = site.new(), site.chance.pick(("dog", "elk"))
    found = site.chance.pick(
        (
            f'sorted(one.stem for one in pathlib.Path("{package}").glob("[!_]*.py"))',
            f'[one.name for one in pkgutil.iter_modules(["{package}"])]',
            f'sorted(one[:-3] for one in os.listdir("{package}") if one[0] != "_" and one.endswith(".py"))',
        )
    )
    load = f'{name} = [kit.load(f"{package}.{{stem}}") for stem in {found}]'
    return f'import os\nimport pathlib\nimport pkgutil\nif os.path.isdir("{package}"):\n    {load}'


def _registry(site: Site) -> str:
    name = site.new()
    return site.chance.pick(
        (
            "kit.add(__name__, VALUE)",
            f"@kit.register\ndef {name}():\n    return VALUE",
            f"class {name.upper()}(kit.Base, tag=VALUE):\n    value = VALUE",
        )
    )


def _same(site: Site) -> str:
    """A class is one object, however often it is named."""
    name, target = site.new(), site.target()
    return f"import {target} as {name}\nkit.add({name} is kit.sys.modules.get({target!r}), type({name}).__name__)"


def _environ(site: Site) -> str:
    key = site.chance.pick(TOPS).upper()
    set_it = site.chance.pick(
        (f'os.environ["KIT_{key}"] = str(VALUE)', f'os.environ.setdefault("KIT_{key}", str(VALUE))')
    )
    return site.chance.pick((f"import os\n{set_it}", f'import os\n{site.new()} = os.environ.get("KIT_{key}")'))


def _random(site: Site) -> str:
    draw = site.chance.pick((f"{site.new()} = random.random()", f"{site.new()} = random.randrange(1000)"))
    return site.chance.pick((f"import random\n{draw}", "import random\nrandom.seed(VALUE)"))


def _tick(site: Site) -> str:
    return f"{site.new()} = kit.tick()"


def _seen(site: Site) -> str:
    return f"{site.new()} = kit.seen()"


def _stand(site: Site) -> str:
    return "import sys\nsys.modules[__name__] = kit.Stand(__name__, VALUE)"


def _alias(site: Site) -> str:
    return 'import sys\nsys.modules["gnu"] = sys.modules[__name__]'


def _forget(site: Site) -> str:
    return f'import sys\nsys.modules.pop("{site.dangling()}", None)'


def _virtual(site: Site) -> str:
    return (
        'def __getattr__(name):\n    if name.startswith("virtual_"):\n        return f"{name} of {VALUE}"\n'
        "    raise AttributeError(name)"
    )


def _use_virtual(site: Site) -> str:
    name, origin = site.new(), site.target()
    return f'try:\n    from {origin} import virtual_{name} as {name}\nexcept ImportError:\n    {name} = "not virtual"'


def _condition(site: Site) -> str:
    name = site.new()
    return f"if VALUE % 2:\n    {name}_odd = VALUE\nelse:\n    def {name}_even():\n        return VALUE"


def _gone(site: Site) -> str:
    name = site.new()
    return f"{name} = kit.tick()\ndel {name}"


def _through_parent(site: Site) -> str:
    """There only when somebody else has imported the submodule."""
    top = site.chance.pick(TOPS)
    found = f'getattr(kit.sys.modules.get("{top}"), "{site.sibling()}", None)'
    return f'{site.new()} = getattr({found}, "VALUE", "unset")'


def _later(site: Site) -> str:
    name = site.new()
    origin = site.chance.pick((site.target(), site.dangling(), f".{site.sibling()}"))
    return f"@kit.later\ndef {name}():\n    from {origin} import VALUE as found\n    return found"


def _patch(site: Site) -> str:
    name = site.new()
    change = site.chance.pick((f"{name}.EXTRA = VALUE", f'{name}.VALUE = getattr({name}, "VALUE", 0) + 1'))
    return f"import {site.target()} as {name}\n{change}"


def _path(site: Site) -> str:
    add = site.chance.pick(('sys.path.insert(0, kit.ROOT + "/lib")', 'sys.path.append("lib")'))
    return f'import sys\n{add}\n{site.new()} = kit.load("owl")'


def _by_path(site: Site) -> str:
    name = site.new()
    return site.chance.pick(
        (
            f'import runpy\n{name} = runpy.run_path("scripts/job.py")["VALUE"]',
            f'{name} = dict()\nexec(open("scripts/job.py").read(), {name})\n{name} = {name}["VALUE"]',
        )
    )


def _thread(site: Site) -> str:
    name = site.new()
    return f"import threading\n{name} = threading.Thread(target=kit.idle, daemon=True)\n{name}.start()"


def _stream(site: Site) -> str:
    """A descriptor that stays open, and is read on by others."""
    return site.chance.pick(
        (
            'kit.stream = open("data/more.txt", "rb")\nkit.add("opened", kit.stream.readline().decode())',
            'if hasattr(kit, "stream"):\n    kit.add("read on", kit.stream.readline().decode())',
        )
    )


KINDS: dict[str, tuple[int, Callable[[Site], str]]] = {
    "from import": (6, _from_import),
    "import": (3, _import),
    "import as": (3, _import_as),
    "relative import": (6, _relative),
    "relative fall-back": (3, _relative_try),
    "star import": (3, _star),
    "__all__": (2, _all),
    "fall-back": (4, _try),
    "import_module": (2, _dynamic),
    "relative import_module": (1, _dynamic_relative),
    "flag file": (2, _flag),
    "text": (2, _text),
    "json": (1, _json),
    "size": (1, _size),
    "resource": (2, _resource),
    "listing": (1, _listing),
    "plugins": (2, _plugins),
    "registry": (4, _registry),
    "identity": (1, _same),
    "environment": (2, _environ),
    "random": (3, _random),
    "tick": (2, _tick),
    "seen": (1, _seen),
    "stand-in": (1, _stand),
    "alias": (1, _alias),
    "forgotten": (1, _forget),
    "virtual names": (1, _virtual),
    "use of virtual names": (1, _use_virtual),
    "condition": (1, _condition),
    "deleted name": (1, _gone),
    "through the parent": (2, _through_parent),
    "lazy import": (3, _later),
    "patch": (1, _patch),
    "sys.path": (1, _path),
    "by path": (1, _by_path),
}
"""How often each kind is drawn, and what draws it."""

UNSAFE: dict[str, tuple[int, Callable[[Site], str]]] = {"thread": (1, _thread), "stream": (1, _stream)}
"""Kinds that forbid a fork after them: kept apart, or there would be few forks."""

_BAG = [name for name, (weight, _) in KINDS.items() for _ in range(weight)]


def draw_block(site: Site, *, unsafe: bool = False) -> str:
    """One block of a kind that is drawn; with ``unsafe``, perhaps one after which a process must not be forked."""
    if unsafe and site.chance.percent(12):
        return UNSAFE[site.chance.pick(tuple(UNSAFE))][1](site)
    return KINDS[site.chance.pick(_BAG)][1](site)

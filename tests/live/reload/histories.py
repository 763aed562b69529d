"""Small projects and the edits that each kind of state is to survive. A kind that fails is so known by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAIN = "import ant\nimport leaf\nfrom kit import app\n"
Edit = Mapping[str, str | None]
"""Path to new content; None: deleted."""


@dataclass(frozen=True)
class History:
    """A project; ``kit.py`` and a ``leaf.py`` with a value, which ``main.py`` imports last, are added.

    ``edits`` concern files that the app loads or looks for: each is made alone. ``aside`` are edits that need not
    restart it, such as of data: each is made together with one of the leaf. The leaf is edited between all of them.
    """

    files: Mapping[str, str]
    edits: tuple[Edit, ...] = ()
    aside: tuple[Edit, ...] = ()
    leaf: str = ""
    """What the leaf does besides."""
    project: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "project", {"main.py": MAIN, **self.files})


IMPORTS = {
    "a chain of names": History(
        {"ant.py": "from bee import VALUE as ANT\n", "bee.py": "from cat import VALUE\n", "cat.py": "VALUE = 1\n"},
        ({"cat.py": "VALUE = 2\n"}, {"bee.py": "from cat import VALUE\nVALUE += 10\n"}),
    ),
    "relative imports": History(
        {
            "ant/__init__.py": "from . import one\nfrom .deep.two import VALUE as TWO\n",
            "ant/one.py": "VALUE = 1\n",
            "ant/deep/__init__.py": "",
            "ant/deep/two.py": "from ..one import VALUE as ONE\nfrom ... import nothing\n",
        },
        (
            {"ant/deep/two.py": "from ..one import VALUE as ONE\nVALUE = 2\n"},
            {"ant/one.py": "VALUE = 3\n"},
            {"ant/deep/two.py": "from .. import one\nVALUE = one.VALUE\n"},
        ),
    ),
    "star imports": History(
        {"ant.py": "from bee import *\nfrom cat import *\n", "bee.py": "A = 1\nB = 1\n", "cat.py": "B = 2\nC = 2\n"},
        (
            {"bee.py": "A = 1\nB = 1\n__all__ = ['A']\n"},
            {"cat.py": "C = 3\n_hidden = 4\n"},
            {"ant.py": "from cat import *\nfrom bee import *\n"},
        ),
    ),
    "a star import of submodules": History(
        {
            "ant/__init__.py": "__all__ = ['one']\n",
            "ant/one.py": "VALUE = 1\n",
            "main.py": f"from ant import *\n{MAIN}",
        },
        ({"ant/one.py": "VALUE = 2\n"}, {"ant/__init__.py": "__all__ = []\n"}),
    ),
    "circular imports": History(
        {"ant.py": "A = 1\nimport bee\nB = bee.B\n", "bee.py": "import ant\nB = ant.A + 1\n"},
        (
            {"bee.py": "import ant\nB = ant.A + 20\n"},
            {"ant.py": "import bee\nA = 1\n"},
            {"ant.py": "A = 7\nimport bee\n"},
        ),
    ),
    "a fall-back": History(
        {
            "ant.py": "try:\n    from extra import VALUE\nexcept ImportError:\n    from bee import VALUE\n",
            "bee.py": "VALUE = 1\n",
        },
        ({"extra.py": "VALUE = 2\n"}, {"extra.py": "VALUE = 3\n"}, {"extra.py": None}, {"bee.py": "VALUE = 4\n"}),
    ),
    "a fall-back in a package": History(
        {
            "ant/__init__.py": "try:\n    from . import one\nexcept ImportError:\n    one = None\n",
            "ant/two.py": "VALUE = 2\n",
        },
        ({"ant/one.py": "from .two import VALUE\n"}, {"ant/two.py": "VALUE = 3\n"}, {"ant/one.py": None}),
    ),
    "an import by name": History(
        {"ant.py": "import importlib\nVALUE = importlib.import_module('bee').VALUE\n", "bee.py": "VALUE = 1\n"},
        ({"bee.py": "VALUE = 2\n"}, {"bee.py": "raise ImportError('no bee')\n"}, {"bee.py": "VALUE = 3\n"}),
    ),
    "a lazy import": History(
        {
            "ant.py": "import kit\n@kit.later\ndef lazy():\n    from bee import VALUE\n    return VALUE\n",
            "bee.py": "import kit\nfrom cat import VALUE\nkit.add('bee', VALUE)\n",
            "cat.py": "VALUE = 1\n",
        },
        ({"cat.py": "VALUE = 2\n"}, {"bee.py": "VALUE = 3\n"}, {"bee.py": None}, {"bee.py": "VALUE = 4\n"}),
    ),
    "submodules by their parent": History(
        {
            "ant/__init__.py": "",
            "ant/one.py": "VALUE = 1\n",
            "bee.py": "import ant.one\n",
            "main.py": f"import bee\n{MAIN}",
        },
        ({"bee.py": "import ant\n"}, {"bee.py": "import ant.one as one\n"}),
        leaf="import ant\nONE = getattr(getattr(ant, 'one', None), 'VALUE', 'unset')\n",
    ),
    "the order of imports": History(
        {
            "ant.py": "import kit\nT = kit.tick()\n",
            "bee.py": "import kit\nT = kit.tick()\n",
            "main.py": f"import bee\n{MAIN}",
        },
        ({"main.py": f"import ant\nimport bee\n{MAIN}"}, {"bee.py": "import ant, kit\nT = kit.tick()\n"}),
        leaf="import kit\nSEEN = kit.seen()\nT = kit.tick()\n",
    ),
}

FILES = {
    "a module is created, renamed and deleted": History(
        {"ant.py": "VALUE = 1\n"},
        (
            {"ant.py": "from bee import VALUE\n", "bee.py": "VALUE = 2\n"},
            {"ant.py": "from cat import VALUE\n", "bee.py": None, "cat.py": "VALUE = 2\n"},
            {"cat.py": None},
            {"ant.py": "VALUE = 5\n"},
        ),
    ),
    "a package is deleted and made again": History(
        {"ant/__init__.py": "from . import one\n", "ant/one.py": "VALUE = 1\n"},
        (
            {"ant/__init__.py": None, "ant/one.py": None},
            {"ant/__init__.py": "VALUE = 2\n"},
            {"ant/one.py": "VALUE = 3\n", "ant/__init__.py": "from .one import *\n"},
        ),
    ),
    "edits of __init__": History(
        {"ant/__init__.py": "A = 1\n", "ant/one.py": "VALUE = 1\n", "main.py": f"import ant.one\n{MAIN}"},
        ({"ant/__init__.py": "A = 2\nfrom .one import VALUE\n"}, {"ant/__init__.py": "from . import one as other\n"}),
    ),
    "with and without __init__": History(
        {"ant/one.py": "VALUE = 1\n", "main.py": f"import ant.one\n{MAIN}"},
        ({"ant/__init__.py": "A = 2\n"}, {"ant/__init__.py": "A = 3\n"}, {"ant/__init__.py": None}),
    ),
    "a module becomes a package and back": History(
        {"ant.py": "VALUE = 1\n"},
        (
            {"ant.py": None, "ant/__init__.py": "from .one import VALUE\n", "ant/one.py": "VALUE = 2\n"},
            {"ant/one.py": "VALUE = 3\n"},
            {"ant.py": "VALUE = 4\n", "ant/__init__.py": None, "ant/one.py": None},
        ),
    ),
    "a package beside a module": History(
        {"ant.py": "VALUE = 1\n"}, aside=({"ant/__init__.py": "VALUE = 2\n"}, {"ant/__init__.py": None})
    ),
    "a module that comes to stand before another": History(
        {"ant.py": "import sys\nsys.path.append('lib')\nfrom owl import VALUE\n", "lib/owl.py": "VALUE = 1\n"},
        ({"lib/owl.py": "VALUE = 2\n"},),
        aside=({"owl.py": "VALUE = 3\n"}, {"owl.py": None}),
    ),
    "the entry is gone": History({"ant.py": ""}, ({"main.py": None}, {"main.py": MAIN + "A = 1\n"})),
    "a syntax error": History(
        {"ant.py": "import bee\n", "bee.py": "VALUE = 1\n"},
        (
            {"bee.py": "VALUE = (\n"},
            {"bee.py": "VALUE = 2\n"},
            {"ant.py": "import bee\n\n  x = 1\n"},
            {"ant.py": "import bee\n"},
        ),
    ),
    "a module that raises": History(
        {"ant.py": "import kit\nkit.add('ant')\nimport bee\n", "bee.py": "VALUE = 1\n"},
        (
            {"bee.py": "import cat\n\nraise ValueError(cat.VALUE)\n", "cat.py": "VALUE = 5\n"},
            {"cat.py": "VALUE = 6\n"},
            {"bee.py": "import cat\nimport sys\nsys.exit(cat.VALUE)\n"},
            {"bee.py": "import cat\n"},
        ),
    ),
    "back to what it was": History(
        {"ant.py": "VALUE = 1\n"}, ({"ant.py": "VALUE = 2\n"}, {"ant.py": "VALUE = 1\n"}, {"ant.py": "VALUE = 2\n"})
    ),
    "names that are gone": History(
        {"ant.py": "A = 1\nB = 2\nif A:\n    C = 3\n"},
        ({"ant.py": "A = 0\nif A:\n    C = 3\n"}, {"ant.py": "A = 0\ndel A\n"}),
    ),
}

DATA = {
    "data in the project": History(
        {"ant.py": "import json\nVALUE = json.load(open('data/a.json'))\n", "data/a.json": "[1]"},
        aside=({"data/a.json": "[2]"}, {"data/a.json": "[3, 4]"}, {"data/a.json": None}, {"data/a.json": "[5]"}),
    ),
    "data outside of the project": History(
        {"ant.py": "import pathlib\nVALUE = pathlib.Path('../aside/a.txt').read_text()\n", "../aside/a.txt": "one"},
        aside=({"../aside/a.txt": "two"}, {"../aside/a.txt": "three"}),
    ),
    "data in a folder that is not watched": History(
        {"ant.py": "import pathlib\nVALUE = pathlib.Path('build/a.txt').read_text()\n", "build/a.txt": "one"},
        aside=({"build/a.txt": "two"}, {"build/a.txt": "three"}),
    ),
    "resources of a package": History(
        {
            "ant/__init__.py": "import pkgutil, importlib.resources\nA = pkgutil.get_data('ant', 'a.txt').decode()\n"
            "B = importlib.resources.files('ant').joinpath('a.txt').read_text()\n",
            "ant/a.txt": "one",
        },
        aside=({"ant/a.txt": "two"}, {"ant/a.txt": "six"}),
    ),
    "the size of a file": History(
        {"ant.py": "import os\nVALUE = os.path.getsize('data/a.txt')\n", "data/a.txt": "1"},
        aside=({"data/a.txt": "12"}, {"data/a.txt": "123"}),
    ),
    "a file that is there or not": History(
        {"ant.py": "import os\nVALUE = os.path.exists('flags/red')\n", "flags/blue": ""},
        aside=({"flags/red": ""}, {"flags/red": None}),
    ),
    "a file with the name of rubbish": History(
        {"ant.py": "import os\nVALUE = os.path.exists('flags/red.tmp')\n", "flags/blue": ""},
        aside=({"flags/red.tmp": ""}, {"flags/red.tmp": None}),
    ),
    "a file outside that is there or not": History(
        {"ant.py": "import os\nVALUE = os.path.exists('../aside/red')\n", "../aside/blue": ""},
        aside=({"../aside/red": ""}, {"../aside/red": None}),
    ),
    "a file that is there or not, not watched": History(
        {"ant.py": "import os\nVALUE = os.path.exists('build/red')\n", "build/blue": ""},
        aside=({"build/red": ""}, {"build/red": None}),
    ),
    "a listing": History(
        {"ant.py": "import os\nVALUE = sorted(os.listdir('data'))\n", "data/a.txt": ""},
        aside=({"data/b.txt": ""}, {"data/a.txt": None}),
    ),
    "plugins": History(
        {
            "ant.py": "import kit, pathlib\nfor one in sorted(pathlib.Path('dog').glob('*.py')):\n"
            "    kit.load(f'dog.{one.stem}')\n",
            "dog/one.py": "import kit\nkit.add(__name__)\n",
        },
        ({"dog/one.py": "import kit\nkit.add(__name__, 2)\n"}, {"dog/one.py": None}),
        aside=({"dog/two.py": "import kit\nkit.add(__name__)\n"}, {"dog/ten.py": "import kit\nkit.add(__name__)\n"}),
    ),
    "a script that is run by its path": History(
        {"ant.py": "import runpy\nVALUE = runpy.run_path('scripts/a.py')['A']\n", "scripts/a.py": "A = 1\n"},
        aside=({"scripts/a.py": "A = 2\n"}, {"scripts/a.py": "A = 3\n"}),
    ),
    "a module that is loaded by its path": History(
        {
            "ant.py": "import importlib.util as util\nspec = util.spec_from_file_location('owl', 'scripts/a.py')\n"
            "module = util.module_from_spec(spec)\nspec.loader.exec_module(module)\nVALUE = module.A\n",
            "scripts/a.py": "A = 1\n",
        },
        # Of other lengths: its byte code is Python's own affair, matched by whole seconds and size.
        aside=({"scripts/a.py": "A = 22\n"}, {"scripts/a.py": "A = 333\n"}),
    ),
}

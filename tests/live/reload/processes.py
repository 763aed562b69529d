"""More histories: of what an import leaves in the process besides its module."""

from __future__ import annotations

from tests.live.reload.histories import MAIN, History

HOOK = """
import importlib.machinery, importlib.util, sys
class Templates:
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == "owl" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.VALUE = open("data/owl.template").read()
sys.meta_path.insert(0, Templates())
import owl
"""
LOADED = "import kit\nkit.add('loaded')\n"

PROCESS = {
    "a registry": History(
        {
            "ant.py": "import kit\nimport bee, cat\nkit.add('ant')\n",
            "bee.py": "import kit\n@kit.register\ndef one():\n    pass\n",
            "cat.py": "import kit\nclass Cat(kit.Base, tag=1):\n    pass\n",
        },
        (
            {"cat.py": "import kit\nclass Cat(kit.Base, tag=2):\n    pass\nclass Kitten(Cat):\n    pass\n"},
            {"bee.py": "import kit\n"},
            {"ant.py": "import kit\nimport cat, bee\nkit.add('ant')\n"},
        ),
        leaf="import kit\nkit.add('leaf', len(kit.ITEMS), len(kit.CLASSES))\n",
    ),
    "the environment": History(
        {"ant.py": "import os\nos.environ['KIT_A'] = 'one'\nos.environ['KIT_B'] = 'one'\n"},
        (
            {"ant.py": "import os\nos.environ['KIT_A'] = 'two'\n"},
            {"ant.py": "import os\nos.environ.setdefault('KIT_A', 'three')\nos.putenv('KIT_C', '1')\n"},
        ),
        leaf="import os\nSEEN = sorted(key for key in os.environ if key.startswith('KIT_'))\n"
        "os.environ['KIT_LEAF'] = str(VALUE)\n",
    ),
    "the random state": History(
        {
            "ant.py": "import random\nrandom.seed(1)\n",
            "bee.py": "import random\nDRAWN = random.random()\n",
            "main.py": f"import ant, bee\n{MAIN}",
        },
        (
            {"bee.py": "import random\nDRAWN = random.choice(range(99))\n"},
            {"ant.py": "import random\nrandom.seed(2)\n"},
        ),
        leaf="import random\nDRAWN = [random.random() for _ in range(3)]\n",
    ),
    "a seed that is gone": History(
        {"ant.py": "import kit, random\nrandom.seed(1)\n"},
        ({"ant.py": "import kit\n"},),
        leaf="import random\nDRAWN = random.random()\n",
    ),
    "a stand-in for a module": History(
        {
            "ant.py": "import kit, sys\nsys.modules[__name__] = kit.Stand(__name__, 1)\n",
            "bee.py": "from ant import VALUE\n",
            "main.py": f"import bee\n{MAIN}",
        },
        ({"ant.py": "import kit, sys\nsys.modules[__name__] = kit.Stand(__name__, 2)\n"}, {"ant.py": "VALUE = 3\n"}),
    ),
    "a second name of a module": History(
        {
            "ant.py": "import sys\nVALUE = 1\nsys.modules['gnu'] = sys.modules[__name__]\n",
            "bee.py": "import kit\nA = kit.load('gnu')\n",
            "main.py": f"import ant, bee\n{MAIN}",
        },
        ({"bee.py": "import gnu as A\n"}, {"ant.py": "VALUE = 2\n"}, {"gnu.py": "VALUE = 3\n"}),
    ),
    "a module that takes itself away": History(
        {"ant.py": "import kit, bee\nSEEN = kit.seen()\n", "bee.py": "import sys\nVALUE = 1\n"},
        ({"bee.py": "import sys\ndel sys.modules[__name__]\n"}, {"bee.py": "VALUE = 2\n"}),
    ),
    "a module that is forgotten and loaded again": History(
        {
            "ant.py": "import bee, sys\ndel sys.modules['bee']\nimport bee as again\nSAME = again is bee\n",
            "bee.py": LOADED,
        },
        ({"bee.py": f"{LOADED}VALUE = 1\n"}, {"ant.py": "import bee\n"}),
        leaf="import kit\nkit.sys.modules.pop('bee', None)\nimport bee\n",
    ),
    "names made on demand": History(
        {
            "ant.py": "def __getattr__(name):\n    return name + ' 1'\n",
            "bee.py": "from ant import one\n",
            "main.py": f"import bee\n{MAIN}",
        },
        (
            {"ant.py": "def __getattr__(name):\n    return name + ' 2'\n"},
            {"ant.py": "one = 3\n"},
            {"ant.py": "two = 3\n"},
        ),
        leaf="import ant\nTWO = getattr(ant, 'two', 'unset')\n",
    ),
    "a module that changes another": History(
        {
            "bee.py": "VALUE = 1\nLIST = []\n",
            "ant.py": "import bee\nbee.VALUE += 1\nbee.EXTRA = 1\nbee.LIST.append('ant')\n",
        },
        ({"ant.py": "import bee\nbee.LIST.append('new ant')\n"}, {"bee.py": "VALUE = 5\nLIST = []\n"}),
        leaf="import bee\nbee.LIST.append('leaf')\nbee.VALUE += 1\n",
    ),
    "a change of the standard library": History(
        {"ant.py": "import builtins, json\nbuiltins.ANT = 1\njson.ANT = 1\n"},
        ({"ant.py": "import builtins, json\njson.ANT = 2\n"}, {"ant.py": "VALUE = 3\n"}),
        leaf="import builtins, json\nSEEN = [getattr(one, 'ANT', 'unset') for one in (builtins, json)]\n",
    ),
    "settings of the process": History(
        {"ant.py": "import os, sys, gc\nsys.setrecursionlimit(2001)\nos.umask(0o27)\ngc.disable()\n"},
        ({"ant.py": "import sys\nsys.setrecursionlimit(2002)\n"}, {"ant.py": "VALUE = 1\n"}),
        leaf="import os, sys, gc\nMASK = os.umask(0)\nos.umask(MASK)\n"
        "SEEN = [sys.getrecursionlimit(), gc.isenabled()]\n",
    ),
    "a signal handler": History(
        {"ant.py": "import signal\nsignal.signal(signal.SIGUSR1, lambda *_: None)\n"},
        ({"ant.py": "import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"}, {"ant.py": "VALUE = 1\n"}),
        leaf="import signal\nSEEN = str(signal.getsignal(signal.SIGUSR1)).partition(' at ')[0]\n",
    ),
    "a context variable": History(
        {"ant.py": "import contextvars\nVAR = contextvars.ContextVar('VAR')\nVAR.set(1)\n"},
        ({"ant.py": "import contextvars\nVAR = contextvars.ContextVar('VAR')\nVAR.set(2)\n"},),
        leaf="import ant\nSEEN = ant.VAR.get('unset')\n",
    ),
    "a cache": History(
        {
            "bee.py": "import functools, kit\n@functools.lru_cache\ndef f(x):\n    return kit.tick()\n",
            "ant.py": "import bee\nA = bee.f(1)\n",
        },
        ({"ant.py": "import bee\nA = [bee.f(2), bee.f(1)]\n"}, {"ant.py": "import bee\nA = bee.f(2)\n"}),
        leaf="import bee\nA = bee.f(1), bee.f.cache_info().hits\n",
    ),
    "the source of a module": History(
        {"ant.py": "import bee, inspect\nSOURCE = inspect.getsource(bee)\n", "bee.py": "VALUE = 1\n"},
        ({"bee.py": "VALUE = 2\n"}, {"bee.py": "VALUE = 33\n"}),
        leaf="import ant, inspect\nSOURCE = inspect.getsource(ant)\n",
    ),
    "the working directory": History(
        {
            "ant.py": "import os\nos.chdir('lib')\nimport owl\nos.chdir('..')\n",
            "lib/owl.py": "VALUE = 1\n",
        },
        ({"lib/owl.py": "VALUE = 2\n"}, {"ant.py": "import os\n"}),
    ),
    "sys.path": History(
        {"ant.py": "import sys, kit\nsys.path.insert(0, kit.ROOT + '/lib')\nimport owl\n", "lib/owl.py": "VALUE = 1\n"},
        ({"lib/owl.py": "VALUE = 2\n"}, {"ant.py": "import sys\n"}),
    ),
    "an import hook": History(
        {"ant.py": HOOK, "data/owl.template": "1"},
        ({"ant.py": f"{HOOK}\nA = 1\n"},),
        aside=({"data/owl.template": "2"},),
    ),
    "a thread": History(
        {"ant.py": "import kit, threading\nT = threading.Thread(target=kit.idle, daemon=True)\nT.start()\n"},
        (
            {"ant.py": "VALUE = 1\n"},
            {"ant.py": "import kit, threading\nT = threading.Thread(target=kit.idle, daemon=True)\nT.start()\n"},
        ),
        leaf="import ant\nALIVE = ant.T.is_alive() if hasattr(ant, 'T') else None\n",
    ),
    "an open file": History(
        {"ant.py": "FILE = open('data/a.txt', 'rb')\nFIRST = FILE.readline().decode()\n", "data/a.txt": "1\n2\n3\n4\n"},
        ({"ant.py": "FILE = open('data/a.txt', 'rb')\n"},),
        leaf="import ant\nNEXT = ant.FILE.readline().decode()\n",
    ),
}

CHILD = """
import subprocess, sys
import kit
CODE = "import os, time\nparent = os.getppid()\nwhile os.getppid() == parent: time.sleep(0.05)"
CHILD = subprocess.Popen([sys.executable, "-S", "-c", CODE])
@kit.later
def lives():
    return CHILD.poll() is None
"""
C_READ = """
import ctypes
libc, buffer = ctypes.CDLL(None), ctypes.create_string_buffer(99)
number = libc.open(b"data/a.txt", 0)
libc.read(number, buffer, 99)
libc.close(number)
VALUE = buffer.value.decode()
"""
TEMPORARY = """
import os, tempfile
import kit
FOLDER = tempfile.TemporaryDirectory()
@kit.later
def there():
    return os.path.isdir(FOLDER.name)
"""

OUTSIDE = {
    "data that C code reads": History(
        {"ant.py": C_READ, "data/a.txt": "one"}, aside=({"data/a.txt": "two"}, {"data/a.txt": "three"})
    ),
    "data that is opened to be changed": History(
        {"ant.py": "with open('data/a.txt', 'r+') as file:\n    VALUE = file.read()\n", "data/a.txt": "one"},
        aside=({"data/a.txt": "two"}, {"data/a.txt": "three"}),
    ),
    "data that a subprocess reads": History(
        {
            "ant.py": "import subprocess\nVALUE = subprocess.check_output(['cat', 'data/a.txt']).decode()\n",
            "data/a.txt": "one",
        },
        aside=({"data/a.txt": "two"}, {"data/a.txt": "three"}),
    ),
    "data that the import writes": History(
        {"ant.py": "import pathlib\npathlib.Path('data/out.txt').write_text('one')\n", "data/a.txt": "one"},
        ({"ant.py": "import pathlib\npathlib.Path('data/out.txt').write_text('two')\n"},),
        leaf="import pathlib\nSEEN = pathlib.Path('data/out.txt').read_text()\n",
    ),
    "a child process": History({"ant.py": CHILD}, ({"ant.py": f"{CHILD}A = 1\n"},)),
    "a temporary folder": History({"ant.py": TEMPORARY}, ({"ant.py": f"{TEMPORARY}A = 1\n"},)),
    "shared memory": History(
        {"ant.py": "import mmap\nSHARED = mmap.mmap(-1, 8)\n"},
        ({"ant.py": "import mmap\nSHARED = mmap.mmap(-1, 9)\n"},),
        leaf="import ant\nant.SHARED[0] += 1\nSEEN = ant.SHARED[0]\n",
    ),
    "a lock between processes": History(
        {"ant.py": "import multiprocessing\nLOCK = multiprocessing.Lock()\n"},
        leaf="import ant\nGOT = ant.LOCK.acquire(timeout=0.2)\n",
    ),
}
"""What lies outside of the process, or is shared with another."""

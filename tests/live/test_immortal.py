"""What a fork server has imported stays shared with its workers, in every Python that can stop counting references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live.test_interpreters import interpreter
from tests.unit.alone import alone

VERSIONS = ("3.9", "3.11", "3.12", "3.13")
COUNTING = ("3.9", "3.11")
SOURCE = """
import weakref

class Thing:
    pass

class Finalized:
    def __del__(self):
        ENDED.append("finalized")

ENDED = []
KEPT = Thing()
DROPPED = Thing()
WATCHED = Thing()
CALLBACK = weakref.ref(WATCHED, lambda _: ENDED.append("watched"))
GIVEN_UP = weakref.ref(WATCHED, lambda _: ENDED.append("told though nobody asks any more"))
FINALIZED = Finalized()
SET = weakref.WeakSet([WATCHED])

def function(argument="a name"):
    return argument, len
"""
LOOK = """
import gc, sys
sys.path.insert(0, sys.argv[1])
import module
from devrun.child.immortal import immortalize
count = immortalize()
gc.freeze()
before = {name: sys.getrefcount(thing) for name, thing in vars(module).items()}
more = [dict(vars(module)) for _ in range(10)]
after = {name: sys.getrefcount(thing) for name, thing in vars(module).items()}
del more
del module.DROPPED, module.GIVEN_UP, module.WATCHED, module.FINALIZED
results = [module.function() for _ in range(1000)]
gc.unfreeze()
gc.collect()
counted = sorted(name for name in before if after[name] != before[name] and not name.startswith("__"))
found = {"count": count, "counted": counted, "ended": module.ENDED, "left": len(module.SET)}
"""
SHARE = """
import gc, os, re, sys
THINGS = [type(f"Thing{number}", (), {}) for number in range(2000)]
from devrun.child.immortal import immortalize
def own_kib():
    with open("/proc/self/smaps_rollup") as file:
        return int(re.search(r"Private_Dirty: *(\\d+)", file.read())[1])
if sys.argv[1] == "yes":
    immortalize()
gc.freeze()
reader, writer = os.pipe()
if os.fork() == 0:
    before = own_kib()
    again = list(THINGS)
    os.write(writer, b"%d" % (own_kib() - before))
    os._exit(0)
os.wait()
found = int(os.read(reader, 100))
"""


def run(version: str, script: str, *arguments: str) -> Any:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version}")
    return alone(script, *arguments, python=python)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_counts_no_longer_and_what_can_still_end(version: str, tmp_path: Path) -> None:
    """A finalizer runs and a weak reference is told, as in an interpreter of one's own."""
    (tmp_path / "module.py").write_text(SOURCE)
    found = run(version, LOOK, str(tmp_path))
    assert sorted(found["ended"]) == ["finalized", "watched"]
    assert found["left"] == 0
    if version in COUNTING:
        assert found["count"] == 0
        assert {"Thing", "function", "KEPT", "ENDED"} <= set(found["counted"])
    else:
        assert found["count"] > 1000
        assert set(found["counted"]) <= {"WATCHED", "FINALIZED", "SET", "CALLBACK", "GIVEN_UP"}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the system does not tell what is shared")
@pytest.mark.parametrize("version", [version for version in VERSIONS if version not in COUNTING])
def test_a_forked_process_shares_what_it_uses(version: str) -> None:
    counted, uncounted = run(version, SHARE, "no"), run(version, SHARE, "yes")
    assert counted > 1000
    assert uncounted < counted / 10

"""Generators that packages make at import: which are heard, and what they draw in processes that are forked."""

from __future__ import annotations

import copy
import gc
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from devrun.child.chance import Chance
from devrun.child.generators import Generators
from tests.live.test_interpreters import interpreter
from tests.unit.alone import alone


class Derived(Random):
    """One that does more when it is seeded."""

    def seed(self, a: Any = None, version: int = 2) -> None:
        super().seed(a, version)
        self.text = "seeded"


class Fixed(Random):
    def __init__(self) -> None:
        super().__init__(7)


def made(make: Callable[[], Any]) -> tuple[Any, Generators]:
    """What ``make`` has made while it was heard."""
    generators = Generators()
    with generators.heard():
        return make(), generators


def reseeded(one: Random) -> Random:
    one.seed(5)
    return one


def set_to_a_state(one: Random) -> Random:
    one.setstate(Random(5).getstate())
    return one


def seeded_anew(one: Random) -> Random:
    one.seed()
    return one


@pytest.mark.parametrize(
    "make",
    [Random, lambda: Random(None), lambda: Random(x=None), Derived, lambda: seeded_anew(Random(5))],
    ids=["plain", "None", "x=None", "derived", "seeded anew"],
)
def test_one_without_a_seed_is_seeded_anew(make: Callable[[], Random]) -> None:
    one, generators = made(make)
    state = one.getstate()
    generators.seed()
    assert one.getstate() != state


@pytest.mark.parametrize(
    "make",
    [
        lambda: Random(5),
        lambda: Random(0),
        lambda: Random(x=5),
        lambda: reseeded(Random()),
        lambda: set_to_a_state(Random()),
        lambda: pickle.loads(pickle.dumps(Random(5))),
        lambda: copy.copy(Random(5)),
        Fixed,
    ],
    ids=["5", "0", "x=5", "seeded later", "set to a state", "unpickled", "copied", "by its class"],
)
def test_a_seed_of_a_packages_is_kept(make: Callable[[], Random]) -> None:
    one, generators = made(make)
    state = one.getstate()
    generators.seed()
    assert one.getstate() == state


def test_the_systems_own_has_no_state() -> None:
    one, generators = made(random.SystemRandom)
    generators.seed()
    assert generators.states() == {}
    assert 0 <= one.random() < 1


def test_what_was_made_while_nobody_listened_is_left_alone() -> None:
    generators = Generators()
    before = Random()
    with generators.heard():
        during = Random()
    after = Random()
    states = [one.getstate() for one in (before, during, after)]
    generators.seed()
    assert [one.getstate() == state for one, state in zip((before, during, after), states, strict=True)] == [
        True,
        False,
        True,
    ]


def test_several_times() -> None:
    generators = Generators()
    with generators.heard():
        first = Random()
    with generators.heard():
        second = Random()
        reseeded(first)
    assert list(generators.states().values()) == [second.getstate()]


def test_nothing_of_it_stays_in_random() -> None:
    seed, setstate = Random.seed, Random.setstate
    with pytest.raises(KeyError), Generators().heard():
        assert Random.seed is not seed
        raise KeyError
    assert Random.seed is seed
    assert Random.setstate is setstate


def test_a_method_that_a_package_has_kept() -> None:
    """``seed = random.Random().seed`` at its top."""
    (one, seed), generators = made(lambda: (one := Random(), one.seed))
    seed(5)
    assert one.random() == Random(5).random()
    assert len(generators.states()) == 1, "it is the app that seeds it now"


def test_a_generator_that_is_given_up_ends() -> None:
    one, generators = made(Random)
    assert len(generators.states()) == 1
    del one
    gc.collect()
    assert generators.states() == {}
    generators.seed()


# --- in a checkpoint --------------------------------------------------------------------------------------------------


def test_what_own_code_has_used_or_seeded_goes_on_in_a_checkpoint() -> None:
    (idle, used, seeded), generators = made(lambda: (Random(), Random(), Random()))
    states = [one.getstate() for one in (idle, used, seeded)]
    chance = Chance(generators)
    assert not [one for one, state in zip((idle, used, seeded), states, strict=True) if one.getstate() == state]
    used.random()
    seeded.seed(5)
    for _ in range(2):  # the second is parked by a process that has gone on from the first
        states = [one.getstate() for one in (idle, used, seeded)]
        chance.park()
        chance.resume()
        assert [one.getstate() == state for one, state in zip((idle, used, seeded), states, strict=True)] == [
            False,
            True,
            True,
        ]


# --- in real forks ----------------------------------------------------------------------------------------------------

FORKS = """
import gc, json, os, sys
sys.path.insert(0, sys.argv[1])
from devrun.child.chance import Chance
from devrun.child.generators import Generators
from devrun.child.preloading import preload
generators = Generators()
with generators.heard():
    left_out = preload([("package", "")], lambda path: False)
assert not left_out
import package

def drawn():
    reading, writing = os.pipe()
    if not os.fork():
        chance = Chance(generators)
        gc.collect()
        numbers = [one.random() for one in (package.ONE, package.SEEDED)]
        del package.ONE, package.SEEDED
        os.write(writing, json.dumps(numbers).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reading, 100))

found = [drawn() for _ in range(3)]
"""


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.12", "3.13"])
def test_a_package_that_was_imported_ahead(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version}")
    (tmp_path / "package.py").write_text("import random\nONE = random.Random()\nSEEDED = random.Random(5)\n")
    drawn = alone(FORKS, str(tmp_path), python=python)
    assert len({one for one, _ in drawn}) == 3
    assert {seeded for _, seeded in drawn} == {Random(5).random()}

"""Random numbers after forks: never the same twice, and no seed forgotten."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from devrun.child.chance import Chance
from devrun.child.generators import Generators
from tests.unit.alone import alone


class _Key(list[int]):
    def tolist(self) -> list[int]:
        return list(self)


class FakeNumpy(ModuleType):
    """The global generator of numpy.random, as far as it matters; the real one is used in the live tests.

    Unlike that of ``random`` it is not seeded anew in a forked process.
    """

    def __init__(self) -> None:
        super().__init__("numpy.random")
        self._random = random.Random(0)

    def seed(self, number: int | None = None) -> None:
        self._random.seed(number)

    def random(self) -> float:
        return self._random.random()

    def get_state(self) -> Any:
        version, internal, gauss = self._random.getstate()
        return ("MT19937", _Key(internal), version, gauss)

    def set_state(self, state: Any) -> None:
        _, internal, version, gauss = state
        self._random.setstate((version, tuple(internal), gauss))


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    state = random.getstate()
    yield
    random.setstate(state)


@pytest.fixture
def numpy(monkeypatch: pytest.MonkeyPatch) -> FakeNumpy:
    fake = FakeNumpy()
    monkeypatch.setitem(sys.modules, "numpy.random", fake)
    return fake


def fork() -> None:
    """What Python does in every forked process."""
    random.seed()


def test_a_generator_that_nobody_has_used_is_seeded_anew(numpy: FakeNumpy) -> None:
    parked = Chance(Generators())
    parked.park()
    state = numpy.get_state()
    numbers: list[tuple[float, float]] = []
    for _ in range(3):
        chance = copy.deepcopy(parked)
        numpy.set_state(state)  # as in each process that was forked
        fork()
        chance.resume()
        numbers.append((random.random(), numpy.random()))
    assert len({one for one, _ in numbers}) == 3
    assert len({other for _, other in numbers}) == 3


def test_a_seed_of_the_apps_is_kept(numpy: FakeNumpy) -> None:
    expected = random.Random(3).random(), random.Random(4).random()
    chance = Chance(Generators())
    random.seed(3)
    numpy.seed(4)
    chance.park()
    for _ in range(2):
        fork()
        chance.resume()
        assert (random.random(), numpy.random()) == expected


def test_one_of_them_is_kept(numpy: FakeNumpy) -> None:
    chance = Chance(Generators())
    numpy.seed(4)
    chance.park()
    state = random.getstate()
    fork()
    chance.resume()
    assert random.getstate() != state
    assert numpy.random() == random.Random(4).random()


def test_a_seed_is_kept_over_several_checkpoints(numpy: FakeNumpy) -> None:
    """The second is parked by a process that has gone on from the first."""
    chance = Chance(Generators())
    random.seed(3)
    chance.park()
    fork()
    chance.resume()
    chance.park()
    fork()
    chance.resume()
    assert random.random() == random.Random(3).random()
    chance.park()
    fork()
    chance.resume()
    numpy.random()
    second = random.Random(3)
    second.random()
    assert random.random() == second.random()


def test_what_was_drawn_after_a_resume_is_not_drawn_again(numpy: FakeNumpy) -> None:
    chance = Chance(Generators())
    chance.park()
    fork()
    chance.resume()
    numpy.random()
    state = numpy.get_state()
    chance.park()
    numpy.seed()
    chance.resume()
    assert tuple(numpy.get_state()[1]) == tuple(state[1]), "it is where it was after the import so far"


def test_numpy_that_is_imported_later_by_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy.random", raising=False)
    chance = Chance(Generators())
    fake = FakeNumpy()
    monkeypatch.setitem(sys.modules, "numpy.random", fake)
    state = fake.get_state()
    chance.park()
    chance.resume()
    assert tuple(fake.get_state()[1]) == tuple(state[1]), "nobody can tell whether the app has seeded it"


def test_without_any_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy.random", raising=False)
    monkeypatch.delitem(sys.modules, "random")
    chance = Chance(Generators())
    chance.park()
    chance.resume()


def test_real_forks() -> None:
    script = """
import os, random
from devrun.child.chance import Chance
from devrun.child.generators import Generators

def drawn(seed):
    chance = Chance(Generators())
    if seed is not None:
        random.seed(seed)
    chance.park()
    numbers = []
    for _ in range(3):
        reading, writing = os.pipe()
        if not os.fork():
            chance.resume()
            os.write(writing, repr(random.random()).encode())
            os._exit(0)
        os.wait()
        numbers.append(float(os.read(reading, 100)))
    return numbers

found = [drawn(None), drawn(5)]
"""
    unseeded, seeded = alone(script)
    assert len(set(unseeded)) == 3
    assert seeded == [random.Random(5).random()] * 3

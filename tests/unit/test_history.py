"""The newest lines of each app: which are kept, in which order they come, and who follows them."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.events import Run, StackDown
from devrun.history import LINE_BYTES, History, TooSlowError

API, AUTH = Run("api", 1), Run("auth", 1)


def everybody(app: str | None) -> bool:
    return True


def test_entries_come_in_the_order_of_their_coming_with_the_numbers_of_their_lines() -> None:
    clock = count(1764102000.0)
    history = History(lambda: next(clock))
    history.add(API, ["one", "two"])
    history.tell(StackDown())
    history.add(AUTH, ["three"])
    history.add(API, ["four"])
    told = [
        (entry.order, entry.app, entry.first, entry.at - 1764102000, list(entry.lines))
        for entry in history.entries(everybody)
    ]
    assert told == [
        (1, "api", 1, 0, ["one", "two"]),
        (2, None, 1, 1, ["stack down"]),
        (3, "auth", 1, 2, ["three"]),
        (4, "api", 3, 3, ["four"]),
    ]
    assert [entry.order for entry in history.entries(lambda app: app == "api", after=1)] == [4]
    last = history.entries(everybody, last=4)
    assert [(entry.order, entry.first, list(entry.lines)) for entry in last][0] == (1, 2, ["two"])
    assert history.entries(everybody, last=0) == []


@given(st.lists(st.lists(st.text(max_size=300), max_size=20), max_size=30), st.integers(0, 5000))
def test_memory_is_bounded_and_what_is_there_is_the_newest_without_a_gap(batches: list[list[str]], limit: int) -> None:
    history = History(lambda: 0.0, ring_bytes=limit)
    printed: list[str] = []
    for batch in batches:
        history.add(API, batch)
        printed += batch
    entries = history.entries(everybody)
    kept = [line for entry in entries for line in entry.lines]
    assert kept == printed[len(printed) - len(kept) :]
    assert sum(LINE_BYTES + len(line) for line in kept) <= limit
    if len(kept) < len(printed):
        missing = printed[len(printed) - len(kept) - 1]
        assert sum(LINE_BYTES + len(line) for line in [missing, *kept]) > limit
    numbers = [entry.first + index for entry in entries for index in range(len(entry.lines))]
    assert numbers == list(range(len(printed) - len(kept) + 1, len(printed) + 1))


def test_a_follower_hears_what_it_wants_until_it_is_too_slow() -> None:
    async def follow() -> list[str]:
        history = History(lambda: 0.0)
        heard: list[str] = []
        with history.followed(lambda app: app == "api", limit=3 * LINE_BYTES) as follower:
            waiting = asyncio.create_task(follower.take())
            await asyncio.sleep(0)
            history.add(AUTH, ["not wanted"])
            history.add(API, ["one"])
            heard += (await waiting).lines
            for text in ("two", "three", "four", "five"):
                history.add(API, [text])
            for _ in range(2):
                heard += (await follower.take()).lines
            with pytest.raises(TooSlowError):
                await follower.take()
        history.add(API, ["after it"])
        return heard

    assert asyncio.run(follow()) == ["one", "two", "three"]

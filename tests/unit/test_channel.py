"""Both ends of the channel between the launcher and a child process, joined by a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest

from devrun import channel as ours
from devrun.child import channel as theirs

Message = dict[str, Any]


class Gone(Exception):
    """The other end is closed."""


def gone() -> NoReturn:
    raise Gone


class Pair:
    """The launcher's end, which runs in the loop, and the child's, which does not."""

    def __init__(self) -> None:
        self.socket, other = socket.socketpair()
        self.got: list[Message] = []
        self.launcher = ours.Channel(self.socket, lambda line: self.got.append(json.loads(line)))
        self.raw = other
        self.child = theirs.Channel(other, gone)

    async def received(self, count: int) -> list[Message]:
        async with asyncio.timeout(5):
            while len(self.got) < count:
                await asyncio.sleep(0)
        return self.got

    def close(self) -> None:
        self.launcher.close()
        self.child.close()
        for descriptor in self.child.descriptors:
            os.close(descriptor)


def with_pair(test: Callable[[Pair], Awaitable[None]]) -> None:
    async def run() -> None:
        pair = Pair()
        try:
            await test(pair)
        finally:
            pair.close()

    before = set(os.listdir("/dev/fd"))
    asyncio.run(run())
    assert set(os.listdir("/dev/fd")) == before, "a descriptor is left open"


def readable(descriptor: int) -> bytes:
    """What is in a pipe whose other end is closed; closes it."""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def pipe_with(content: bytes) -> int:
    """The reading end of a pipe that holds ``content``."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def test_messages_both_ways() -> None:
    async def test(pair: Pair) -> None:
        pair.launcher.send({"do": "begin", "text": "é\n\ud800"})
        pair.launcher.send({"n": 2})
        assert pair.child.receive() == {"do": "begin", "text": "é\n\ud800"}
        assert pair.child.poll() == {"n": 2}
        assert pair.child.poll() is None
        pair.child.send({"is": "started"})
        assert await pair.received(1) == [{"is": "started"}]

    with_pair(test)


def test_half_a_message_is_none_yet() -> None:
    async def test(pair: Pair) -> None:
        pair.socket.send(b'{"n": 1}\n{"n"')
        assert pair.child.poll() == {"n": 1}
        assert pair.child.poll() is None
        pair.socket.send(b": 2}\n")
        assert pair.child.poll() == {"n": 2}
        pair.raw.send(b'{"n": 3')
        pair.raw.send(b"}\n")
        assert await pair.received(1) == [{"n": 3}]

    with_pair(test)


def test_descriptors_travel_with_their_message() -> None:
    """The sender may close its own at once; nobody's child inherits them."""

    async def test(pair: Pair) -> None:
        for number in range(3):
            sent = [pipe_with(b"%d%d" % (number, one)) for one in range(number)]
            pair.launcher.send({"n": number, "descriptors": number}, sent)
            for descriptor in sent:
                os.close(descriptor)
        for number in range(3):
            message = pair.child.receive()
            assert message["n"] == number
            for one in range(number):
                descriptor = pair.child.descriptors.pop(0)
                assert not os.get_inheritable(descriptor)
                assert readable(descriptor) == b"%d%d" % (number, one)
        own = pipe_with(b"back")
        pair.child.send({"is": "parked"}, [own])
        os.close(own)
        await pair.received(1)
        descriptor = pair.launcher.descriptors.popleft()
        assert not os.get_inheritable(descriptor)
        assert readable(descriptor) == b"back"

    with_pair(test)


def test_a_reader_that_is_slow_misses_nothing() -> None:
    """What does not fit waits, in order, with its descriptors; the loop goes on meanwhile."""

    async def test(pair: Pair) -> None:
        pair.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        filler = "x" * 3000
        for number in range(40):
            sent = pipe_with(b"%d" % number)
            pair.launcher.send({"n": number, "filler": filler}, [sent])
            os.close(sent)
        sent = pipe_with(b"40")
        pair.launcher.send({"n": 40, "filler": filler * 100}, [sent])
        os.close(sent)
        numbers: list[int] = []
        while len(numbers) < 41:
            await asyncio.sleep(0)  # the launcher writes on
            message = pair.child.poll()
            if message is not None:
                numbers.append(message["n"])
        assert numbers == list(range(41))
        assert [readable(one) for one in pair.child.descriptors] == [b"%d" % number for number in range(41)]
        pair.child.descriptors.clear()

    with_pair(test)


def test_what_was_not_sent_before_the_end_leaves_nothing_open() -> None:
    async def test(pair: Pair) -> None:
        pair.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for _ in range(20):
            sent = pipe_with(b"")
            pair.launcher.send({"filler": "x" * 3000}, [sent])
            os.close(sent)

    with_pair(test)


def test_descriptors_that_nobody_took_are_closed() -> None:
    async def test(pair: Pair) -> None:
        own = pipe_with(b"")
        pair.child.send({"is": "parked"}, [own])
        os.close(own)
        await pair.received(1)

    with_pair(test)


def test_the_launcher_hears_of_the_childs_end_after_its_last_words() -> None:
    async def test(pair: Pair) -> None:
        pair.child.send({"is": "last"})
        pair.child.close()
        await asyncio.wait_for(pair.launcher.closed.wait(), 5)
        assert pair.got == [{"is": "last"}]
        pair.launcher.send({"do": "begin"})
        pair.launcher.close()
        pair.launcher.close()

    with_pair(test)


def test_a_child_that_dies_with_unread_words() -> None:
    """The launcher's end is reset."""

    async def test(pair: Pair) -> None:
        pair.launcher.send({"do": "begin"})
        pair.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        pair.child.close()
        await asyncio.wait_for(pair.launcher.closed.wait(), 5)

    with_pair(test)


def test_a_send_to_a_child_that_has_just_died() -> None:
    async def test(pair: Pair) -> None:
        pair.child.close()
        sent = pipe_with(b"")
        pair.launcher.send({"do": "begin"}, [sent])
        os.close(sent)
        await asyncio.wait_for(pair.launcher.closed.wait(), 5)

    with_pair(test)


def test_a_line_without_an_end_is_cut_off() -> None:
    async def test(pair: Pair) -> None:
        pair.raw.setblocking(False)
        chunk = b"x" * 65536
        sent = 0
        while not pair.launcher.closed.is_set():
            try:
                sent += pair.raw.send(chunk)
            except BlockingIOError:
                await asyncio.sleep(0)
            except BrokenPipeError:
                break
        assert ours.LONGEST_MESSAGE_BYTES <= sent <= 2 * ours.LONGEST_MESSAGE_BYTES
        assert pair.got == []

    with_pair(test)


@pytest.mark.parametrize("call", ["receive", "poll"])
def test_the_child_ends_with_the_launcher(call: str) -> None:
    async def test(pair: Pair) -> None:
        pair.launcher.send({"n": 1})
        pair.launcher.close()
        assert getattr(pair.child, call)() == {"n": 1}
        pair.child.send({"is": "imported"})
        with pytest.raises(Gone):
            getattr(pair.child, call)()

    with_pair(test)


def test_the_child_ends_when_its_words_are_reset() -> None:
    async def test(pair: Pair) -> None:
        pair.child.send({"is": "imported"})
        pair.launcher.close()
        with pytest.raises(Gone):
            pair.child.receive()

    with_pair(test)

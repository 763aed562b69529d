"""Lines and JSON off a terminal, through real pipes with readers that are slow or gone."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from devrun.cli.look import Look
from devrun.cli.output import Output
from devrun.cli.streams import BACKLOG_BYTES, JsonLines, Plain
from devrun.events import StackDown, StackStarting, Wrote
from devrun.state import Snapshot
from tests.driver import wait_until

Pipe = tuple[int, TextIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as stream:
        yield reader, stream
    os.close(reader)


def read(descriptor: int) -> list[str]:
    return os.read(descriptor, 1_000_000).decode().splitlines()


def test_plain_lines(pipe: Pipe) -> None:
    reader, stream = pipe
    view = Plain(stream, Look())
    view.tell(StackStarting("shop", ("api",)))
    view.update(Snapshot(0, "shop", {}, {}, {}))
    view.log("api", ["\x1b[32mone\x1b[0m", "two\x1b[2J"])
    view.tell(StackDown())
    view.close()
    assert read(reader) == ["[devrun] starting shop: 1 app", "[api] one", "[api] two", "[devrun] stack down"]


def test_colours_can_be_forced(pipe: Pipe) -> None:
    reader, stream = pipe
    view = Plain(stream, Look(colour=True))
    view.log("api", ["\x1b[32mone"])
    view.tell(Wrote(".env"))
    view.close()
    assert read(reader) == ["[api] \x1b[32mone\x1b[0m", "[devrun] wrote .env"]


def test_what_the_encoding_lacks_is_replaced(pipe: Pipe) -> None:
    reader, stream = pipe
    view = Plain(stream, Look(encoding="ascii"))
    view.log("api", ["5 € \udcff"])
    view.close()
    assert read(reader) == ["[api] 5 ? ?"]


def test_json_lines(pipe: Pipe) -> None:
    reader, stream = pipe
    view = JsonLines(stream, Look())
    view.tell(Wrote(".env"))
    view.log("api", ["one"])
    view.close()
    assert [json.loads(line) for line in read(reader)] == [
        {"v": 1, "event": "wrote", "path": ".env"},
        {"v": 1, "event": "log", "app": "api", "text": "one"},
    ]


def test_lines_are_written_at_once(pipe: Pipe) -> None:
    reader, stream = pipe
    view = Plain(stream, Look())
    view.tell(Wrote(".env"))
    assert read(reader) == ["[devrun] wrote .env"]
    view.close()


def test_running_waits_until_it_is_cancelled(pipe: Pipe) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Plain(pipe[1], Look()).run()

    asyncio.run(main())


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    reader, stream = pipe
    spare = os.dup(reader)  # the fixture closes the other
    view = Plain(stream, Look())
    os.close(reader)
    os.close(spare)
    os.dup2(os.open(os.devnull, os.O_RDONLY), reader)
    for _ in range(100):
        view.tell(Wrote(".env"))
    view.close()


def test_no_stream_is_no_error() -> None:
    view = Plain(None, Look())
    view.tell(Wrote(".env"))
    view.close()


def test_a_slow_reader_misses_lines_and_is_told_how_many(pipe: Pipe) -> None:
    reader, stream = pipe
    view = Plain(stream, Look())
    batch = ["x" * 1000] * 1000
    sent = 0
    while sent * 1000 < BACKLOG_BYTES * 1.5:
        view.log("api", batch)
        sent += len(batch)
    view.tell(StackDown())
    got: list[str] = []
    rest = b""
    while not got or got[-1] != "[devrun] stack down":
        *whole, rest = (rest + os.read(reader, 1_000_000)).split(b"\n")
        got += [line.decode() for line in whole]
    kept = got.count("[api] " + "x" * 1000)
    assert got[kept:] == [
        f"[devrun] warning: api: {sent - kept:,} lines skipped: the reader is slow",
        "[devrun] stack down",
    ]
    view.close()


def test_a_reader_that_does_not_read_does_not_hold_the_end(pipe: Pipe) -> None:
    view = Plain(pipe[1], Look())
    view.log("api", ["x" * 1000] * 1000)
    begin = time.monotonic()
    view.close()
    assert 0.5 < time.monotonic() - begin < 5


def test_a_pipe_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    output = Output(stream.fileno())
    output.put(b"x" * 1_000_000)
    got = 0
    while got < 1_000_000:
        got += len(os.read(reader, 65536))
    output.close(5)
    assert not output.lost
    output.put(b"too late")
    assert not output.waiting


def test_an_output_knows_that_it_is_lost(pipe: Pipe) -> None:
    reader, stream = pipe
    output = Output(stream.fileno())
    output.put(b"x" * 1_000_000)  # more than a pipe holds: the thread waits in the middle of it
    wait_until(lambda: os.read(reader, 1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), reader)
    wait_until(lambda: output.lost)
    assert not output.waiting
    output.close(0)

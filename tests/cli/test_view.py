"""Which view ``devrun up`` chooses, by terminal and environment."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator, Mapping
from typing import Literal, TextIO

import pytest

from devrun.cli.look import Look, descriptor_of, in_foreground, look
from devrun.cli.screen import Screen
from devrun.cli.streams import JsonLines, Plain
from devrun.cli.view import View, choose

XTERM = {"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    master, slave = os.openpty()
    with open(slave, "w", encoding="utf-8") as stream:
        yield stream
    os.close(master)


@pytest.fixture
def pipe() -> Iterator[TextIO]:
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as stream:
        yield stream
    os.close(reader)


def chosen(mode: Literal["auto", "plain", "json"], stream: TextIO | None, environ: Mapping[str, str]) -> type[View]:
    async def main() -> type[View]:
        return type(choose(mode, stream, environ))

    return asyncio.run(main())


def test_a_terminal_gets_the_screen(terminal: TextIO) -> None:
    assert chosen("auto", terminal, XTERM) is Screen
    assert chosen("auto", terminal, {**XTERM, "NO_COLOR": "1"}) is Screen


@pytest.mark.parametrize("term", ["dumb", "", "unknown"])
def test_a_terminal_that_cannot_redraw_gets_lines(terminal: TextIO, term: str) -> None:
    assert chosen("auto", terminal, {**XTERM, "TERM": term}) is Plain


def test_asking_wins(terminal: TextIO) -> None:
    assert chosen("plain", terminal, XTERM) is Plain
    assert chosen("json", terminal, XTERM) is JsonLines


def test_off_a_terminal_there_are_lines(pipe: TextIO) -> None:
    assert chosen("auto", pipe, XTERM) is Plain
    assert chosen("auto", None, XTERM) is Plain
    assert chosen("auto", io.StringIO(), XTERM) is Plain


def test_what_the_stream_still_holds_comes_first() -> None:
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as stream:
        stream.write("before\n")
        choose("plain", stream, {}).close()
        assert os.read(reader, 100) == b"before\n"
    os.close(reader)


@pytest.mark.parametrize(
    ("environ", "colour"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ],
)
def test_colour_on_a_terminal(terminal: TextIO, environ: Mapping[str, str], colour: bool) -> None:
    assert look(terminal, {**XTERM, **environ}).colour is colour


@pytest.mark.parametrize(("force", "colour"), [("", False), ("0", False), ("false", False), ("1", True), ("3", True)])
def test_colour_off_a_terminal(pipe: TextIO, force: str, colour: bool) -> None:
    assert look(pipe, {**XTERM, "FORCE_COLOR": force}).colour is colour


@pytest.mark.parametrize(
    ("encoding", "environ", "unicode"),
    [
        ("utf-8", {}, True),
        ("UTF8", {"LANG": "de_DE.utf8"}, True),
        ("utf-8", {"LC_CTYPE": "UTF-8"}, True),
        ("utf-8", {"LANG": "de_DE@euro"}, True),
        ("utf-8", {"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False),
        ("utf-8", {"LC_ALL": "POSIX"}, False),
        ("utf-8", {"LC_ALL": "C.UTF-8"}, True),
        ("utf-8", {"LANG": "de_DE.ISO-8859-1"}, False),
        ("utf-8", {"LANG": "de_DE.nonsense"}, False),
        ("iso8859-1", {}, False),
        ("ascii", {}, False),
    ],
)
def test_unicode(encoding: str, environ: Mapping[str, str], unicode: bool) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert look(stream, environ) == Look(False, unicode, encoding)


def test_no_stream_at_all() -> None:
    assert look(None, {}) == Look(False, True, "utf-8")
    assert descriptor_of(None) is None
    closed = io.StringIO()
    closed.close()
    assert descriptor_of(closed) is None


def test_without_job_control_everything_is_in_the_foreground(terminal: TextIO) -> None:
    assert in_foreground(terminal.fileno())

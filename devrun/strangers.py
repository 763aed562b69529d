"""Whether the URLs in the env files are answered by whom they stand for: a file may outlive its stack, and be wrong.

Asks the URLs, all at once and not for long, and the process table. Must not know the running stack but by what it is
handed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import dotenv
from msgspec import Struct

from devrun.config import ProjectConfig
from devrun.identity import HEADER, Identity, read
from devrun.owner import owner_of
from devrun.plan import Endpoint
from devrun.variables import variable_stem

PATIENCE = 0.5
"""Seconds that whoever listens has for an answer."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LONGEST = 65536


class Claim(Struct, frozen=True):
    """A line of an env file: the URL of an app of this project, on this machine. ``file``: relative to the project."""

    file: str
    key: str
    url: str
    app: str


class Stranger(Struct, frozen=True):
    """A claim that is wrong. ``found``: who answers in its app's place, in words."""

    claim: Claim
    found: str

    def __str__(self) -> str:
        return f"{self.claim.file}: {self.claim.key}={self.claim.url} {self.found}"


def claims(config: ProjectConfig, folder: Path) -> Iterator[Claim]:
    """Read the env files as their consumers do: the last line of a name counts. What cannot be read claims nothing."""
    for file in config.dotenv:
        values: Mapping[str, str | None] = {}
        path = folder / file.path
        with suppress(OSError, UnicodeDecodeError):
            if path.is_file():
                values = dotenv.dotenv_values(path, interpolate=False)
        for app in config.apps if file.only is None else file.only:
            key = f"{file.prefix}{variable_stem(app)}_URL"
            url = values.get(key)
            if url and _local(url):
                yield Claim(file.path, key, url, app)


async def strangers(found: Iterable[Claim], stack: str | None, urls: Mapping[str, str]) -> list[Stranger]:
    """Return the claims that are wrong. ``stack``: the running stack's DEVRUN_STACK; ``urls``: where its apps are.

    An app's own URL needs no question: the launcher holds the socket. While no stack is up, a URL that nobody answers
    is as it should be.
    """
    doubtful = [claim for claim in found if urls.get(claim.app) != claim.url]
    answers = await asyncio.gather(*(_ask(urlsplit(claim.url), PATIENCE) for claim in doubtful))
    wrong: list[Stranger] = []
    for claim, answer in zip(doubtful, answers, strict=True):
        words = _words(claim, answer, stack)
        if words is not None:
            wrong.append(Stranger(claim, words))
    return wrong


async def replaced(apps: Iterable[Endpoint], stack: str, patience: float) -> list[str]:
    """Return in words who answers in the place of these apps of ``stack``, which is running."""
    asked = list(apps)
    answers = await asyncio.gather(*(_ask(urlsplit(app.url), patience) for app in asked))
    wrong: list[str] = []
    for app, answer in zip(asked, answers, strict=True):
        words = _words(Claim("", "", app.url, app.name), answer, stack)
        if words is not None:
            wrong.append(f"{app.name}: {app.url} {words}")
    return wrong


class _Answer(Struct, frozen=True):
    """``listens``: somebody takes connections there; ``identity``: the app that answers, when it is one of devrun's."""

    listens: bool
    identity: Identity | None = None


def _words(claim: Claim, answer: _Answer, stack: str | None) -> str | None:
    identity = answer.identity
    if not answer.listens:
        return None if stack is None else f"leads nowhere: nobody listens there, and {claim.app} is elsewhere"
    if identity is None:
        owner = owner_of(_port(urlsplit(claim.url)), urlsplit(claim.url).hostname or "")
        return f"is answered by a stranger: {owner or 'a process that could not be found'}"
    if identity.stack == stack:
        return None if identity.app == claim.app else f"is answered by {identity.app} of this stack"
    return f"is answered by {identity.app} of another stack: {identity.stack} on {identity.where}"


async def _ask(url: SplitResult, patience: float) -> _Answer:
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(url.hostname, _port(url), ssl=_tls(url), limit=_LONGEST)
            writer.write(f"HEAD / HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
        # It took the connection and says nothing that is HTTP; a listener whose backlog is full takes none at all.
        return _Answer(listens=writer is not None or isinstance(error, TimeoutError))
    finally:
        if writer is not None:
            writer.transport.abort()
    return _Answer(True, _identity(head))


def _identity(head: bytes) -> Identity | None:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == HEADER:
            return read(value)
    return None


def _tls(url: SplitResult) -> ssl.SSLContext | None:
    if url.scheme != "https":
        return None
    tls = ssl.create_default_context()
    tls.check_hostname = False  # whoever it is: a name is all that is asked for
    tls.verify_mode = ssl.CERT_NONE
    return tls


def _local(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and parts.hostname in LOOPBACK and parts.port is not None
    except ValueError:
        return False


def _port(url: SplitResult) -> int:
    assert url.port is not None
    return url.port

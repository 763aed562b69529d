"""What a broken app answers: ``describe`` turns an exception into a failure, ``serve`` answers 503 with it.

A failure is a dict with the keys ``kind``, ``summary``, ``text``, ``file`` and ``line``; they mean what the launcher's
``Failure`` says. Standard library only, Python 3.9 and later, one file by itself: it is loaded both as a part of the
package and by path from a worker. It must not import the app, touch signals or close the sockets it is given.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from string import Template
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import ssl

Source = tuple[tuple[int, str], ...]

HEADER = "x-devrun-broken"
OFFERS = ("text/plain", "text/html", "application/json", "application/problem+json")

_HEAD_BYTES = 64 * 1024
_BODY_BYTES = 64 * 1024 * 1024
_STAGE_SECONDS = 10.0
_FIRST_WORD_TURNS, _TURN_SECONDS = 10, 0.005
_LAST_WORD_SECONDS = 0.45
_CONNECTIONS = 256
_SOURCE_BYTES = 4 * 1024 * 1024
_CONTEXT_LINES = 4
_SUMMARY_CHARS = 200
_LINE_CHARS = 2000
_GROUP_DEPTH = 20
_FIRST_LINES, _LAST_LINES = 100, 200

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")
_LOOPBACK_ORIGIN = re.compile(r"https?://((?:[a-z0-9_-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?")
_WHAT = MappingProxyType(
    {"import": "could not be imported", "startup": "did not start", "setup": "could not be set up", "died": "died"}
)
_HIDDEN = MappingProxyType(
    {
        "kind": "",
        "summary": "what is wrong is said in devrun's terminal",
        "text": "This page shows it only where the host in the address is localhost or an IP address:\n"
        "any other name could be one that a foreign site has made point to this machine.",
        "file": None,
        "line": None,
    }
)


async def serve(
    sockets: list[socket.socket],
    failure: Mapping[str, Any],
    *,
    app: str,
    token: str,
    ssl_context: ssl.SSLContext | None = None,
) -> None:
    """Answer every request on the listening ``sockets`` with 503 and ``failure`` until cancelled.

    ``token`` differs from failure to failure: the page in a browser knows by it that there is news. The sockets stay
    open. Once cancelled, requests that have begun to arrive are still answered, for half a second at the most.
    """
    desk = _Desk(_Page(app, token, failure, source_around(failure.get("file"), failure.get("line"))), ssl_context)
    try:
        desk.open(sockets)
        await asyncio.get_running_loop().create_future()
    finally:
        await desk.close(sockets)


class _Desk:
    """The open connections. One is ``busy`` from the first byte of its request until its answer is sent.

    Not asyncio's own server: when that is closed, it forgets the connections that it accepted in the same turn of the
    loop, neither served nor closed, and their clients wait for ever.
    """

    def __init__(self, page: _Page, ssl_context: ssl.SSLContext | None) -> None:
        self._page = page
        self._ssl = ssl_context
        self._open: dict[asyncio.Task[None], None] = {}
        self._busy: set[asyncio.Task[None]] = set()

    def open(self, sockets: list[socket.socket]) -> None:
        for sock in sockets:
            sock.setblocking(False)
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    async def close(self, sockets: list[socket.socket]) -> None:
        for sock in sockets:
            asyncio.get_running_loop().remove_reader(sock)
        # The request of a connection accepted a moment ago may be on its way: closing would reset its client. Turns are
        # counted, not time, because on a busy machine the time can pass before anything was read.
        for _ in range(_FIRST_WORD_TURNS):
            if self._open:
                await asyncio.wait(list(self._open), timeout=_TURN_SECONDS)
        for task in self._open.keys() - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(list(self._busy), timeout=_LAST_WORD_SECONDS)
        rest = list(self._open)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _accept(self, sock: socket.socket) -> None:
        try:
            connection, _ = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # Another process was quicker, or the client has gone.
        except OSError:  # No descriptor is left.
            self._drop_oldest(0)
            return
        connection.setblocking(False)
        self._drop_oldest(_CONNECTIONS)
        task = asyncio.ensure_future(self._attend(connection))
        self._open[task] = None
        task.add_done_callback(lambda task: self._open.pop(task, None))

    def _drop_oldest(self, allowed: int) -> None:
        if len(self._open) > allowed:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.cancel()

    async def _attend(self, connection: socket.socket) -> None:
        task = asyncio.current_task()
        assert task is not None
        transport: asyncio.WriteTransport | None = None
        try:
            reader, writer = await self._streams(connection)
            transport = writer.transport
            first = await asyncio.wait_for(reader.read(1), _STAGE_SECONDS)
            self._busy.add(task)
            body = await asyncio.wait_for(self._answer(first, reader, writer), _STAGE_SECONDS)
            self._busy.discard(task)
            await asyncio.wait_for(_see_off(body, reader, writer), _STAGE_SECONDS)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass  # Slow, gone or not speaking HTTP: nobody is there to tell.
        finally:
            self._busy.discard(task)
            if transport is not None:
                transport.abort()

    async def _streams(self, connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        patience = _STAGE_SECONDS if self._ssl else None
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=self._ssl, ssl_handshake_timeout=patience
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _answer(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """Read a request, answer it; the number of bytes that its body may have."""
        if not first.isalpha():
            raise ValueError("not HTTP: perhaps a TLS handshake, which would never send the end of a head")
        request = parse(first + await reader.readuntil(b"\r\n\r\n"))
        # With the default limits drain() returns while the end of the answer is still here, to be cut off by close().
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(self._page.answer(request))
        await writer.drain()
        return request.body


async def _see_off(body: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what the client still sends: closing with input unread resets it, and it may lose the answer."""
    while body > 0 and (chunk := await reader.read(_HEAD_BYTES)):
        body -= len(chunk)
    writer.close()
    await writer.wait_closed()


@dataclass(frozen=True)
class Request:
    """The head of a request. Header names are in lower case; ``body`` is how many bytes may follow, bounded."""

    method: str
    headers: Mapping[str, str]
    body: int


def parse(head: bytes) -> Request:
    """Read the head of an HTTP/1 request as RFC 9112 has it. Raises ValueError for anything else."""
    lines = head[:-4].decode("latin-1").split("\r\n")
    method, _target, version = lines[0].split(" ")
    if not version.startswith("HTTP/1.") or not _TOKEN.fullmatch(method):
        raise ValueError(f"not HTTP/1: {lines[0]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        # Values are echoed for CORS: a bare CR or LF in one would add a header of the client's choice.
        if not colon or not _TOKEN.fullmatch(name) or any(c < " " and c != "\t" for c in value):
            raise ValueError(f"not a header: {line!r}")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise ValueError(f"not a length: {length!r}")
    return Request(method, headers, _BODY_BYTES if "transfer-encoding" in headers else min(int(length), _BODY_BYTES))


def negotiate(accept: str) -> str:
    """The media type of ``OFFERS`` for an ``Accept`` header (RFC 9110, 12.5.1).

    Of those liked equally, the one named most exactly, then the one named first; plain text where none is liked.
    """
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]

    def liking(offer: str) -> tuple[float, int, int]:
        patterns = ("*/*", offer.partition("/")[0] + "/*", offer)
        named = [(patterns.index(name), -i, q) for i, (name, q) in enumerate(ranges) if name in patterns]
        exactness, place, quality = max(named, default=(0, 0, 0.0))
        return quality, exactness, place

    best = max(OFFERS, key=liking)
    return best if liking(best)[0] > 0 else OFFERS[0]


def _media_range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        weight = float(quality)
    except ValueError:
        weight = 0.0
    return "*/*" if name == "*" else name, weight if 0 <= weight <= 1 else 0.0


def cors(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that let a page of this machine read the answer; none for any other origin (Fetch standard)."""
    origin = headers.get("origin", "")
    if not _LOOPBACK_ORIGIN.fullmatch(origin):
        return {}
    allowed = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": f"{HEADER}, Retry-After",
    }
    if "access-control-request-method" in headers:
        allowed["Access-Control-Allow-Methods"] = headers["access-control-request-method"]
        allowed["Access-Control-Allow-Headers"] = headers.get("access-control-request-headers", "")
        # A browser that kept this would not ask the mended app, which may allow less.
        allowed["Access-Control-Max-Age"] = "0"
    return allowed


def may_see_details(host: str) -> bool:
    """Whether a ``Host`` header is safe from DNS rebinding: none at all, localhost or an IP address."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].lower().rstrip(".")
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def source_around(file: str | None, line: int | None) -> Source:
    """The numbered lines around the failing one; empty where the file cannot be read."""
    if not file or not line:
        return ()
    try:
        if not os.path.isfile(file) or os.path.getsize(file) > _SOURCE_BYTES:
            return ()
        with open(file, encoding="utf-8-sig", errors="replace") as stream:
            lines = enumerate(stream, 1)
            return tuple((n, text.rstrip("\n")[:_LINE_CHARS]) for n, text in lines if abs(n - line) <= _CONTEXT_LINES)
    except OSError:
        return ()


@dataclass(frozen=True)
class _Page:
    """The answers: pure, but for the nonce."""

    app: str
    token: str
    failure: Mapping[str, Any]
    source: Source

    def answer(self, request: Request) -> bytes:
        allowed = cors(request.headers)
        fields = {
            HEADER: self.token,
            "Retry-After": "1",
            "Cache-Control": "no-store",
            "Connection": "close",
            "Vary": "Accept, Origin",
            **allowed,
        }
        if request.method == "OPTIONS" and "Access-Control-Allow-Methods" in allowed:
            return _head("204 No Content", fields)
        kind = negotiate(request.headers.get("accept", ""))
        nonce = os.urandom(16).hex()
        fields.update(_content_fields(kind, nonce))
        if request.method == "HEAD":
            return _head("503 Service Unavailable", fields)
        body = self._body(kind, request, nonce).encode("utf-8", "backslashreplace")
        return _head("503 Service Unavailable", {**fields, "Content-Length": str(len(body))}) + body

    def _body(self, kind: str, request: Request, nonce: str) -> str:
        safe = may_see_details(request.headers.get("host", ""))
        failure: Mapping[str, Any] = self.failure if safe else _HIDDEN
        headline = f"{_what(failure)}: {failure['summary']}"
        if kind == "text/html":
            return self._html(failure, self.source if safe else (), request.method, nonce)
        if kind == "text/plain":
            place = _place(failure)
            head = f"{self.app} {headline}\n" + (f"at {place}\n" if place else "")
            return f"{head}\n{failure['text']}\n"
        document = {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": f"{self.app} {headline}",
            "app": self.app,
        }
        return json.dumps(
            {**document, **{key: failure.get(key) for key in ("kind", "summary", "file", "line", "text")}}
        )

    def _html(self, failure: Mapping[str, Any], source: Source, method: str, nonce: str) -> str:
        pieces = {
            "app": self.app,
            "what": _what(failure),
            "summary": failure["summary"],
            "token": self.token,
            "method": method,
            "nonce": nonce,
        }
        safe = {name: escape(text) for name, text in pieces.items()}
        sections = _place_section(failure, source) + _text_section(failure)
        return Template(_HTML).substitute(safe, sections=sections, style=_STYLE, script=_SCRIPT)


def _place_section(failure: Mapping[str, Any], source: Source) -> str:
    place = _place(failure)
    if not place:
        return ""
    lines = "".join(
        f'<span class="line{" bad" if n == failure["line"] else ""}" data-n="{n}">{escape(text)}\n</span>'
        for n, text in source
    )
    shown = f'<pre tabindex="0">{lines}</pre>' if lines else ""
    return f'<section class="code"><h2>{escape(place)}</h2>{shown}</section>'


def _text_section(failure: Mapping[str, Any]) -> str:
    if failure["text"].strip() == failure["summary"]:
        return ""
    label = {"died": "Last output", "import": "Traceback", "startup": "Traceback"}.get(failure["kind"], "Details")
    button = '<button type="button" id="copy" hidden>Copy</button>'
    text = f'<pre tabindex="0" id="text">{escape(failure["text"])}</pre>'
    return f"<section><h2>{label}{button}</h2>{text}</section>"


def _content_fields(kind: str, nonce: str) -> dict[str, str]:
    fields = {
        "Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        "X-Content-Type-Options": "nosniff",
    }
    if kind == "text/html":
        fields["Content-Security-Policy"] = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
        )
    return fields


def _head(status: str, fields: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _what(failure: Mapping[str, Any]) -> str:
    return _WHAT.get(failure["kind"], "is broken")


def _place(failure: Mapping[str, Any]) -> str:
    file: str | None = failure.get("file")
    line: int | None = failure.get("line")
    if not file:
        return ""
    try:
        below = os.path.relpath(file)
    except OSError:  # The working directory has been removed.
        below = os.pardir
    shown = file if below.startswith(os.pardir) else below
    return shown if line is None else f"{shown}:{line}"


def describe(exc: BaseException, own: Callable[[str], bool], kind: str = "import") -> dict[str, Any]:
    """The failure that ``exc`` is; ``own`` tells the user's files, by name, from all others.

    ``file`` and ``line`` are those of a syntax error, else of the user's innermost frame, else of the innermost frame
    that is not the machinery's. A group of one stands for the one. ``exc`` may be one whose own methods raise.
    """
    plain = exc
    for _ in range(_GROUP_DEPTH):
        if len(_members(plain)) == 1:
            plain = _members(plain)[0]
    file, line = _locate(plain, own)
    return {"kind": kind, "summary": _summary(plain), "text": _report(exc, own), "file": file, "line": line}


def _summary(exc: BaseException) -> str:
    name = type(exc).__name__
    first = next((line.strip() for line in _message(exc).splitlines() if line.strip()), "")
    line = f"{name}: {first}" if first else name
    # It goes to terminals too: no escape sequences.
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line[: 2 * _SUMMARY_CHARS])
    return line if len(line) <= _SUMMARY_CHARS else line[: _SUMMARY_CHARS - 1] + "…"


def _message(exc: BaseException) -> str:
    if isinstance(exc, SyntaxError):
        return str(exc.msg or "")
    try:
        # Unlike str() this bears a __str__ that raises, and says "Did you mean" where Python does.
        return str(traceback.TracebackException(type(exc), exc, exc.__traceback__, limit=0))
    except Exception:
        return ""


def _locate(exc: BaseException, own: Callable[[str], bool]) -> tuple[str | None, int | None]:
    family = list(_family(exc, set()))
    for relative in family:
        if isinstance(relative, SyntaxError) and _is_file(relative.filename) and isinstance(relative.lineno, int):
            return os.path.abspath(str(relative.filename)), relative.lineno
        mine = [place for place in _places(relative) if own(place[0])]
        if mine:
            return mine[-1]
    return next((places[-1] for places in map(_places, family) if places), (None, None))


def _places(exc: BaseException) -> list[tuple[str, int]]:
    frames = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(exc.__traceback__))
    return [(os.path.abspath(name), line) for name, line in frames if _is_file(name) and not _is_machinery(name)]


def _family(exc: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """``exc`` and what it came from, the most telling first. Chains can be circular."""
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        for member in _members(exc):
            yield from _family(member, seen)
        yield exc
        exc = _origin(exc)


def _origin(exc: BaseException) -> BaseException | None:
    try:
        cause, context = exc.__cause__, None if exc.__suppress_context__ else exc.__context__
    except Exception:  # Properties of the user's.
        return None
    return context if cause is None else cause


def _members(exc: BaseException) -> tuple[BaseException, ...]:
    # By shape: ExceptionGroup is built in from Python 3.11, before that it comes from a package.
    try:
        members: object = getattr(exc, "exceptions", ())
    except Exception:
        members = ()
    found = cast("tuple[object, ...]", members) if isinstance(members, tuple) else ()
    return tuple(member for member in found if isinstance(member, BaseException))


def _is_file(name: object) -> bool:
    return isinstance(name, str) and bool(name) and not name.startswith("<")


def _is_machinery(name: str) -> bool:
    """Whether the file belongs to what imports and serves the app, which the user has not written."""
    if name.startswith(("<frozen importlib", "<frozen runpy")):
        return True
    modules = (sys.modules.get("importlib"), sys.modules.get("uvicorn"))
    files = [__file__, *(module.__file__ for module in modules if module is not None and module.__file__)]
    return any(os.path.abspath(name).startswith(os.path.dirname(os.path.abspath(file)) + os.sep) for file in files)


def _report(exc: BaseException, own: Callable[[str], bool]) -> str:
    """The whole traceback without the machinery's frames above the user's, shortened in the middle where very long."""
    try:
        report = traceback.TracebackException(type(exc), exc, exc.__traceback__)
        _trim(report, own)
        lines = "".join(report.format()).splitlines()
    except Exception:
        # Odd exceptions break the traceback module too, and a chain of thousands exhausts its recursion.
        lines = [*"".join(traceback.format_tb(exc.__traceback__)).splitlines(), type(exc).__name__]
    lines = [line if len(line) <= _LINE_CHARS else line[:_LINE_CHARS] + "…" for line in lines]
    left_out = len(lines) - _FIRST_LINES - _LAST_LINES
    if left_out > 0:
        lines[_FIRST_LINES:-_LAST_LINES] = ["", f"  … {left_out} lines left out …", ""]
    return "\n".join(lines)


def _trim(report: traceback.TracebackException, own: Callable[[str], bool]) -> None:
    todo: list[traceback.TracebackException | None] = [report]
    while todo:
        one = todo.pop()
        if one is None:
            continue
        names = [os.path.abspath(frame.filename) if _is_file(frame.filename) else frame.filename for frame in one.stack]
        machinery = [_is_machinery(name) for name in names]
        top = next((i for i, name in enumerate(names) if not machinery[i] and own(name)), len(names))
        one.stack[:top] = [frame for i, frame in enumerate(one.stack[:top]) if not machinery[i]]
        todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]


_HTML = """\
<!doctype html>
<html lang="en" data-token="$token" data-method="$method">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$app $what: $summary</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
%3Ccircle cx='8' cy='8' r='7' fill='%23d1242f'/%3E%3C/svg%3E">
<noscript><meta http-equiv="refresh" content="2"></noscript>
<style nonce="$nonce">$style</style>
</head>
<body>
<main>
<header><p><strong>$app</strong> $what</p><span class="status">503</span></header>
<h1>$summary</h1>
$sections
<footer><p role="status" id="note">Waiting for a save. This page reloads by itself when the app changes.</p></footer>
</main>
<script nonce="$nonce">$script</script>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --edge: #dfe3e8; --text: #1c2128; --soft: #5b6572;
  --red: #c11b2b; --tint: #ffebec;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
@media (prefers-color-scheme: dark) { :root { --back: #0f1216; --card: #171b21; --edge: #2b313a; --text: #e4e8ee;
  --soft: #98a2b0; --red: #ff7b83; --tint: #43191f } }
* { box-sizing: border-box; margin: 0 }
body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
  border-top: 4px solid var(--red) }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.5rem }
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem; color: var(--soft) }
header strong { color: var(--text); overflow-wrap: anywhere }
.status { font: 600 .8rem var(--mono); color: var(--red); background: var(--tint); border-radius: 99px;
  padding: .2rem .7rem }
h1 { font: 600 1.5rem/1.35 var(--mono); color: var(--red); margin: .75rem 0 1.75rem; overflow-wrap: anywhere }
section { background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
  margin-bottom: 1.25rem; overflow: hidden }
h2 { display: flex; justify-content: space-between; align-items: center; min-height: 2.6rem; padding: .4rem 1rem;
  font-size: .85rem; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--edge);
  overflow-wrap: anywhere }
.code h2 { font-family: var(--mono) }
pre { font: .85rem/1.65 var(--mono); padding: .9rem 1rem; overflow-x: auto; tab-size: 4 }
pre:focus-visible, button:focus-visible { outline: 2px solid var(--red); outline-offset: -2px }
.code pre { padding: .6rem 0 }
.line { display: block; width: max-content; min-width: 100%; padding-right: 1rem }
.line::before { content: attr(data-n); display: inline-block; width: 4.2em; padding-right: 1.2em; text-align: right;
  color: var(--soft) }
.bad { background: var(--tint); box-shadow: inset 3px 0 var(--red) }
.bad::before { color: var(--red); font-weight: 600 }
button { font: inherit; color: var(--text); background: none; border: 1px solid var(--edge); border-radius: 6px;
  padding: .1rem .7rem; cursor: pointer }
button:hover { background: var(--back) }
footer { color: var(--soft); font-size: .9rem }
footer p::before { content: ""; display: inline-block; width: .55em; height: .55em; margin-right: .6em;
  border-radius: 50%; background: var(--red); animation: beat 1.6s ease-in-out infinite }
@keyframes beat { 50% { opacity: .25 } }
@media (prefers-reduced-motion: reduce) { footer p::before { animation: none } }
@media (max-width: 40rem) { main { padding: 1.25rem .75rem } h1 { font-size: 1.15rem; margin-bottom: 1.25rem }
  pre { font-size: .78rem } .line::before { width: 3.4em; padding-right: .9em } }
"""

_SCRIPT = """
const page = document.documentElement.dataset, copy = document.getElementById("copy");
let asking = false, timer = setTimeout(ask, 400);
async function ask() {
  clearTimeout(timer);
  if (asking || document.hidden) return;
  asking = true;
  try {
    // A redirect that were followed could lead to another origin, and a refused request looks like no server at all.
    const answer = await fetch(location.origin + location.pathname + location.search,
      { method: "HEAD", cache: "no-store", redirect: "manual" });
    if (answer.headers.get("x-devrun-broken") !== page.token) return again();
  } catch {
    // Between two runs of the app: ask again.
  } finally {
    asking = false;
  }
  timer = setTimeout(ask, 400);
}
function again() {
  // Not location.replace: with a fragment in the address it would only scroll.
  if (page.method === "GET") return location.reload();
  document.getElementById("note").textContent = "The app has changed. Reload to send the form again.";
}
document.addEventListener("visibilitychange", ask);
if (navigator.clipboard) {
  copy.hidden = false;
  copy.onclick = async () => {
    await navigator.clipboard.writeText(document.getElementById("text").textContent);
    copy.textContent = "Copied";
  };
}
"""

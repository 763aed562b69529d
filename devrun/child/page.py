"""The answers of a broken app: 503 with its failure as a page that mends itself, as JSON or as text.

Renders; opens no connection. Standard library only, Python 3.9 on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from types import MappingProxyType
from typing import Any

from .identifying import IDENTITY
from .request import HEADER, Request, cors, may_see_details, negotiate

Source = tuple[tuple[int, str], ...]

LINE_CHARS = 2000
_SOURCE_BYTES = 4 * 1024 * 1024
_CONTEXT_LINES = 4

_WHAT = MappingProxyType(
    {
        "import": "could not be imported",
        "startup": "did not start",
        "setup": "could not be set up",
        "died": "died",
        "waiting": "has not started",
        "stopped": "is stopped",
    }
)
# Not the standard library's: an app may have a module html of its own.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
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


def source_around(file: str | None, line: int | None) -> Source:
    """The numbered lines around the failing one; empty where the file cannot be read."""
    if not file or not line:
        return ()
    try:
        if not os.path.isfile(file) or os.path.getsize(file) > _SOURCE_BYTES:
            return ()
        with open(file, encoding="utf-8-sig", errors="replace") as stream:
            lines = enumerate(stream, 1)
            return tuple((n, text.rstrip("\n")[:LINE_CHARS]) for n, text in lines if abs(n - line) <= _CONTEXT_LINES)
    except OSError:
        return ()


@dataclass(frozen=True)
class Page:
    """The answers: pure, but for the nonce."""

    app: str
    token: str
    failure: Mapping[str, Any]
    source: Source
    identity: str | None = None

    def answer(self, request: Request) -> bytes:
        allowed = cors(request.headers)
        fields = {
            HEADER: self.token,
            "Retry-After": "1",
            "Cache-Control": "no-store",
            "Connection": "close",
            "Vary": "Accept, Origin",
            **({} if self.identity is None else {IDENTITY: self.identity}),
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
        safe = {name: text.translate(_ESCAPES) for name, text in pieces.items()}
        sections = _place_section(failure, source) + _text_section(failure)
        return Template(_HTML).substitute(safe, sections=sections, style=_STYLE, script=_SCRIPT)


def _place_section(failure: Mapping[str, Any], source: Source) -> str:
    place = _place(failure)
    if not place:
        return ""
    lines = "".join(
        f'<span class="line{" bad" if n == failure["line"] else ""}" data-n="{n}">{text.translate(_ESCAPES)}\n</span>'
        for n, text in source
    )
    shown = f'<pre tabindex="0">{lines}</pre>' if lines else ""
    return f'<section class="code"><h2>{place.translate(_ESCAPES)}</h2>{shown}</section>'


def _text_section(failure: Mapping[str, Any]) -> str:
    if failure["text"].strip() == failure["summary"]:
        return ""
    label = {"died": "Last output", "import": "Traceback", "startup": "Traceback"}.get(failure["kind"], "Details")
    button = '<button type="button" id="copy" hidden>Copy</button>'
    text = f'<pre tabindex="0" id="text">{failure["text"].translate(_ESCAPES)}</pre>'
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

"""Reads a request to a broken app: its head, what it accepts, and what its origin and host may see.

Pure; standard library only, Python 3.9 on.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

HEADER = "x-devrun-broken"
OFFERS = ("text/plain", "text/html", "application/json", "application/problem+json")

HEAD_BYTES = 64 * 1024
BODY_BYTES = 64 * 1024 * 1024

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")
_LOOPBACK_ORIGIN = re.compile(r"https?://((?:[a-z0-9_-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?")


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
    return Request(method, headers, BODY_BYTES if "transfer-encoding" in headers else min(int(length), BODY_BYTES))


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

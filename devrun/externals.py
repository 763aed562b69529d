"""Addresses that the stack only refers to: a URL as somebody writes it becomes an endpoint.

Pure. Asks no resolver: whether anybody answers there is not the stack's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from devrun.plan import Endpoint

USUAL_PORTS: Mapping[str, int] = {
    "http": 80,
    "https": 443,
    "ws": 80,
    "wss": 443,
    "amqp": 5672,
    "amqps": 5671,
    "mongodb": 27017,
    "mysql": 3306,
    "nats": 4222,
    "postgres": 5432,
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
}
"""The port of a scheme when the URL names none."""


class BadUrl(Exception):
    """A URL that names no address: what was found and what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}; expected {expected}")
        self.found = found
        self.expected = expected


def endpoint_of(name: str, url: str) -> Endpoint:
    """Return where ``url`` (of the form of ``kinds.Url``) leads. Raises BadUrl."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number or too large, brackets without an address
        raise BadUrl(repr(url), "a host and, after a colon, a port from 1 to 65535") from None
    if not host:
        raise BadUrl(f"{url!r} has no host", "a URL such as 'https://api.example.com'")
    if port is None:
        port = USUAL_PORTS.get(parts.scheme)
    if not port:
        raise BadUrl(f"{url!r} has no port", f"a port after the host, as {parts.scheme!r} has no usual one")
    # The URL of an app ends without a slash, too: `${payments.url}/v1` means the same for both.
    given = url.removesuffix("/") if parts.path == "/" else url
    return Endpoint(name, host, port, parts.scheme, given)

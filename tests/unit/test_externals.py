"""URLs of externals: what they say of host and port, and what of it stands in variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from devrun.externals import BadUrl, endpoint_of
from devrun.variables import expand, injected


@pytest.mark.parametrize(
    ("url", "host", "port", "shown", "ws_url"),
    [
        ("https://pay.example.com", "pay.example.com", 443, "https://pay.example.com", "wss://pay.example.com"),
        ("https://pay.example.com/", "pay.example.com", 443, "https://pay.example.com", "wss://pay.example.com"),
        ("http://[::1]:8080/v2/?a=b", "::1", 8080, "http://[::1]:8080/v2/?a=b", "ws://[::1]:8080/v2/?a=b"),
        ("http://LOCALHOST", "localhost", 80, "http://LOCALHOST", "ws://LOCALHOST"),
        ("ws://push.example.com", "push.example.com", 80, "ws://push.example.com", "ws://push.example.com"),
        ("redis://cache", "cache", 6379, "redis://cache", "redis://cache"),
        ("imap://mail:143", "mail", 143, "imap://mail:143", "imap://mail:143"),
    ],
)
def test_where_a_url_leads(url: str, host: str, port: int, shown: str, ws_url: str) -> None:
    endpoint = endpoint_of("pay", url)
    assert (endpoint.host, endpoint.port, endpoint.url, endpoint.ws_url) == (host, port, shown, ws_url)


def test_it_gives_the_same_variables_as_an_app() -> None:
    endpoints = {"pay": endpoint_of("pay", "https://pay.example.com/v2")}
    assert injected(endpoints) == {
        "PAY_URL": "https://pay.example.com/v2",
        "PAY_HOST": "pay.example.com",
        "PAY_PORT": "443",
    }
    assert (
        expand("${pay.url}/x on ${pay.host}", endpoints, {}, Path("/"))
        == "https://pay.example.com/v2/x on pay.example.com"
    )


@pytest.mark.parametrize("url", ["https://", "imap://mail", "http://x:0", "http://x:99999", "http://x:y", "http://[x"])
def test_a_url_that_leads_nowhere(url: str) -> None:
    with pytest.raises(BadUrl):
        endpoint_of("pay", url)

"""Says with every response of an app who answers. Standard library only, Python 3.9 on."""

from __future__ import annotations

import copy
import sys
from typing import Any

IDENTITY = "x-devrun"
HTTPTOOLS = "uvicorn.protocols.http.httptools_impl"


def identify(config: Any, identity: str) -> None:
    """Have a loaded uvicorn configuration send ``x-devrun``, unless the user has set a header of that name.

    uvicorn examines each of its own headers anew with each response, which takes 2 % of a small app's requests a
    second. httptools' protocol has its status lines ready made: there the header comes with them.
    """
    header = IDENTITY.encode(), identity.encode("latin-1")
    if any(name == header[0] for name, _ in config.encoded_headers):
        return
    httptools: Any = sys.modules.get(HTTPTOOLS)
    if httptools is None or config.http_protocol_class is not httptools.HttpToolsProtocol:
        config.encoded_headers.append(header)
        return
    line = b"%s: %s\r\n" % header
    httptools.STATUS_LINE = {status: start + line for status, start in httptools.STATUS_LINE.items()}
    if config.ws_protocol_class is not None:
        config.ws_protocol_class = _with_header(config.ws_protocol_class, header)


def _with_header(protocol: Any, header: tuple[bytes, bytes]) -> Any:
    """Return a maker of WebSocket protocols whose answer to the handshake has the header."""

    def make(*, server_state: Any, **rest: Any) -> Any:
        state = copy.copy(server_state)  # its sets are the server's
        state.default_headers = [*server_state.default_headers, header]
        return protocol(server_state=state, **rest)

    return make

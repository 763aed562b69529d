"""Sources of small ASGI apps for tests with real stacks: no framework, so that they start fast."""

from __future__ import annotations

import textwrap

TOML = """
[apps.api]
app = "main:app"
"""

RESPOND = """
async def respond(send, body, status=200, kind=b"text/plain"):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body if isinstance(body, bytes) else str(body).encode()})


async def lifespan(receive, send, startup=None, shutdown=None):
    while True:
        message = await receive()
        hook = startup if message["type"] == "lifespan.startup" else shutdown
        if hook is not None:
            await hook()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
"""


def answering(expression: str, head: str = "") -> str:
    """The source of an app that answers every request with ``expression``, evaluated for each."""
    return f"""{textwrap.dedent(head)}
{RESPOND}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await respond(send, ({expression}))
"""

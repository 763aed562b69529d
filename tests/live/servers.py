"""Servers and other programs to run as commands of a stack."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

PYTHON = sys.executable

SHOW = """
    # Answers with its environment, working directory and process id; --host and --port as asked, a free port without.
    import argparse, http.server, json, os, socket

    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"pid": os.getpid(), "cwd": os.getcwd(), "environ": dict(os.environ)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET

    Server((asked.host, asked.port), Handler).serve_forever()
"""

NODE = """
    // Listens where it is told; --next: on a port after the one that it was asked to take, as if that were taken.
    const http = require("http");
    const [host, port, next] = process.argv.slice(2);
    const server = http.createServer((request, response) => response.end(`node ${process.pid}`));
    let at = Number(port || process.env.PORT || 0) + (next === "--next" ? 1 : 0);
    if (next === "--next") server.on("error", () => server.listen(++at, host || undefined));
    server.listen(at, host || undefined);
"""

APP = """
    import json, os

    async def app(scope, receive, send):
        if scope["type"] == "http":
            body = json.dumps({"pid": os.getpid(), "environ": dict(os.environ)}).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
"""


def toml(words: list[str]) -> str:
    """A list of words as TOML writes it."""
    return json.dumps(words)


def need_node() -> str:
    """The path of node; the test is skipped where there is none."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    return node

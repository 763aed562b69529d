"""Asks a server without rest over kept connections, where there is no ``wrk``. Prints answers a second.

python tests/benchmarks/load.py PORT PATH CONNECTIONS SECONDS
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def size_of(head: bytes) -> int:
    """Bytes of a whole answer, head included. Raises ValueError for one that is not 200 or says no length."""
    length = LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200") or length is None:
        raise ValueError(f"unexpected answer: {head[:200]!r}")
    return head.index(b"\r\n\r\n") + 4 + int(length[1])


def run(port: int, path: str, connections: int, seconds: float) -> float:
    """Answers a second. Raises OSError when the server closes a connection."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    sock: socket.socket
    pending: dict[socket.socket, bytes] = {}
    answers = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            sock = socket.create_connection(("127.0.0.1", port))
            selector.register(sock, selectors.EVENT_READ, sock)
            pending[sock] = b""
        begun = time.perf_counter()
        for sock in pending:
            sock.sendall(request)
        while (now := time.perf_counter()) < begun + seconds:
            for key, _ in selector.select(1):
                sock = key.data
                chunk = sock.recv(65536)
                if not chunk:
                    raise ConnectionResetError("the server closed a connection")
                data = pending[sock] + chunk
                if b"\r\n\r\n" in data and len(data) >= size_of(data):
                    data = b""
                    answers += 1
                    sock.sendall(request)
                pending[sock] = data
        for sock in pending:
            sock.close()
    return answers / (now - begun)


if __name__ == "__main__":
    print(run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))

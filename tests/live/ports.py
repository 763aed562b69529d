"""What the socket tests share: plans, children that hold ports, a network of one's own."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

from devrun.plan import AppPlan

_HOLD = """
import socket, sys
held = []
for host, port in zip(sys.argv[1::2], sys.argv[2::2]):
    family = socket.AF_INET if "." in host else socket.AF_INET6
    both = host == "both"
    held.append(socket.create_server(("" if both else host, int(port)), family=family, backlog=1, dualstack_ipv6=both))
print("held", flush=True)
sys.stdin.read()
"""

_LOOPBACK_UP = """
import fcntl, socket, struct
with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w") as file:
    file.write("{disable}")
with socket.socket() as sock:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running
"""

_PLANS = """
from tests.live.ports import *
from devrun.errors import *
from devrun.sockets import bind
"""


def plan(name: str, port: int | Literal["sticky"] = 0, host: str = "127.0.0.1", **uvicorn: object) -> AppPlan:
    return AppPlan(
        name=name,
        target="main:app",
        factory=False,
        cwd=Path("/"),
        python=Path(sys.executable),
        port=port,
        host=host,
        env={},
        env_file={},
        watch=(),
        ignore=(),
        depends_on=(),
        health=None,
        reload=True,
        grace=1.0,
        open=None,
        uvicorn=uvicorn,
    )


def plans(*apps: AppPlan) -> Mapping[str, AppPlan]:
    return {app.name: app for app in apps}


@contextmanager
def holding(folder: Path, *places: tuple[str, int]) -> Generator[subprocess.Popen[str]]:
    """A child process in ``folder`` that listens at these places; the host ``both`` is a wildcard of both families."""
    argv = [sys.executable, "-c", _HOLD, *(str(part) for place in places for part in place)]
    with subprocess.Popen(argv, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


@cache
def ipv6_loopback() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port that is free on loopback and that the system hands to nobody who asks for any port."""
    while True:
        port = random.randint(10240, 32000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
            if ipv6_loopback():
                socket.create_server(("::1", port), family=socket.AF_INET6).close()
        except OSError:
            continue
        return port


@cache
def own_network() -> bool:
    """Whether this machine lets us make a network namespace."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--map-root-user", "--net", "true"], capture_output=True).returncode == 0


def in_own_network(script: str, *, ipv6: bool = True) -> str:
    """Run Python in a network namespace of its own, with nothing but loopback; returns what it prints."""
    text = _LOOPBACK_UP.format(disable=0 if ipv6 else 1) + _PLANS + script
    argv = ["unshare", "--map-root-user", "--net", sys.executable, "-c", text]
    root = Path(__file__).parents[2]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_python(script: str, *arguments: str) -> str:
    """Run Python in a process of its own with the names of this module; returns what it prints."""
    argv = [sys.executable, "-c", _PLANS + script, *arguments]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""Process trees and where they listen, read off the system's tables."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator

import psutil
import pytest

from devrun import tree
from devrun.tree import Place, members, signal_all
from tests.driver import wait_until

# A child in the group, a grandchild in a session of its own, and one whose parent is gone.
TREE = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(1000)"]
subprocess.Popen(sleep)
subprocess.Popen(sleep, start_new_session=True)
if os.fork() == 0:
    subprocess.Popen(sleep)
    os._exit(0)
os.wait()
print("up", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def leader() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", TREE], start_new_session=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        yield process.pid
        signal_all(members(process.pid), signal.SIGKILL)


@pytest.mark.parametrize("table", ["_read_proc", "_ask_psutil"])
def test_the_members_of_a_tree(table: str, leader: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to read the table of processes say the same; the second is that of other systems than Linux."""
    monkeypatch.setattr(tree, "_table", getattr(tree, table))
    found = members(leader)
    assert leader in found and len(found) == 4
    (apart,) = (pid for pid in found if os.getpgid(pid) != leader)
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: psutil.Process(leader).status() == psutil.STATUS_ZOMBIE)
    assert members(leader) == found - {leader, apart}, "who left the group is known by its parent alone"
    assert members(leader, found) == found - {leader}
    signal_all(found, signal.SIGKILL)
    wait_until(lambda: not members(leader, found), "killed processes are still members")
    signal_all(found, signal.SIGKILL)


@pytest.mark.parametrize("sockets", [tree._read_sockets, tree._ask_sockets])
def test_where_processes_listen(sockets: Callable[[Iterable[int]], frozenset[Place]]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("::", 0), family=socket.AF_INET6) as two,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as three,
        socket.create_connection(one.getsockname()) as client,
    ):
        places = {Place(one.getsockname()[1], "127.0.0.1"), Place(two.getsockname()[1], "::")}
        places.add(Place(three.getsockname()[1], "::1"))
        found = sockets([os.getpid(), 2**22 + 1])
        assert places <= found
        assert client.getsockname()[1] not in {place.port for place in found}
    assert not places & sockets([os.getpid()])
    assert sockets([]) == frozenset()

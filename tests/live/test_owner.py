"""The process that listens on a port, found with real children."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from devrun.owner import Owner, owner_of, owners_of
from tests.live.ports import free_port, holding, ipv6_loopback, run_python

needs_ipv6 = pytest.mark.skipif(not ipv6_loopback(), reason="needs ::1")


@pytest.fixture(params=["whole table", "one by one"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "one by one":

        def denied(kind: str) -> None:
            raise psutil.AccessDenied

        monkeypatch.setattr(psutil, "net_connections", denied)
    yield


@pytest.mark.usefixtures("_way")
def test_names_pid_command_line_and_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    port = free_port()
    with holding(folder, ("127.0.0.1", port)) as child:
        owner = owner_of(port)
        assert owner is not None
        assert owner.pid == child.pid
        assert shlex.split(owner.command)[:2] == [sys.executable, "-c"]
        assert owner.folder == os.path.realpath(folder)


@pytest.mark.usefixtures("_way")
def test_nobody_listens() -> None:
    assert owner_of(free_port()) is None


@pytest.mark.usefixtures("_way")
def test_a_connection_is_no_listener(tmp_path: Path) -> None:
    port = free_port()
    with holding(tmp_path, ("127.0.0.1", port)) as child, socket.create_connection(("127.0.0.1", port)) as client:
        assert owner_of(client.getsockname()[1]) is None
        owner = owner_of(port)
        assert owner is not None and owner.pid == child.pid


@needs_ipv6
def test_prefers_the_address_that_was_asked_for(tmp_path: Path) -> None:
    port = free_port()
    with holding(tmp_path, ("127.0.0.1", port)) as four, holding(tmp_path, ("::1", port)) as six:
        found = owners_of([("127.0.0.1", port), ("::1", port)])
        assert [found["127.0.0.1", port].pid, found["::1", port].pid] == [four.pid, six.pid]


@needs_ipv6
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has 127.0.0.2")
def test_prefers_a_wildcard_to_a_foreign_address(tmp_path: Path) -> None:
    port = free_port()
    with holding(tmp_path, ("127.0.0.2", port)), holding(tmp_path, ("::", port)) as wildcard:
        owner = owner_of(port, "::1")
        assert owner is not None and owner.pid == wildcard.pid


def test_a_shared_socket_belongs_to_the_parent() -> None:
    script = """
import os, socket
from devrun.owner import owner_of
sock = socket.create_server(("127.0.0.1", 0))
hold, let_go = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        os.close(let_go)
        os.read(hold, 1)
        os._exit(0)
print(owner_of(sock.getsockname()[1]).pid == os.getpid())
"""
    assert run_python(script) == "True\n"


@pytest.mark.parametrize("call", [psutil.Process.cmdline, psutil.Process.cwd, psutil.Process.name, psutil.Process.ppid])
def test_never_raises_when_a_process_hides(
    call: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(process: psutil.Process) -> None:
        raise psutil.AccessDenied(process.pid)

    port = free_port()
    with holding(tmp_path, ("127.0.0.1", port)) as child:
        monkeypatch.setattr(psutil.Process, call.__name__, denied)
        owner = owner_of(port)
        assert owner is None or owner.pid == child.pid
        assert owner is None or owner.command


def test_strangers_text_reaches_no_terminal() -> None:
    owner = Owner(7, "evil\x1b[2J\nline \udcff" + "x" * 5000, "/a\rb")
    assert str(owner).isprintable()
    assert str(owner).startswith("process 7 (evil?[2J?line ?xxx")
    assert str(owner).endswith("...) in /a?b")
    assert len(str(owner)) < 300


def test_psutil_is_imported_late() -> None:
    assert run_python("import sys; print('psutil' in sys.modules)") == "False\n"

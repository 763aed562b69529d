"""Sockets of a plan: real ports, real strangers that hold some of them."""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from pathlib import Path

import pytest

from devrun.errors import BindError
from devrun.plan import Endpoint
from devrun.sockets import bind
from tests.live.ports import (
    free_port,
    holding,
    in_own_network,
    ipv6_loopback,
    own_network,
    plan,
    plans,
    run_python,
)

LOOPBACK = ["127.0.0.1", "::1"] if ipv6_loopback() else ["127.0.0.1"]
needs_ipv6 = pytest.mark.skipif(not ipv6_loopback(), reason="needs ::1")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
needs_network = pytest.mark.skipif(not own_network(), reason="needs a network namespace of its own")


def open_descriptors() -> list[str]:
    return sorted(os.listdir("/dev/fd"))


# --- what is bound ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost"])
def test_loopback_listens_on_both_families_at_one_port(host: str) -> None:
    with bind(plans(plan("api", host=host)), {}) as listeners:
        port = listeners.endpoints["api"].port
        assert [sock.getsockname()[:2] for sock in listeners.sockets["api"]] == [(each, port) for each in LOOPBACK]
        assert listeners.endpoints["api"] == Endpoint("api", "127.0.0.1", port, "http")
        assert listeners.notes == () if ipv6_loopback() else len(listeners.notes) == 1


def test_sockets_listen_do_not_block_and_are_not_inherited() -> None:
    with bind(plans(plan("api")), {}) as listeners:
        for sock in listeners.sockets["api"]:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
            assert not sock.getblocking()
            assert not sock.get_inheritable()
            assert not os.get_blocking(sock.fileno())
            with pytest.raises(BlockingIOError):
                sock.accept()


@pytest.mark.skipif(not hasattr(socket, "TCP_DEFER_ACCEPT"), reason="the kernel hands out what says nothing yet")
def test_a_connection_is_not_accepted_before_it_says_something() -> None:
    with bind(plans(plan("api")), {}) as listeners:
        (sock, *_) = listeners.sockets["api"]
        with socket.create_connection(sock.getsockname(), timeout=5) as client:
            assert select.select([sock], [], [], 0.2)[0] == []
            client.sendall(b"word")
            assert select.select([sock], [], [], 5)[0] == [sock]


def test_where_the_kernel_cannot_wait_for_the_first_word_a_connection_is_accepted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(socket, "TCP_DEFER_ACCEPT", raising=False)
    with bind(plans(plan("api")), {}) as listeners:
        (sock, *_) = listeners.sockets["api"]
        with socket.create_connection(sock.getsockname(), timeout=5):
            assert select.select([sock], [], [], 5)[0] == [sock]


def test_sockets_are_closed_at_the_end() -> None:
    before = open_descriptors()
    with bind(plans(plan("api"), plan("web")), {}) as listeners:
        port = listeners.endpoints["api"].port
        assert len(open_descriptors()) == len(before) + 2 * len(LOOPBACK)
    assert open_descriptors() == before
    listeners.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("host", LOOPBACK)
def test_an_early_connection_waits_in_the_backlog(host: str) -> None:
    with bind(plans(plan("api")), {}) as listeners:
        endpoint = listeners.endpoints["api"]
        with socket.create_connection((host, endpoint.port), timeout=5) as client:
            client.sendall(b"early")
            sock = listeners.sockets["api"][LOOPBACK.index(host)]
            assert select.select([sock], [], [], 5)[0] == [sock]
            served, _ = sock.accept()
            with served:
                served.settimeout(5)
                assert served.recv(5) == b"early"


def test_the_scheme_follows_the_certificate() -> None:
    with bind(plans(plan("api", ssl_certfile="cert.pem")), {}) as listeners:
        assert listeners.endpoints["api"].url == f"https://127.0.0.1:{listeners.endpoints['api'].port}"


def test_endpoints_keep_the_order_of_the_apps() -> None:
    apps = plans(plan("c"), plan("a", "sticky"), plan("b", free_port()))
    with bind(apps, {"a": free_port()}) as listeners:
        assert list(listeners.endpoints) == list(listeners.sockets) == ["c", "a", "b"]


def test_no_apps() -> None:
    with bind({}, {}) as listeners:
        assert (dict(listeners.endpoints), dict(listeners.sockets), listeners.notes) == ({}, {}, ())


@pytest.mark.parametrize(
    ("host", "bound", "reached"),
    [
        ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
        pytest.param("127.0.0.2", "127.0.0.2", "127.0.0.2", marks=needs_linux),
        pytest.param("::", "::", "::1", marks=needs_ipv6),
        pytest.param("::1", "::1", "::1", marks=needs_ipv6),
    ],
)
def test_another_host_is_bound_exactly(host: str, bound: str, reached: str) -> None:
    with bind(plans(plan("api", host=host)), {}) as listeners:
        (sock,) = listeners.sockets["api"]
        assert sock.getsockname()[0] == bound
        assert listeners.endpoints["api"].host == reached
        socket.create_connection((reached, listeners.endpoints["api"].port), timeout=5).close()


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "2001:db8::1", "no-such-host.invalid", "a..b", "nul\0", "x" * 300, "", "*"]
)
def test_a_host_that_is_not_ours(host: str) -> None:
    before = open_descriptors()
    with pytest.raises(BindError, match=r"host '.*' of app 'api' is not an address of this machine: "):
        bind(plans(plan("web"), plan("api", host=host)), {})
    assert open_descriptors() == before


def test_500_apps_in_one_call() -> None:
    script = """
from devrun.descriptors import raise_descriptor_limit
raise_descriptor_limit(500)
with bind(plans(*(plan(f"app{n}") for n in range(500))), {}) as listeners:
    print(len({endpoint.port for endpoint in listeners.endpoints.values()}))
"""
    assert run_python(script) == "500\n"


def test_500_sticky_apps_that_all_lose_their_port() -> None:
    script = """
from devrun.descriptors import raise_descriptor_limit
raise_descriptor_limit(1000)
apps = plans(*(plan(f"app{n}", "sticky") for n in range(500)))
with bind(apps, {}) as first:
    with bind(apps, {name: endpoint.port for name, endpoint in first.endpoints.items()}) as second:
        taken = [note for note in second.notes if "taken by process" in note]
        print(len(taken))
"""
    assert run_python(script) == "500\n"


# --- ports --------------------------------------------------------------------------------------------------------


def test_a_pinned_port_is_had() -> None:
    port = free_port()
    with bind(plans(plan("api", port)), {"api": 1}) as listeners:
        assert listeners.endpoints["api"].port == port


@pytest.mark.parametrize("host", [*LOOPBACK, "0.0.0.0", *(["both"] if ipv6_loopback() else [])])
def test_a_taken_pinned_port_names_the_process(host: str, tmp_path: Path) -> None:
    folder = tmp_path / "other project"
    folder.mkdir()
    port = free_port()
    before = open_descriptors()
    with holding(folder, (host, port)) as child:
        with pytest.raises(BindError) as caught:
            bind(plans(plan("web"), plan("api", port)), {})
        message = caught.value.message
        address = "::1" if host == "::1" else "127.0.0.1"
        assert message.startswith(f"port {port} of app 'api' is taken on {address} by process {child.pid} (")
        assert message.endswith(f" in {os.path.realpath(folder)}")
        assert caught.value.exit_code == 1
        assert len(open_descriptors()) == len(before) + 2  # the pipes of the child


@needs_ipv6
@needs_linux
def test_names_the_process_of_the_family_that_is_taken(tmp_path: Path) -> None:
    port = free_port()
    with (
        holding(tmp_path, ("127.0.0.2", port)),
        holding(tmp_path, ("::1", port)) as six,
        pytest.raises(BindError, match=rf"is taken on ::1 by process {six.pid} "),
    ):
        bind(plans(plan("api", port)), {})


def test_two_pinned_apps_on_one_port() -> None:
    port = free_port()
    with pytest.raises(BindError, match="of app 'web' is taken on 127.0.0.1 by app 'api' of this stack"):
        bind(plans(plan("api", port), plan("web", port)), {})


def test_a_stack_in_this_very_process_is_named() -> None:
    with bind(plans(plan("api")), {}) as listeners:
        port = listeners.endpoints["api"].port
        with pytest.raises(BindError, match=f"by process {os.getpid()} "):
            bind(plans(plan("web", port)), {})


def test_a_full_backlog_counts_as_taken(tmp_path: Path) -> None:
    port = free_port()
    with holding(tmp_path, ("127.0.0.1", port)) as child:
        clients = [socket.socket() for _ in range(4)]
        try:
            for client in clients:
                client.setblocking(False)
                assert client.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
            with pytest.raises(BindError, match=f"by process {child.pid} "):
                bind(plans(plan("api", port)), {})
        finally:
            for client in clients:
                client.close()


def test_sticky_keeps_the_last_port() -> None:
    port = free_port()
    with bind(plans(plan("api", "sticky")), {"api": port, "web": port}) as listeners:
        assert listeners.endpoints["api"].port == port
    with bind(plans(plan("api", "sticky")), {"api": port}) as listeners:
        assert listeners.endpoints["api"].port == port


@pytest.mark.parametrize("last", [{}, {"api": 0}, {"api": -1}, {"api": 70000}])
def test_sticky_without_a_last_port(last: dict[str, int]) -> None:
    with bind(plans(plan("api", "sticky")), last) as listeners:
        assert 1024 <= listeners.endpoints["api"].port <= 65535
        assert "sticky" not in "".join(listeners.notes)


@pytest.mark.parametrize("host", LOOPBACK)
def test_sticky_moves_when_taken_and_says_so(host: str, tmp_path: Path) -> None:
    port = free_port()
    with holding(tmp_path, (host, port)) as child, bind(plans(plan("api", "sticky")), {"api": port}) as listeners:
        new = listeners.endpoints["api"].port
        assert new != port
        (note,) = [note for note in listeners.notes if "sticky" in note]
        assert note.startswith(f"sticky port {port} of app 'api' is taken by process {child.pid} (")
        assert note.endswith(f" in {os.path.realpath(tmp_path)}: it has port {new} this time")


def test_a_pinned_port_goes_before_a_sticky_one() -> None:
    port = free_port()
    with bind(plans(plan("api", "sticky"), plan("web", port)), {"api": port}) as listeners:
        assert listeners.endpoints["web"].port == port
        assert any(f"{port} of app 'api' is taken by app 'web' of this stack" in note for note in listeners.notes)


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_port_in_time_wait_is_had_again(host: str) -> None:
    with bind(plans(plan("api", "sticky")), {"api": free_port()}) as listeners:
        port = listeners.endpoints["api"].port
        sock = listeners.sockets["api"][LOOPBACK.index(host)]
        with socket.create_connection((host, port), timeout=5) as client:
            client.sendall(b"x")
            assert select.select([sock], [], [], 5)[0]
            with sock.accept()[0] as served:
                assert served.recv(1) == b"x"
            assert client.recv(1) == b""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as plain, pytest.raises(OSError, match="in use"):
        plain.bind((host, port))
    with bind(plans(plan("api", port)), {}) as listeners:
        assert listeners.endpoints["api"].port == port


def test_nobody_else_can_bind_a_port_that_we_hold() -> None:
    script = """
import errno, itertools, socket, sys
for host, option in itertools.product(sys.argv[2:], [None, socket.SO_REUSEADDR, socket.SO_REUSEPORT]):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if option is not None:
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        sock.bind((host, int(sys.argv[1])))
        sock.listen()
        print("had", host, option)
    except OSError as error:
        assert error.errno == errno.EADDRINUSE, error
"""
    # macOS lets a wildcard bind behind a loopback listener; connections to loopback still come to us.
    wildcards = ["0.0.0.0", *(["::"] if ipv6_loopback() else [])] if sys.platform == "linux" else []
    hosts = [*LOOPBACK, *wildcards]
    for port in (0, free_port()):
        with bind(plans(plan("api", port)), {}) as listeners:
            assert run_python(script, str(listeners.endpoints["api"].port), *hosts) == ""


def test_50_processes_at_once_get_distinct_ports() -> None:
    script = """
import os
go, start = os.pipe()
said, say = os.pipe()
hold, let_go = os.pipe()
for _ in range(50):
    if os.fork() == 0:
        os.close(start), os.close(let_go)
        os.read(go, 1)
        with bind(plans(*map(plan, "abcd")), {}) as listeners:
            os.write(say, b"".join(b"%d\\n" % one.port for one in listeners.endpoints.values()))
            os.read(hold, 1)
        os._exit(0)
os.close(start), os.close(say)
with open(said) as lines:
    ports = [next(lines) for _ in range(200)]
os.close(let_go)
print(len(set(ports)))
"""
    assert run_python(script) == "200\n"


# --- machines that lack something ---------------------------------------------------------------------------------


@needs_network
def test_without_ipv6() -> None:
    script = """
with bind(plans(plan("api"), plan("web", 8000, "localhost"), plan("all", host="0.0.0.0")), {}) as listeners:
    print([[sock.getsockname()[0] for sock in group] for group in listeners.sockets.values()])
    print(listeners.notes)
for host in ("::1", "::"):
    try:
        bind(plans(plan("six", host=host)), {})
    except BindError as error:
        print(error)
with bind(plans(plan("all", host="0.0.0.0")), {}) as listeners:
    print(listeners.notes)
"""
    sockets, notes, one, *rest = in_own_network(script, ipv6=False).splitlines()
    assert sockets == "[['127.0.0.1'], ['127.0.0.1'], ['0.0.0.0']]"
    assert notes == "('no IPv6 loopback on this machine: apps listen on 127.0.0.1 only',)"
    assert one == "host '::1' of app 'six' is not an address of this machine: no interface has it"
    assert rest[-1] == "()"


@needs_network
def test_tries_another_port_when_the_other_family_lacks_it() -> None:
    script = """
import socket
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
    file.write("40000 40009")
held = [socket.create_server(("::1", port), family=socket.AF_INET6) for port in range(40000, 40008)]
with bind(plans(plan("a"), plan("b")), {}) as listeners:
    print(sorted(endpoint.port for endpoint in listeners.endpoints.values()))
    try:
        bind(plans(plan("c")), {})
    except BindError as error:
        print(error)
for sock in held:
    sock.close()
try:
    bind(plans(*(plan(f"app{n}") for n in range(11))), {})
except BindError as error:
    print(error)
with bind(plans(*(plan(f"app{n}") for n in range(10))), {}) as listeners:
    print(len(listeners.endpoints))
"""
    assert in_own_network(script).splitlines() == [
        "[40008, 40009]",
        "no free port is left on 127.0.0.1 for app 'c'",
        "no free port is left on 127.0.0.1 for app 'app10'",
        "10",
    ]


@needs_network
def test_a_privileged_port() -> None:
    script = """
import os
with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w") as file:
    file.write("{limit}")
"""
    drop = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, NET_BIND_SERVICE = 24, 10
header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0
try:
    bind(plans(plan("web", 80)), {})
except BindError as error:
    print(error, "|", error.hint)
with bind(plans(plan("web", "sticky")), {"web": 80}) as listeners:
    print(*listeners.notes)
"""
    classic, sticky = in_own_network(drop).splitlines()
    assert classic.startswith("port 80 of app 'web' is privileged: without root, ports below 1024 are refused | ")
    assert sticky.startswith("sticky port 80 of app 'web' may not be bound (Permission denied): it has port ")
    changed, _ = in_own_network(script.format(limit=81) + drop).splitlines()
    assert "ports below 81 are refused | use a port from 81 up" in changed


def test_too_few_descriptors() -> None:
    script = """
import os, resource
before = sorted(os.listdir("/dev/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
for host in ("127.0.0.1", "0.0.0.0"):
    try:
        bind(plans(*(plan(f"app{n}", host=host) for n in range(60))), {})
    except BindError as error:
        print(error, "|", error.hint)
    assert sorted(os.listdir("/dev/fd")) == before
"""
    lines = run_python(script).splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("too few file descriptors for app 'app")
        assert "the limit is 40" in line
        assert "ulimit -n" in line

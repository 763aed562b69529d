"""One port on one or more addresses: resolve a host, claim the port, listen.

The system calls of ``devrun.sockets``. Knows no apps and writes no messages.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from msgspec import Struct

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
_BACKLOG = 2048
_TRIES = 64
_PROBE_SECONDS = 0.25
_SILENT_SECONDS = 15
"""How long the kernel keeps a connection to itself that says nothing: longer than browsers keep a spare one."""
CAN_HOLD = sys.platform == "linux"
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Address(Struct, frozen=True):
    """An address to listen on. ``scope`` is the interface of a link-local IPv6 address."""

    family: socket.AddressFamily
    host: str
    scope: int = 0

    def at(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        return (self.host, port, 0, self.scope) if self.family == socket.AF_INET6 else (self.host, port)

    @property
    def reachable(self) -> Address:
        """Where a client finds it: the loopback address in place of a wildcard."""
        return Address(self.family, _LOOPBACK_OF.get(self.host, self.host), self.scope)


V4 = Address(socket.AF_INET, "127.0.0.1")
V6 = Address(socket.AF_INET6, "::1")


class CannotListen(Exception):
    """``address`` could not be had: ``code`` is the errno, ``reason`` its words."""

    def __init__(self, address: Address, error: OSError) -> None:
        super().__init__(str(error))
        self.address = address
        self.code = error.errno or 0
        self.reason = error.strerror or str(error)


class NoSuchHost(Exception):
    """A host is not an address of this machine; the text says why."""


def addresses(host: str) -> tuple[Address, ...]:
    """The addresses that ``host`` means on this machine; an app listens on all of them at one port.

    127.0.0.1 and localhost mean [::1] too, where there is one. Raises NoSuchHost, or CannotListen when no descriptor is
    left to find out.
    """
    if host.lower() in ("127.0.0.1", "localhost"):
        return (V4, V6) if _usable(V6) else (V4,)
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NoSuchHost(error.strerror or str(error)) from None
    except ValueError:
        # The IDNA codec or a null character: nothing a resolver was ever asked.
        raise NoSuchHost("not a host name") from None
    for family, _, _, _, place in infos:
        address = Address(family, str(place[0]), int(place[3]) if len(place) == 4 else 0)
        if _usable(address):
            return (address,)
    raise NoSuchHost("no interface has it")


def _usable(address: Address) -> bool:
    try:
        with socket.socket(address.family, socket.SOCK_STREAM) as sock:
            sock.bind(address.at(0))
    except OSError as error:
        # Ports that have run out are told when the port is claimed, with the right words.
        if error.errno in _NO_DESCRIPTOR:
            raise CannotListen(address, error) from None
        return error.errno == errno.EADDRINUSE
    return True


def listen(places: Sequence[Address], port: int) -> tuple[socket.socket, ...]:
    """A listening socket an address, all at ``port``; 0: at a port that is free on every one of them.

    Raises CannotListen with nothing left open.
    """
    return _group(places, port, _BACKLOG)


def hold(places: Sequence[Address], port: int) -> tuple[socket.socket, ...]:
    """As ``listen``, but nobody listens: the port is kept for a program that will, and that sets SO_REUSEADDR.

    (All that are known do: without it they could not be started again while their old connections linger.) Elsewhere
    than on Linux a bound socket would be in the way of that program (``CAN_HOLD``).
    """
    return _group(places, port, None)


def _group(places: Sequence[Address], port: int, backlog: int | None) -> tuple[socket.socket, ...]:
    with ExitStack() as refused:
        for left in reversed(range(1 if port else _TRIES)):
            with ExitStack() as undo:
                group: list[socket.socket] = []
                try:
                    for address in places:
                        at = group[0].getsockname()[1] if group else port
                        group.append(undo.enter_context(_listen_on(address, at, backlog, exact=port != 0)))
                except CannotListen as failure:
                    if failure.code != errno.EADDRINUSE or not group or not left:
                        raise
                    # The port that the system chose is taken on the other family. It stays ours until another one is
                    # found: Linux would go on offering odd ports, and the same ones, while any of them is free.
                    refused.enter_context(undo.pop_all())
                    continue
                undo.pop_all()
                return tuple(group)
    raise AssertionError("the last try returns or raises")


def _listen_on(address: Address, port: int, backlog: int | None, *, exact: bool) -> socket.socket:
    try:
        try:
            return _claim(address, port, backlog, reuse=False)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not exact or _answers(address.reachable, port):
                raise
            # Only ended connections of an earlier listener (TIME_WAIT) hold the port: for them SO_REUSEADDR exists.
            # It is not set without need, since on macOS it also lets 127.0.0.1 pass in front of a listener on 0.0.0.0,
            # which would take a running server's port away in silence.
            return _claim(address, port, backlog, reuse=True)
    except OSError as error:
        raise CannotListen(address, error) from None


def _claim(address: Address, port: int, backlog: int | None, *, reuse: bool) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address.at(port))
        if backlog is not None:
            sock.listen(backlog)
        # Linux gives a port in TIME_WAIT back only when the ended connections had the option too: they inherit it from
        # here. Set before listen(), it would let another program bind the same port in between; on a socket that only
        # holds a port, it lets the program in for which that is held.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _keep_silent_ones(sock)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _keep_silent_ones(sock: socket.socket) -> None:
    """Let no worker accept a connection before its request is there, where the system can do that (tcp(7)).

    A worker that ends must close what it accepted. A request that is on its way then would be reset, however long one
    waited for it; as long as the kernel has the connection, it goes to the next worker.
    """
    option = getattr(socket, "TCP_DEFER_ACCEPT", None)  # Linux
    if option is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, _SILENT_SECONDS)


def _answers(address: Address, port: int) -> bool:
    with socket.socket(address.family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        # Anything but a refusal is a listener: a full backlog gives no answer in time.
        return probe.connect_ex(address.at(port)) != errno.ECONNREFUSED

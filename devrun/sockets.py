"""Sockets for a plan: has every port before anything is written or started, and holds it.

Those of apps listen. Those of commands only keep the port, for a program that will listen itself.

Must not start a process, write a file or print. What a person should hear comes back in ``Listeners.notes``.
"""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType

from msgspec import Struct
from msgspec.structs import replace

from devrun.errors import BindError
from devrun.listen import CAN_HOLD, V4, Address, CannotListen, NoSuchHost, addresses, hold, listen
from devrun.owner import Owner, owner_of, owners_of
from devrun.plan import AppPlan, Endpoint, Part

_HIGHEST = 65535


class Listeners(Struct, frozen=True):
    """Sockets by part; leaving the ``with`` block closes them. A command whose port nobody asked for has none.

    ``notes`` are for a person: a sticky port that was taken and by whom, a machine without IPv6.
    """

    endpoints: Mapping[str, Endpoint]
    sockets: Mapping[str, tuple[socket.socket, ...]]
    notes: tuple[str, ...]

    def close(self) -> None:
        """Close every socket; may be called again."""
        for group in self.sockets.values():
            for sock in group:
                sock.close()

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def bind(parts: Mapping[str, Part], last_ports: Mapping[str, int]) -> Listeners:
    """Sockets for all parts: bound, non-blocking, not inheritable. ``last_ports`` serves the sticky ones.

    An app on 127.0.0.1 or localhost also gets [::1] at the same port where the machine has IPv6. Raises BindError, with
    nothing left open, when one of them cannot be had.
    """
    with ExitStack() as undo:
        opening = _Opening(parts, undo)
        # Exact ports first: the system must not hand one of them to an app that takes any port.
        opening.open_pinned()
        opening.open_sticky(last_ports)
        opening.open_others()
        listeners = opening.finish()
        undo.pop_all()
    return listeners


def bind_debug_ports(apps: Mapping[str, AppPlan], ports: Mapping[str, int]) -> Listeners:
    """Sockets on the loopback addresses for those apps that have a debug port: at that if it is free, else at another.

    Raises BindError with nothing left open.
    """
    parts = {name: replace(app, host="127.0.0.1", port="sticky") for name, app in apps.items() if name in ports}
    with ExitStack() as undo:
        opening = _Opening(parts, undo, "debug port")
        opening.open_sticky(ports)
        opening.open_others()
        listeners = opening.finish()
        undo.pop_all()
    return listeners


class _Opening:
    """The sockets of one ``bind`` so far; ``undo`` closes them. ``kind``: what a sticky port is called."""

    def __init__(self, parts: Mapping[str, Part], undo: ExitStack, kind: str = "sticky port") -> None:
        self.kind = kind
        self.parts = {name: part for name, part in parts.items() if part.port is not None}
        self.undo = undo
        self.addresses: dict[str, tuple[Address, ...]] = {}
        self.opened: dict[str, tuple[socket.socket, ...]] = {}
        self.lost: dict[str, tuple[int, CannotListen]] = {}

    def open_pinned(self) -> None:
        for part in self.parts.values():
            if part.port is not None and part.port != "sticky" and part.port != 0:
                self._open(part, part.port)

    def open_sticky(self, last_ports: Mapping[str, int]) -> None:
        for part in self.parts.values():
            port = last_ports.get(part.name, 0)
            if part.port != "sticky" or not 0 < port <= _HIGHEST:
                continue
            try:
                self._keep(part, port)
            except CannotListen as failure:
                if failure.code not in (errno.EADDRINUSE, errno.EACCES, errno.EPERM):
                    raise _bind_error(part, port, failure, self.parts) from None
                self.lost[part.name] = (port, failure)

    def open_others(self) -> None:
        for part in self.parts.values():
            if part.name not in self.opened:
                self._open(part, 0)

    def finish(self) -> Listeners:
        endpoints = {name: self._endpoint(part) for name, part in self.parts.items()}
        sockets = {name: self.opened[name] for name in endpoints}
        if not CAN_HOLD:
            for name in [name for name, part in self.parts.items() if not isinstance(part, AppPlan)]:
                for sock in sockets.pop(name):
                    sock.close()
        notes = (*self._family_notes(), *self._sticky_notes(endpoints))
        return Listeners(MappingProxyType(endpoints), MappingProxyType(sockets), notes)

    def _open(self, part: Part, port: int) -> None:
        try:
            self._keep(part, port)
        except CannotListen as failure:
            raise _bind_error(part, port, failure, self.parts) from None
        except NoSuchHost as failure:
            raise _host_error(part, failure) from None

    def _keep(self, part: Part, port: int) -> None:
        # Asked once a host: a resolver may be slow, and the answer must be one for the whole stack.
        host = host_of(part)
        if host not in self.addresses:
            self.addresses[host] = addresses(host)
        open_group = listen if isinstance(part, AppPlan) else hold
        group = open_group(self.addresses[host], port)
        self.opened[part.name] = group
        for sock in group:
            self.undo.enter_context(sock)

    def _endpoint(self, part: Part) -> Endpoint:
        host = self.addresses[host_of(part)][0].reachable.host
        scheme = part.scheme if isinstance(part, AppPlan) else "http"
        return Endpoint(part.name, host, self.opened[part.name][0].getsockname()[1], scheme)

    def _family_notes(self) -> Iterator[str]:
        if (V4,) in (self.addresses.get("127.0.0.1"), self.addresses.get("localhost")):
            yield "no IPv6 loopback on this machine: apps listen on 127.0.0.1 only"

    def _sticky_notes(self, endpoints: Mapping[str, Endpoint]) -> Iterator[str]:
        if not self.lost:
            return
        owners = owners_of((failure.address.host, port) for port, failure in self.lost.values())
        for name, (port, failure) in self.lost.items():
            if failure.code == errno.EADDRINUSE:
                why = f"is taken by {_holder(port, owners.get((failure.address.host, port)), self.parts)}"
            else:
                why = f"may not be bound ({failure.reason})"
            yield f"{self.kind} {port} of {named(self.parts[name])} {why}: it has port {endpoints[name].port} this time"


def host_of(part: Part) -> str:
    """Return where a part listens. A command will where it likes; what is kept for it are the loopback addresses."""
    return part.host if isinstance(part, AppPlan) else "127.0.0.1"


def named(part: Part) -> str:
    """Return a part's name as messages say it."""
    return f"{'app' if isinstance(part, AppPlan) else 'command'} {part.name!r}"


def _holder(port: int, owner: Owner | None, parts: Mapping[str, Part]) -> str:
    for part in parts.values():
        if part.port == port:
            return f"{named(part)} of this stack"
    return str(owner or "a process that could not be found (of another user, or one that does not listen yet)")


def _host_error(part: Part, failure: NoSuchHost) -> BindError:
    return BindError(
        f"host {host_of(part)!r} of {named(part)} is not an address of this machine: {failure}",
        hint="use 127.0.0.1, or 0.0.0.0 for every interface",
    )


def _bind_error(part: Part, port: int, failure: CannotListen, parts: Mapping[str, Part]) -> BindError:
    host = failure.address.host
    match failure.code:
        case errno.EADDRINUSE if port == 0:
            message = f"no free port is left on {host_of(part)} for {named(part)}"
            return BindError(message, hint="end programs that hold ports")
        case errno.EADDRINUSE:
            others = {name: other for name, other in parts.items() if name != part.name}
            holder = _holder(port, owner_of(port, host), others)
            message = f"port {port} of {named(part)} is taken on {host} by {holder}"
            return BindError(message, hint=f"end it, or give {part.name!r} another port")
        case errno.EACCES | errno.EPERM if 0 < port < (lowest := _lowest_port()):
            message = f"port {port} of {named(part)} is privileged: without root, ports below {lowest} are refused"
            return BindError(message, hint=f"use a port from {lowest} up")
        case errno.EMFILE | errno.ENFILE:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            message = f"too few file descriptors for {named(part)}: {failure.reason} (the limit is {limit})"
            return BindError(message, hint="raise the limit with `ulimit -n`")
        case _:
            return BindError(f"{named(part)} cannot listen on {host}, port {port}: {failure.reason}")


def _lowest_port() -> int:
    """The lowest port that needs no privilege: net.ipv4.ip_unprivileged_port_start on Linux, else the classic 1024."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024

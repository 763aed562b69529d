"""Listening sockets for a plan: has every port before anything is written or started, and holds it.

Must not start a process, write a file or print. What a person should hear comes back in ``Listeners.notes``.
"""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType

from devrun.errors import BindError
from devrun.listen import V4, Address, CannotListen, NoSuchHost, addresses, listen
from devrun.owner import Owner, owner_of, owners_of
from devrun.plan import AppPlan, Endpoint

_HIGHEST = 65535


@dataclass(frozen=True, slots=True)
class Listeners:
    """Bound and listening sockets, by app; leaving the ``with`` block closes them.

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


def bind(apps: Mapping[str, AppPlan], last_ports: Mapping[str, int]) -> Listeners:
    """Sockets for all apps: bound, listening, non-blocking, not inheritable. ``last_ports`` serves the sticky apps.

    An app on 127.0.0.1 or localhost also gets [::1] at the same port where the machine has IPv6. Raises BindError, with
    nothing left open, when one of them cannot be had.
    """
    with ExitStack() as undo:
        opening = _Opening(apps, undo)
        # Exact ports first: the system must not hand one of them to an app that takes any port.
        opening.open_pinned()
        opening.open_sticky(last_ports)
        opening.open_others()
        listeners = opening.finish()
        undo.pop_all()
    return listeners


class _Opening:
    """The sockets of one ``bind`` so far; ``undo`` closes them."""

    def __init__(self, apps: Mapping[str, AppPlan], undo: ExitStack) -> None:
        self.apps = apps
        self.undo = undo
        self.addresses: dict[str, tuple[Address, ...]] = {}
        self.opened: dict[str, tuple[socket.socket, ...]] = {}
        self.lost: dict[str, tuple[int, CannotListen]] = {}

    def open_pinned(self) -> None:
        for app in self.apps.values():
            if app.port != "sticky" and app.port != 0:
                self._open(app, app.port)

    def open_sticky(self, last_ports: Mapping[str, int]) -> None:
        for app in self.apps.values():
            port = last_ports.get(app.name, 0)
            if app.port != "sticky" or not 0 < port <= _HIGHEST:
                continue
            try:
                self._keep(app, port)
            except CannotListen as failure:
                if failure.code not in (errno.EADDRINUSE, errno.EACCES, errno.EPERM):
                    raise _bind_error(app, port, failure, self.apps) from None
                self.lost[app.name] = (port, failure)

    def open_others(self) -> None:
        for app in self.apps.values():
            if app.name not in self.opened:
                self._open(app, 0)

    def finish(self) -> Listeners:
        endpoints = {app.name: self._endpoint(app) for app in self.apps.values()}
        sockets = {name: self.opened[name] for name in endpoints}
        notes = (*self._family_notes(), *self._sticky_notes(endpoints))
        return Listeners(MappingProxyType(endpoints), MappingProxyType(sockets), notes)

    def _open(self, app: AppPlan, port: int) -> None:
        try:
            self._keep(app, port)
        except CannotListen as failure:
            raise _bind_error(app, port, failure, self.apps) from None
        except NoSuchHost as failure:
            raise _host_error(app, failure) from None

    def _keep(self, app: AppPlan, port: int) -> None:
        # Asked once a host: a resolver may be slow, and the answer must be one for the whole stack.
        if app.host not in self.addresses:
            self.addresses[app.host] = addresses(app.host)
        self.opened[app.name] = listen(self.addresses[app.host], port)
        for sock in self.opened[app.name]:
            self.undo.enter_context(sock)

    def _endpoint(self, app: AppPlan) -> Endpoint:
        host = self.addresses[app.host][0].reachable.host
        return Endpoint(app.name, host, self.opened[app.name][0].getsockname()[1], app.scheme)

    def _family_notes(self) -> Iterator[str]:
        if (V4,) in (self.addresses.get("127.0.0.1"), self.addresses.get("localhost")):
            yield "no IPv6 loopback on this machine: apps listen on 127.0.0.1 only"

    def _sticky_notes(self, endpoints: Mapping[str, Endpoint]) -> Iterator[str]:
        if not self.lost:
            return
        owners = owners_of((failure.address.host, port) for port, failure in self.lost.values())
        for name, (port, failure) in self.lost.items():
            if failure.code == errno.EADDRINUSE:
                why = f"is taken by {_holder(port, owners.get((failure.address.host, port)), self.apps)}"
            else:
                why = f"may not be bound ({failure.reason})"
            yield f"sticky port {port} of app {name!r} {why}: it has port {endpoints[name].port} this time"


def _holder(port: int, owner: Owner | None, apps: Mapping[str, AppPlan]) -> str:
    for app in apps.values():
        if app.port == port:
            return f"app {app.name!r} of this stack"
    return str(owner or "a process that could not be found (of another user, or one that does not listen yet)")


def _host_error(app: AppPlan, failure: NoSuchHost) -> BindError:
    return BindError(
        f"host {app.host!r} of app {app.name!r} is not an address of this machine: {failure}",
        hint="use 127.0.0.1, or 0.0.0.0 for every interface",
    )


def _bind_error(app: AppPlan, port: int, failure: CannotListen, apps: Mapping[str, AppPlan]) -> BindError:
    host = failure.address.host
    match failure.code:
        case errno.EADDRINUSE if port == 0:
            message = f"no free port is left on {app.host} for app {app.name!r}"
            return BindError(message, hint="end programs that hold ports")
        case errno.EADDRINUSE:
            others = {name: other for name, other in apps.items() if name != app.name}
            holder = _holder(port, owner_of(port, host), others)
            message = f"port {port} of app {app.name!r} is taken on {host} by {holder}"
            return BindError(message, hint=f"end it, or give {app.name!r} another port")
        case errno.EACCES | errno.EPERM if 0 < port < (lowest := _lowest_port()):
            message = f"port {port} of app {app.name!r} is privileged: without root, ports below {lowest} are refused"
            return BindError(message, hint=f"use a port from {lowest} up")
        case errno.EMFILE | errno.ENFILE:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            message = f"too few file descriptors for app {app.name!r}: {failure.reason} (the limit is {limit})"
            return BindError(message, hint="raise the limit with `ulimit -n`")
        case _:
            return BindError(f"app {app.name!r} cannot listen on {host}, port {port}: {failure.reason}")


def _lowest_port() -> int:
    """The lowest port that needs no privilege: net.ipv4.ip_unprivileged_port_start on Linux, else the classic 1024."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024

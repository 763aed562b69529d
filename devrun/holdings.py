"""What a running stack rests upon: its plan, its sockets, and what each part is started with.

Binds and closes sockets when the plan changes; starts nothing and tells nobody.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from devrun.difference import Difference, difference, parts
from devrun.engine import Recipe
from devrun.events import Notice
from devrun.launch import Order
from devrun.plan import AppPlan, AppRules, CommandRules, Endpoint, Part, Plan
from devrun.planning import environment, words
from devrun.sockets import Listeners, bind, host_of
from devrun.state import Snapshot


class Adopted(Struct, frozen=True):
    """What another plan has changed. ``recipes``: the apps with another one; ``notes`` are for a person."""

    found: Difference
    recipes: frozenset[str]
    notes: tuple[str, ...]


class Holdings:
    """A view of the stack, too: commands are started with the addresses that hold by then.

    ``recipes`` is one and the same mapping, whatever becomes of the plan. What the core has not yet heard of being
    removed it may still start: that stays until ``settle``.
    """

    def __init__(self, plan: Plan, listeners: Listeners) -> None:
        self.plan = plan
        self.recipes: dict[str, Recipe] = {}
        self.endpoints: Mapping[str, Endpoint] = {**listeners.endpoints, **plan.externals}
        """Where everything is, as far as that is known beforehand."""
        self._sockets = dict(listeners.sockets)
        self._known: Mapping[str, Endpoint] = {}
        self._commands = dict(plan.commands)
        self._spare: list[socket.socket] = []
        self._cook()

    def update(self, snapshot: Snapshot) -> None:
        self._known = snapshot.endpoints

    def tell(self, notice: Notice) -> None:
        """Nothing that is told matters here."""

    @property
    def app_rules(self) -> dict[str, AppRules]:
        apps = self.plan.apps
        return {name: AppRules(app.depends_on, app.health is not None, app.grace) for name, app in apps.items()}

    @property
    def command_rules(self) -> dict[str, CommandRules]:
        return {
            name: CommandRules(command.depends_on, command.restart, command.grace, self.endpoints.get(name))
            for name, command in self.plan.commands.items()
        }

    @property
    def sticky(self) -> dict[str, int]:
        """The ports to be remembered until next time."""
        return {name: self.endpoints[name].port for name, part in parts(self.plan).items() if part.port == "sticky"}

    def order(self, name: str) -> Order:
        """Return how to start a command now: each of the others is where it is, the command itself where it ought."""
        command = self._commands[name]
        own = self.endpoints.get(name)
        there = {**self.endpoints, **self._known, **({} if own is None else {name: own})}
        return Order(
            words=words(self.plan, command, there),
            cwd=command.cwd,
            environ=environment(self.plan, command, there),
            port=None if own is None else own.port,
        )

    def adopt(self, plan: Plan, last_ports: Mapping[str, int]) -> Adopted:
        """Rest upon this plan from now on.

        Raises BindError, with everything as before, when a port cannot be had.
        """
        found = difference(self.plan, plan)
        before, after = parts(self.plan), parts(plan)
        fresh = {name: after[name] for name in after if name in found.added or name in found.moved}
        left = {name: before[name] for name in before if name in found.removed or name in found.moved}
        inherited = dict(self._inherited(fresh, left))
        opened = bind({name: part for name, part in fresh.items() if name not in inherited}, last_ports)
        heirs = {name: self._sockets[former] for name, former in inherited.items()}
        for name in left:
            group = self._sockets.pop(name, ())
            self._spare += () if group in heirs.values() else group
        self._sockets |= {**opened.sockets, **heirs}
        known = {**self.endpoints, **opened.endpoints, **self._handed(inherited)}
        places = {name: _speaking(part, known[name]) for name, part in after.items() if part.port is not None}
        self.plan, self.endpoints = plan, {**places, **plan.externals}
        self._commands |= plan.commands
        cooked = dict(self.recipes)
        self._cook()
        other = frozenset(name for name in plan.apps if cooked.get(name) != self.recipes[name])
        return Adopted(found, other, opened.notes)

    def settle(self) -> frozenset[str]:
        """The core knows the plan: let go of what no longer belongs to it. Return the apps that are no more."""
        gone = frozenset(self.recipes.keys() - self.plan.apps.keys())
        for name in gone:
            del self.recipes[name]
        self._commands = dict(self.plan.commands)
        for sock in self._spare:
            sock.close()
        self._spare = []
        return gone

    def close(self) -> None:
        """Close every socket."""
        for sock in (*self._spare, *(sock for group in self._sockets.values() for sock in group)):
            sock.close()

    def _inherited(self, fresh: Mapping[str, Part], left: Mapping[str, Part]) -> Iterator[tuple[str, str]]:
        """Yield the parts that take over the sockets of others, whose port they are to have, without a gap."""
        for name, part in fresh.items():
            if part.port in (None, 0, "sticky"):
                continue
            for former, old in left.items():
                same = type(old) is type(part) and host_of(old) == host_of(part)
                if same and former in self.endpoints and self.endpoints[former].port == part.port:
                    yield name, former

    def _handed(self, inherited: Mapping[str, str]) -> dict[str, Endpoint]:
        return {name: replace(self.endpoints[former], name=name) for name, former in inherited.items()}

    def _cook(self) -> None:
        """Make the recipes anew: whoever starts from now on is told all addresses of the plan."""
        for name, app in self.plan.apps.items():
            environ = environment(self.plan, app, self.endpoints)
            self.recipes[name] = Recipe(app, self.endpoints[name], self._sockets[name], environ)


def _speaking(part: Part, endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, scheme=part.scheme) if isinstance(part, AppPlan) else endpoint

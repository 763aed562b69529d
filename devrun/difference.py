"""What is to be done to make a running stack of one plan a stack of another: a pure function of both.

Says which parts come, go, start anew or need other sockets; does nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from devrun.plan import AppPlan, CommandPlan, Part, Plan
from devrun.variables import names


class Difference(Struct, frozen=True):
    """Names of parts. ``later`` says what counts only when the stack is started anew."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    """Those that must start anew; what only tells when to start or restart them changes none."""
    moved: frozenset[str] = frozenset()
    """Those that need other sockets."""
    later: tuple[str, ...] = ()


def difference(old: Plan, new: Plan) -> Difference:
    """Return what leads from ``old`` to ``new``."""
    before, after = parts(old), parts(new)
    kept = [name for name in after if name in before and type(before[name]) is type(after[name])]
    moved = frozenset(name for name in kept if _moves(before[name], after[name]))
    elsewhere = {*moved, *_other_externals(old, new), *(n for n in kept if _speaks_otherwise(before[n], after[n]))}
    changed = frozenset(
        name
        for name in kept
        if _process(before[name]) != _process(after[name]) or not elsewhere.isdisjoint(asked_by(after[name]))
    )
    return Difference(
        added=frozenset(after.keys() - set(kept)),
        removed=frozenset(before.keys() - set(kept)),
        changed=changed | moved,
        moved=moved,
        later=tuple(_later(old, new)),
    )


def parts(plan: Plan) -> Mapping[str, Part]:
    """Return everything that a plan starts."""
    return {**plan.apps, **plan.commands}


def asked_by(part: Part) -> set[str]:
    """Return whose addresses a part asks for by name."""
    run = part.run if isinstance(part, CommandPlan) else ()
    return {name for text in (*part.env.values(), *run) for name in names(text)}


def _moves(old: Part, new: Part) -> bool:
    """Any port is as good as the one that a part has, unless it is to have a certain one."""
    if isinstance(old, AppPlan) and isinstance(new, AppPlan) and old.host != new.host:
        return True
    if old.port is None or new.port is None:
        return old.port != new.port
    return new.port not in (0, "sticky", old.port)


def _speaks_otherwise(old: Part, new: Part) -> bool:
    return isinstance(old, AppPlan) and isinstance(new, AppPlan) and old.scheme != new.scheme


def _other_externals(old: Plan, new: Plan) -> Iterator[str]:
    names = old.externals.keys() | new.externals.keys()
    return (name for name in names if old.externals.get(name) != new.externals.get(name))


def _process(part: Part) -> Part:
    """Return the part without what its process never sees."""
    if isinstance(part, AppPlan):
        return replace(
            part, port=0, watch=(), ignore=(), depends_on=(), health=None, reload=True, open=None, env_paths=()
        )
    return replace(part, port=0, depends_on=(), restart="never", grace=0.0, env_paths=())


def _later(old: Plan, new: Plan) -> Iterator[str]:
    if old.name != new.name:
        yield "name"
    if old.reload != new.reload:
        yield "[reload]"

"""Which parts of a stack run: what the command line names, and what that needs.

Pure: a function of the config and the names.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from devrun import variables
from devrun.config import App, Command, ProjectConfig
from devrun.errors import UsageError


def chosen(config: ProjectConfig, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the apps and commands that ``names`` stand for, with those they need, in the file's order, apps first.

    A part needs what it depends on and whose address its ``env`` (or a command's ``run``) asks for.
    """
    parts: Mapping[str, App | Command] = {**config.apps, **config.commands}
    if not names:
        return tuple(parts)
    wanted: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name in config.compounds:
            queue.extend(set(config.compounds[name]) - wanted)
        elif name in parts:
            if name not in wanted:
                queue.extend(parts[name].depends_on)
                queue.extend(_asked(parts[name]) - config.external.keys())
        else:
            near = difflib.get_close_matches(name, [*parts, *config.compounds], 1)
            known = ", ".join([*parts, *config.compounds])
            hint = f"did you mean {near[0]!r}?" if near else f"known names: {known}"
            raise UsageError(f"no app, command or compound is named {name!r}", hint=hint)
        wanted.add(name)
    return tuple(name for name in parts if name in wanted)


def _asked(part: App | Command) -> set[str]:
    """Whose addresses a part asks for."""
    words = part.run if isinstance(part, Command) else ()
    texts = (*part.env.values(), *((words,) if isinstance(words, str) else words))
    return {name for text in texts for name in variables.names(text)}

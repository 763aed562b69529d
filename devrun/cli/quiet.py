"""The face of ``devrun run``: silent while all goes well, for the command has the terminal; on standard error alone.

Keeps the newest lines of the apps, to show them when something went wrong.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Sequence
from typing import TextIO

from devrun.cli.look import Look
from devrun.cli.streams import Plain
from devrun.events import AppExited, AppPaused, Notice, Warned

KEPT_LINES = 50


class Quiet(Plain):
    """``stack``: the value of DEVRUN_STACK, by which others find it; ``verbose``: show everything as it comes."""

    def __init__(self, stream: TextIO | None, look: Look, stack: str, *, verbose: bool) -> None:
        super().__init__(stream, look)
        self._stack = stack
        self._verbose = verbose
        self._kept: deque[tuple[str, str]] = deque(maxlen=KEPT_LINES)

    def tell(self, notice: Notice) -> None:
        """Show what a person should know at once, and the rest with ``verbose``."""
        if self._verbose or isinstance(notice, Warned | AppExited | AppPaused):
            super().tell(notice)

    def log(self, app: str, lines: Sequence[str]) -> None:
        """Keep lines of an app's output, or show them with ``verbose``."""
        if self._verbose:
            super().log(app, lines)
        else:
            self._kept.extend((app, text) for text in lines[-KEPT_LINES:])

    def _notice(self, notice: Notice) -> str:
        text = super()._notice(notice)
        if isinstance(notice, AppPaused):  # the command waits for it, and has this terminal
            return text.replace("`devrun attach", f"`devrun attach --stack {shlex.quote(self._stack)}")
        return text

    def say(self, text: str) -> None:
        """Show text of devrun's own, as it is."""
        self._put(text.splitlines())

    def show_kept(self, title: str) -> None:
        """Show the lines that were kept, below a title, if there are any."""
        if self._kept:
            self._put([f"[devrun] {title}", *(self._line(app, text) for app, text in self._kept)])
            self._kept.clear()

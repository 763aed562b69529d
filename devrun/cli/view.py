"""Which of its faces ``devrun up`` shows: the live screen, plain lines, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal, Protocol, TextIO, runtime_checkable

from devrun.cli.look import can_redraw, look
from devrun.cli.streams import JsonLines, Plain
from devrun.events import Notice
from devrun.state import Snapshot


class View(Protocol):
    """What sees the stack. No call blocks or raises, whatever has become of the stream; all on the loop's thread."""

    def tell(self, notice: Notice) -> None: ...

    def log(self, app: str, lines: Sequence[str]) -> None: ...

    def update(self, snapshot: Snapshot) -> None: ...

    async def run(self) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Interactive(View, Protocol):
    """A view that a person sits in front of: it takes words of the keyboard's, and makes room for a shell."""

    def say(self, text: str) -> None: ...

    def clear(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


def choose(mode: Literal["auto", "plain", "json", "quiet"], stdout: TextIO | None, environ: Mapping[str, str]) -> View:
    """Return the view for ``stdout``: with ``auto`` the live screen on a terminal that can redraw, else plain lines.

    ``quiet``: nothing is shown, for nobody looks; the log files have it all.
    """
    if stdout is not None:
        with suppress(OSError, ValueError):
            stdout.flush()  # the view writes to the descriptor: nothing may come late out of the stream's own buffer
    how = look(stdout, environ)
    if mode == "quiet":
        return Plain(None, how)
    if mode == "json":
        return JsonLines(stdout, how)
    if mode == "auto" and stdout is not None and can_redraw(stdout, environ):
        from devrun.cli.screen import Screen  # rich takes long to import; the other views do without it

        return Screen(stdout, how)
    return Plain(stdout, how)

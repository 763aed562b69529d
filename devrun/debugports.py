"""Debug ports: an editor attaches to an app there, and stays attached over all of its workers.

Speaks to the editor and, through ``tell``, to workers; starts and ends nothing. Whether an app stands at a breakpoint
becomes an event.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, assert_never

from devrun.dap import Frames, Message, encode
from devrun.debuglink import CHUNK_BYTES, DebugLink
from devrun.events import Event, Paused, Resumed, Run
from devrun.rootsession import Attached, Attaching, Detached, RootSession
from devrun.workersession import Left, News, Running, Stepping, Stopped

ANSWER_SECONDS = 5.0
"""How long a worker may take to answer an editor that attaches: it imports debugpy, and its handlers may hold it."""
STEP_SECONDS = 1.0
"""A step that takes longer has left the code of the app: nothing stands any more."""

Tell = Callable[[str, Mapping[str, object]], bool]


@dataclass(eq=False, slots=True)
class _Editor:
    """An editor that is attached, or about to be.

    ``answer``: what the app's worker says to that; None: it can be debugged.
    """

    writer: asyncio.StreamWriter
    session: RootSession = field(default_factory=RootSession)
    attached: bool = False
    answer: asyncio.Future[str | None] | None = None


@dataclass(slots=True)
class _App:
    """``ready``: the run that can be debugged, and its port. ``paused``: it stands, and the core knows that."""

    editor: _Editor | None = None
    ready: tuple[Run, int] | None = None
    link: DebugLink | None = None
    paused: bool = False
    step: asyncio.TimerHandle | None = None


class DebugPorts:
    """``sockets`` listen already, by app; they are closed by whoever has made them. ``folder``: the project's."""

    def __init__(
        self,
        sockets: Mapping[str, Sequence[socket.socket]],
        folder: Path,
        post: Callable[[Event], None],
        warn: Callable[[str, str], None],
    ) -> None:
        self.tell: Tell = lambda app, message: False
        """Tells the newest worker of an app something; whether it hears that now. There are none before it is set."""
        self._sockets = sockets
        self._folder = folder
        self._post = post
        self._warn = warn
        self._apps = {name: _App() for name in sockets}
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        for name, group in self._sockets.items():
            for sock in group:
                self._servers.append(await asyncio.start_server(partial(self._serve, name), sock=sock))

    def close(self) -> None:
        """Let every editor go."""
        for server in self._servers:
            server.close()
        for app in self._apps.values():
            if app.editor is not None:
                self._send(app.editor, app.editor.session.end())
                app.editor.writer.close()
            if app.link is not None:
                app.link.close()

    # --- what workers do ------------------------------------------------------------------------------------------

    def wants(self, name: str) -> bool:
        """Whether an editor is to debug the next worker of an app."""
        app = self._apps.get(name)
        return app is not None and app.editor is not None

    def hear(self, run: Run, message: Mapping[str, Any]) -> None:
        """Take a word of a worker's; those of other matters are passed over."""
        match message["is"]:
            case "debuggable":
                self._debuggable(run, int(message["port"]))
            case "undebuggable":
                self._undebuggable(run.app, str(message["reason"]))
            case _:
                pass

    def leave(self, run: Run) -> None:
        """A run is to end, or has ended: nothing may hold it."""
        app = self._apps.get(run.app)
        if app is not None and app.ready is not None and app.ready[0] == run:
            self._part(app)

    def _debuggable(self, run: Run, port: int) -> None:
        app = self._apps[run.app]
        editor = app.editor
        if editor is None:  # it has left meanwhile
            self.tell(run.app, {"do": "undebug"})
            return
        self._part(app)
        app.ready = (run, port)
        if editor.answer is not None and not editor.answer.done():
            editor.answer.set_result(None)
        if editor.attached:
            self._loop.create_task(self._announce(run.app, editor))

    def _undebuggable(self, name: str, reason: str) -> None:
        editor = self._apps[name].editor
        self._warn(name, f"no editor can debug it: {reason}")
        if editor is not None and editor.answer is not None and not editor.answer.done():
            editor.answer.set_result(reason)
        elif editor is not None:
            self._send(editor, editor.session.end(f"{name} cannot be debugged: {reason}"))
            editor.writer.close()

    async def _announce(self, name: str, editor: _Editor) -> None:
        """Tell the editor of the worker that can be debugged."""
        app = self._apps[name]
        if app.ready is None:
            return
        run, port = app.ready
        link = app.link = DebugLink(port, partial(self._hear_link, name, run))
        place = await link.open()
        if app.link is link and app.editor is editor:
            self._send(editor, editor.session.worker(f"{name} {run.generation}", place))
        else:
            link.close()

    def _hear_link(self, name: str, run: Run, news: News) -> None:
        app = self._apps[name]
        if app.ready is None or app.ready[0] != run:
            return
        if app.step is not None:
            app.step.cancel()
            app.step = None
        match news:
            case Stopped(file, line):
                app.paused = True
                self._post(Paused(run, f"{self._shown(file)}:{line}", self._loop.time(), by="editor"))
            case Stepping():
                app.step = self._loop.call_later(STEP_SECONDS, self._resumed, app)
            case Running():
                self._resumed(app)
            case Left():
                if app.editor is not None:
                    self._send(app.editor, app.editor.session.end())
                    app.editor.writer.close()
            case _:
                assert_never(news)

    def _resumed(self, app: _App) -> None:
        if app.paused and app.ready is not None:
            app.paused = False
            self._post(Resumed(app.ready[0], self._loop.time()))

    def _part(self, app: _App) -> None:
        """Nobody debugs the worker any more."""
        if app.link is not None:
            app.link.close()
        if app.step is not None:
            app.step.cancel()
        self._resumed(app)
        app.ready = app.link = app.step = None

    def _shown(self, file: str) -> str:
        path = Path(file)
        return str(path.relative_to(self._folder)) if path.is_relative_to(self._folder) else file

    # --- what editors do ------------------------------------------------------------------------------------------

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        editor, frames = _Editor(writer), Frames()
        try:
            # ValueError, RecursionError: what has connected is no editor.
            with suppress(OSError, ValueError, RecursionError):
                while data := await reader.read(CHUNK_BYTES):
                    for message in frames.feed(data):
                        if not await self._obey(name, editor, message):
                            return
                    await writer.drain()
        finally:
            self._left(name, editor)
            writer.close()

    async def _obey(self, name: str, editor: _Editor, message: Message) -> bool:
        """Answer an editor; False when it has nothing more to say."""
        heard = editor.session.hear(message)
        self._send(editor, heard.messages)
        match heard.news:
            case Attaching(roots):
                self._send(editor, await self._admit(name, editor, roots))
            case Attached():
                if self._apps[name].editor is editor:
                    editor.attached = True
                    await self._announce(name, editor)
            case Detached():
                return False
            case None:
                pass
            case _:
                assert_never(heard.news)
        return True

    async def _admit(self, name: str, editor: _Editor, roots: Sequence[str]) -> tuple[Message, ...]:
        app = self._apps[name]
        if app.editor is not None:
            return editor.session.refuse(f"another editor debugs {name} already")
        if roots and not any(_related(root, self._folder) for root in roots):
            return editor.session.refuse(
                f"this port belongs to the stack of {self._folder}; `devrun editor` gives {roots[0]} ports of its own"
            )
        app.editor = editor
        editor.answer = self._loop.create_future()
        if not self.tell(name, {"do": "debug"}):
            return editor.session.accept()  # its next worker will be debugged
        with suppress(TimeoutError):
            reason = await asyncio.wait_for(editor.answer, ANSWER_SECONDS)
            if reason is not None:
                app.editor = None
                return editor.session.refuse(f"{name} cannot be debugged: {reason}")
        return editor.session.accept()

    def _left(self, name: str, editor: _Editor) -> None:
        app = self._apps[name]
        if app.editor is editor:
            app.editor = None
            self._part(app)
            self.tell(name, {"do": "undebug"})

    @staticmethod
    def _send(editor: _Editor, messages: Sequence[Message]) -> None:
        for message in messages:
            editor.writer.write(encode(message))


def _related(root: str, folder: Path) -> bool:
    """Whether an editor's folder and the project's are the same, or one lies in the other."""
    real = Path(os.path.realpath(root))
    return real.is_relative_to(folder) or folder.is_relative_to(real)

"""The debug port of one app: an editor attaches there, and stays attached over all of the app's workers.

Speaks to the editor and, through ``tell``, to workers; starts and ends nothing. That the app stands at a breakpoint
becomes an event.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, assert_never

from devrun.dap import Frames, Message, encode
from devrun.debuglink import CHUNK_BYTES, DebugLink
from devrun.engine import WORKER
from devrun.events import Paused, Resumed, Run
from devrun.peers import is_own
from devrun.rootsession import Attached, Attaching, Detached, RootSession
from devrun.workersession import Left, News, Running, Stepping, Stopped

ANSWER_SECONDS = 5.0
"""How long a worker may take to answer an editor that attaches: it imports debugpy, and its handlers may hold it."""
STEP_SECONDS = 1.0
"""A step that takes longer has left the code of the app: nothing stands any more."""


class Stack(Protocol):
    """What a debug port has to do with."""

    @property
    def folder(self) -> Path:
        """The project's."""
        ...

    def post(self, event: Paused | Resumed, /) -> None: ...

    def warn(self, app: str, message: str, /) -> None: ...

    def tell(self, app: str, message: Mapping[str, object], /) -> bool:
        """Tell the newest worker of an app something; whether it hears that now."""
        ...


class _Editor:
    """An editor that is attached, or about to be.

    ``answer``: what the app's worker says to that; None: it can be debugged.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.session = RootSession()
        self.attached = False
        self.answer: asyncio.Future[str | None] | None = None
        self._writer = writer

    def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._writer.write(encode(message))

    def end(self, reason: str = "") -> None:
        self.send(self.session.end(reason))
        self._writer.close()

    def hear(self, reason: str | None) -> bool:
        """Whether the answer was waited for."""
        if self.answer is None or self.answer.done():
            return False
        self.answer.set_result(reason)
        return True


class _Worker:
    """A worker that can be debugged, and what is known of it. ``paused``: it stands, and the core knows that."""

    def __init__(self, run: Run, port: int, hear: Callable[[_Worker, News], None]) -> None:
        self.run = run
        self.link = DebugLink(port, lambda news: hear(self, news))
        self.paused = False
        self.step: asyncio.TimerHandle | None = None

    def forget_step(self) -> None:
        if self.step is not None:
            self.step.cancel()


class DebugPort:
    """To be made inside the running loop. One editor at a time."""

    def __init__(self, app: str, stack: Stack) -> None:
        self._app = app
        self._stack = stack
        self._editor: _Editor | None = None
        self._worker: _Worker | None = None
        self._announcing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def taken(self) -> bool:
        """Whether an editor is to debug the next worker."""
        return self._editor is not None

    def close(self) -> None:
        """Let the editor go."""
        if self._editor is not None:
            self._editor.end()
        self._part()

    # --- what workers do ------------------------------------------------------------------------------------------

    def debuggable(self, run: Run, port: int) -> None:
        """A worker can be debugged at this port of its own."""
        if self._worker is not None and self._worker.run.generation > run.generation:
            return
        self._part()
        if self._editor is None:  # it has left meanwhile
            self._stack.tell(self._app, {"do": "undebug"})
            return
        self._worker = _Worker(run, port, self._hear)
        self._editor.hear(None)
        if self._editor.attached:
            self._announcing = self._loop.create_task(self._announce(self._editor))

    def undebuggable(self, reason: str) -> None:
        self._stack.warn(self._app, f"no editor can debug it: {reason}")
        if self._editor is not None and not self._editor.hear(reason):
            self._editor.end(self._refusal(reason))

    def leave(self, run: Run) -> None:
        """A run is to end, or has ended: nothing may hold it."""
        if self._worker is not None and self._worker.run == run:
            self._part()

    async def _announce(self, editor: _Editor) -> None:
        """Tell the editor of the worker that can be debugged, if there is one."""
        worker = self._worker
        if worker is None:
            return
        port = await worker.link.open()
        if self._worker is worker and self._editor is editor:
            name = f"{self._app} {worker.run.generation}"
            editor.send(editor.session.worker(name, port, hidden=str(WORKER.parent)))
        else:
            worker.link.close()

    def _hear(self, worker: _Worker, news: News) -> None:
        if worker is not self._worker:
            return
        worker.forget_step()
        match news:
            case Stopped(file, line):
                worker.paused = True
                place = f"{self._shown(file)}:{line}"
                self._stack.post(Paused(worker.run, place, self._loop.time(), by="editor"))
            case Stepping():
                worker.step = self._loop.call_later(STEP_SECONDS, self._resumed, worker)
            case Running():
                self._resumed(worker)
            case Left():
                if self._editor is not None:
                    self._editor.end()
            case _:
                assert_never(news)

    def _resumed(self, worker: _Worker) -> None:
        if worker.paused:
            worker.paused = False
            self._stack.post(Resumed(worker.run, self._loop.time()))

    def _part(self) -> None:
        """Nobody debugs the worker any more."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.forget_step()
            worker.link.close()
            self._resumed(worker)

    def _shown(self, file: str) -> str:
        path, folder = Path(file), self._stack.folder
        return str(path.relative_to(folder)) if path.is_relative_to(folder) else file

    def _refusal(self, reason: str) -> str:
        return f"{self._app} cannot be debugged: {reason}"

    # --- what editors do ------------------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Attend to whoever has connected, to the end."""
        editor, frames = _Editor(writer), Frames()
        # ValueError, RecursionError: what has connected is no editor.
        with suppress(OSError, ValueError, RecursionError):
            going = is_own(writer.get_extra_info("socket"))
            while going and (data := await reader.read(CHUNK_BYTES)):
                for message in frames.feed(data):
                    going = going and await self._obey(editor, message)
                await writer.drain()
        if self._editor is editor:
            self._editor = None
            self._part()
            self._stack.tell(self._app, {"do": "undebug"})
        writer.close()

    async def _obey(self, editor: _Editor, message: Message) -> bool:
        """Answer an editor; False when it has nothing more to say."""
        heard = editor.session.hear(message)
        editor.send(heard.messages)
        match heard.news:
            case Attaching(roots):
                editor.send(await self._admit(editor, roots))
            case Attached() if self._editor is editor:
                editor.attached = True
                await self._announce(editor)
            case Attached() | None:
                pass
            case Detached():
                return False
            case _:
                assert_never(heard.news)
        return True

    async def _admit(self, editor: _Editor, roots: Sequence[str]) -> tuple[Message, ...]:
        if self._editor is not None:
            return editor.session.refuse(f"another editor debugs {self._app} already")
        # Another checkout may have the same port in its launch.json. What an editor has not filled in says nothing.
        strangers = [root for root in roots if os.path.isabs(root) and not _related(root, self._stack.folder)]
        if strangers and len(strangers) == len(roots):
            return editor.session.refuse(
                f"this is the debug port of {self._app} in {self._stack.folder}, not in {strangers[0]}: "
                "run `devrun editor` and `devrun up` there, and both get ports of their own"
            )
        self._editor = editor
        editor.answer = self._loop.create_future()
        if not self._stack.tell(self._app, {"do": "debug"}):
            return editor.session.accept()  # its next worker will be debugged
        with suppress(TimeoutError):
            reason = await asyncio.wait_for(editor.answer, ANSWER_SECONDS)
            if reason is not None:
                self._editor = None
                return editor.session.refuse(self._refusal(reason))
        return editor.session.accept()


def _related(root: str, folder: Path) -> bool:
    """Whether an editor's folder and the project's are the same, or one lies in the other."""
    real = Path(os.path.realpath(root))
    return real.is_relative_to(folder) or folder.is_relative_to(real)

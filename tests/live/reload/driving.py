"""Drives one app through edits under a real ``devrun up``, and holds each reload against a fresh interpreter."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from tests.driver import DEADLINE, Stack
from tests.live.reload.fresh import SUMMARY_CHARS, Fresh, differences
from tests.live.reload.trees import Tree, changed, with_value

PATIENCE = 8.0
"""Seconds that an app may show something else than a fresh interpreter after a reload has ended: longer than the
watcher's safety net takes on a busy machine."""
QUICKLY = 0.02
"""Seconds between two saves of one file in quick succession."""
Style = Literal["in place", "atomic", "anew"]
_STATUS = re.compile(r"^\[devrun\] (reloading|ready|broken|exited) api\b")


@dataclass(frozen=True)
class Manner:
    """How files are saved. ``twice``: first with another value, then, a moment later, as they are to be."""

    style: Style = "in place"
    twice: bool = False


class Reloads:
    """One app, ``api``, in ``folder``. ``loaded``: files that it has loaded for certain; ``good``: it is not broken."""

    def __init__(self, folder: Path, target: str, *, engine: str | None = None, patience: float = PATIENCE) -> None:
        self.folder = folder
        self.loaded: list[str] = []
        self.good = False
        self._target = target
        self._patience = patience
        self._run: object = None
        self._tree: Tree = {}
        self._toml = f'[apps.api]\napp = "{target}"\nuvicorn = {{ log_level = "warning" }}\n'
        self._toml += f'[reload]\nengine = "{engine}"\n' if engine else ""
        self._stack: Stack | None = None

    def __enter__(self) -> Reloads:
        return self

    def start(self, tree: Tree) -> None:
        """Write the project, start the stack, and compare."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "devrun.toml").write_text(self._toml)
        self._apply(tree, Manner())
        self._stack = Stack(self.folder).__enter__()
        self._port = int(self._stack.variables()["API_PORT"])
        self._compare()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stack is not None:
            self._stack.__exit__(kind, error, traceback)

    @property
    def lines(self) -> list[str]:
        """What devrun has said so far."""
        return [] if self._stack is None else self._stack.lines

    def save(self, tree: Tree, manner: Manner = Manner()) -> None:
        """Make the project this tree, of which at least one loaded file has to be another; wait, and compare."""
        self._apply(tree, manner)
        self._compare()

    def touch(self, path: str, manner: Manner | None) -> None:
        """Give a loaded file a new time, or save what it already holds. That too is one reload."""
        if manner is None:
            os.utime(self.folder / path)
        else:
            self._save(path, self._tree[path], manner.style)
        self._compare()

    # --- edits ----------------------------------------------------------------------------------------------------

    def _apply(self, tree: Tree, manner: Manner) -> None:
        """First, while the launcher is held, what may be no reason for a reload; then what is for certain one.

        Otherwise a reload could begin with half of what it does not hear of.
        """
        before, self._tree = self._tree, dict(tree)
        paths = changed(before, tree)
        live = [path for path in paths if path in self.loaded and path in before and path in tree]
        calm = [path for path in paths if path not in live]
        if calm:
            with self._held():
                self._change(before, tree, calm, manner.style)
        for path in live:
            if manner.twice:
                self._save(path, with_value(tree[path], 999_999), manner.style)
                threading.Event().wait(QUICKLY)
            self._save(path, tree[path], manner.style)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        if self._stack is None:
            yield
            return
        self._stack.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._stack.signal(signal.SIGCONT)

    def _change(self, before: Tree, tree: Tree, paths: Sequence[str], style: Style) -> None:
        """Moves first: most renames are one step on disk."""
        gone = [path for path in paths if path not in tree]
        new = [path for path in paths if path not in before]
        for path in new:
            old = next((one for one in gone if before[one] == tree[path]), None)
            if old is not None:
                self._make_folder(path)
                (self.folder / old).rename(self.folder / path)
                gone.remove(old)
        for path in gone:
            (self.folder / path).unlink()
        for path in paths:
            if path not in tree:
                self._remove_empty(path, tree)
            elif not (self.folder / path).exists() or (self.folder / path).read_text() != tree[path]:
                self._save(path, tree[path], style)

    def _save(self, path: str, text: str, style: Style) -> None:
        file = self._make_folder(path)
        if style == "atomic":
            spare = file.with_name(f"{file.name}~")
            spare.write_text(text)
            spare.replace(file)
            return
        if style == "anew":
            file.unlink(missing_ok=True)
        file.write_text(text)

    def _make_folder(self, path: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _remove_empty(self, path: str, tree: Tree) -> None:
        """Take away the folders of a file that hold nothing of the tree any more, byte code and all."""
        folder = os.path.dirname(path)
        while folder and not any(one.startswith(f"{folder}/") for one in tree):
            shutil.rmtree(self.folder / folder, ignore_errors=True)
            folder = os.path.dirname(folder)

    # --- comparing ------------------------------------------------------------------------------------------------

    def _compare(self) -> None:
        """Wait until a newer run shows what a fresh interpreter does, and no reload is under way."""
        fresh = Fresh(self.folder, self._target)
        begun = time.monotonic()
        settled_at = None
        while True:
            run, shown = self._ask()
            settled = self._settled()
            if run != self._run and settled and shown == fresh.answer()["state"]:
                break
            now = time.monotonic()
            settled_at = (settled_at or now) if settled and run != self._run else None
            if now > begun + DEADLINE or (settled_at is not None and now > settled_at + self._patience):
                raise AssertionError(self._complaint(fresh.answer()["state"], shown, run != self._run))
            time.sleep(0.005)
        self._run = run
        self.loaded = fresh.answer()["files"]
        self.good = "broken" not in shown

    def _ask(self) -> tuple[object, Any]:
        """Which run answers, and with what state."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE)
        try:
            connection.request("GET", "/", headers={"Accept": "application/json"})
            response = connection.getresponse()
            body: Mapping[str, Any] = json.loads(response.read())
            if response.status == 200:
                return body["pid"], body["state"]
            place = None if body["file"] is None else [os.path.relpath(body["file"], self.folder), body["line"]]
            return response.headers["x-devrun-broken"], {"broken": body["summary"][:SUMMARY_CHARS], "place": place}
        finally:
            connection.close()

    def _settled(self) -> bool:
        """Whether no reload is under way, as far as told. A worker that dies is a failure at once."""
        told = [match[1] for match in map(_STATUS.match, self.lines) if match]
        assert "exited" not in told, "a worker died"
        return bool(told) and told[-1] != "reloading"

    def _complaint(self, state: Any, shown: Any, newer: bool) -> str:
        again = Fresh(self.folder, self._target).answer()["state"]
        lines = ["" if newer else "no newer run answers", *differences(state, shown)]
        lines += (
            ["a second fresh interpreter differs from the first:", *differences(state, again)] if again != state else []
        )
        return "\n".join(["the app does not show what a fresh interpreter shows:", *filter(None, lines)])

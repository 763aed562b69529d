"""Writes the lines of every app to ``logs/NAME.log``, and what the launcher tells to ``devrun.log`` beside that folder.

Owns one thread: whatever the disk does, nobody who prints waits for it. A file that has grown is put aside as
``NAME.log.1``, that one as ``.2``. Must not know pipes or views.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from devrun.events import Run
from devrun.history import Entry
from devrun.outputs.text import plain_text

FILE_BYTES = 5_000_000
OLD_FILES = 2
BACKLOG_BYTES = 16_000_000
"""What may wait for a slow disk; lines beyond it are skipped, and counted."""
END_SECONDS = 2.0
"""How long the end of the stack waits for the disk."""


class LogFiles:
    """``folder``: where the log files go, made at the first line. ``warn``: called in the thread, once."""

    def __init__(self, folder: Path, warn: Callable[[str], None], file_bytes: int = FILE_BYTES) -> None:
        self._folder = folder
        self._warn = warn
        self._file_bytes = file_bytes
        self._files: dict[str | None, _File] = {}
        self._entries: deque[Entry] = deque()
        self._waiting = 0
        self._skipped: Counter[Run | None] = Counter()
        self._closed = False
        self._failed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, entry: Entry) -> None:
        """Write it soon. Returns at once."""
        with self._changed:
            if self._closed:
                return
            if self._waiting + entry.size > BACKLOG_BYTES:
                self._skipped[entry.run] += len(entry.lines)
                return
            self._tell_skipped(entry.at)
            self._entries.append(entry)
            self._waiting += entry.size
            self._changed.notify()
        if self._thread is None:
            # A daemon: a disk that hangs must not keep the launcher from ending.
            self._thread = threading.Thread(target=self._work, name="devrun-logs", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what is left, as far as the disk takes it in time."""
        with self._changed:
            self._tell_skipped(time.time())
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _tell_skipped(self, at: float) -> None:
        """Say what is missing where it is missing. To be called with the lock."""
        for run, lost in self._skipped.items():
            self._entries.append(Entry(0, run, 0, at, [f"--- {lost:,} lines skipped: the disk is slow ---"]))
        self._skipped.clear()

    def _work(self) -> None:
        while entries := self._take():
            for entry in entries:
                self._write(entry)
        for file in self._files.values():
            file.close()

    def _take(self) -> list[Entry]:
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._closed)
            entries = list(self._entries)
            self._entries.clear()
            self._waiting = 0
            return entries

    def _write(self, entry: Entry) -> None:
        try:
            self._file(entry).write([plain_text(line) for line in entry.lines])
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._warn(f"cannot write the log files in {self._folder}: {(error.strerror or str(error)).lower()}")

    def _file(self, entry: Entry) -> _File:
        file = self._files.get(entry.app)
        if file is None:
            path = self._folder.parent / "devrun.log"
            if entry.app is not None:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                path = self._folder / f"{entry.app}.log"
            file = self._files[entry.app] = _File(path, self._file_bytes)
            since = datetime.fromtimestamp(entry.at).astimezone().isoformat(timespec="seconds")
            file.write([f"--- {since} pid {os.getpid()} ---"])
        return file


class _File:
    """One log file, open to append. All methods raise OSError."""

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        self._descriptor = -1
        self._size = 0

    def write(self, lines: list[str]) -> None:
        if self._size >= self._most:
            self._rotate()
        if self._descriptor < 0:
            self._open()
        view = memoryview("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
        while view:
            written = os.write(self._descriptor, view)
            self._size += written
            view = view[written:]

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        self._size = 0
        for number in range(OLD_FILES - 1, -1, -1):
            old = self._path if not number else self._path.with_name(f"{self._path.name}.{number}")
            with suppress(FileNotFoundError):
                os.replace(old, self._path.with_name(f"{self._path.name}.{number + 1}"))

"""Runs suites of somebody else's as they do: pytest in a process of its own, in a project with apps."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import psutil

from tests.driver import DEADLINE, MARK, clean_environ, describe, marked, wait_until

BARE = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:faker")
"""Without plugins that take longer to load than a suite to run."""
PYTEST = (*BARE, "-p", "no:anyio", "-p", "no:asyncio", "-p", "no:timeout")


class Suites:
    """Starts pytest (or a program) in ``folder`` and knows every process of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = uuid.uuid4().hex
        # pytest's summary has the whole of each failure where CI is set.
        self._environ = {key: value for key, value in clean_environ().items() if key not in ("CI", "BUILD_NUMBER")}
        self._environ[MARK] = self._mark

    def start(self, *args: str, command: tuple[str, ...] = PYTEST, cwd: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, *args],
            cwd=cwd or self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, command: tuple[str, ...] = PYTEST, cwd: Path | None = None) -> tuple[int, str]:
        """Exit code and all that was said."""
        return self.finish(self.start(*args, command=command, cwd=cwd))

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        try:
            out, _ = process.communicate(timeout=2 * DEADLINE)
        finally:
            process.kill()
        print(out)
        return process.returncode, out

    def stacks(self) -> set[str]:
        """The stacks that have processes."""
        return {
            process.environ()["DEVRUN_STACK"] for process in self.processes() if "DEVRUN_STACK" in process.environ()
        }

    def processes(self) -> list[psutil.Process]:
        return marked(MARK, self._mark)

    def states(self) -> list[str]:
        """The state folders of private stacks."""
        folder = self.folder / ".devrun" / "run"
        return sorted(os.listdir(folder)) if folder.is_dir() else []

    def check_gone(self, patience: float = 2.0) -> None:
        try:
            wait_until(lambda: not self.processes(), timeout=patience)
        except AssertionError:
            raise AssertionError(f"still alive:\n{describe(self.processes())}") from None

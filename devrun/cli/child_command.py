"""A command in devrun's foreground, for ``run`` and ``exec``: terminal, signals and exit code are its own.

It stays in devrun's process group, as with env(1): so it is in the terminal's foreground when devrun is, Ctrl-C and
Ctrl-Z reach it from the terminal itself, and a shell's job control sees one job. Knows no stack.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from devrun.errors import DevrunError

FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""Signals that a terminal sends to all of its foreground group: passed on, the command would get them twice."""
PASSED = (*FROM_TERMINAL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class CommandError(DevrunError):
    """The command cannot be started; the exit code is a shell's: 127 when it is not found, else 126."""

    def __init__(self, message: str, exit_code: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class ChildCommand:
    """``argv`` in the environment ``environ``, on devrun's own streams and in its working directory."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        self._argv = tuple(argv)
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> int:
        """Run it to its end; return its exit code, 128 + N when it died of signal N. Raises CommandError."""
        try:
            self._process = await asyncio.create_subprocess_exec(*self._argv, env=dict(self._environ))
        except (OSError, ValueError) as error:
            raise _not_started(self._argv[0], error) from None
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._look)
        try:
            code = await self._process.wait()
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)
        return code if code >= 0 else 128 - code

    def signal(self, signum: int) -> None:
        """Pass on a signal that devrun got, unless the terminal has sent it to the command as well."""
        if self._process is None or self._process.returncode is not None:
            return
        if signum not in FROM_TERMINAL or not in_foreground():
            with suppress(ProcessLookupError, PermissionError):  # it has just ended, or runs as somebody else
                self._process.send_signal(signum)

    def _look(self) -> None:
        """Stop with a command that has stopped itself alone (``suspend`` in a shell), or nobody could let it go on."""
        terminal = _terminal()
        if terminal is None:
            return
        with suppress(ChildProcessError, OSError), os.fdopen(terminal):
            if self._process is not None and _has_stopped(self._process.pid):
                group = os.tcgetpgrp(terminal)
                os.kill(os.getpid(), signal.SIGTSTP)  # returns when the shell lets this job go on
                if os.tcgetpgrp(terminal) == os.getpgrp():
                    os.tcsetpgrp(terminal, group)  # a shell has made one of its own
                self._process.send_signal(signal.SIGCONT)


def check(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Raise CommandError for a command that is not there, before anything is started for it."""
    name = argv[0]
    if shutil.which(name, path=environ.get("PATH", os.defpath)) is None:
        if os.path.dirname(name) and os.path.exists(name):
            reason = "it is a folder" if os.path.isdir(name) else "it is not executable"
            raise CommandError(f"{name} cannot be started: {reason}", 126)
        where = "there is no such file" if os.path.dirname(name) else "no such command on PATH"
        raise CommandError(f"{name} cannot be started: {where}", 127)


def hear_signals(hear: Callable[[int], None]) -> None:
    """Call ``hear`` in the running loop for each of ``PASSED``; what is ignored (nohup) stays so for the command."""
    loop = asyncio.get_running_loop()
    for signum in PASSED:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            loop.add_signal_handler(signum, hear, signum)


def in_foreground() -> bool:
    """Say whether this process is in the foreground group of its controlling terminal, wherever its streams go."""
    terminal = _terminal()
    if terminal is None:
        return False
    with suppress(OSError), os.fdopen(terminal):
        return os.tcgetpgrp(terminal) == os.getpgrp()
    return False


def _terminal() -> int | None:
    """A descriptor of the controlling terminal; None when there is none."""
    try:
        return os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def _has_stopped(pid: int) -> bool:
    """Whether a child has been stopped, and nobody was told so yet. (macOS before Python 3.13 does not tell.)"""
    return hasattr(os, "waitid") and os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None


def _not_started(name: str, error: OSError | ValueError) -> CommandError:
    if not isinstance(error, OSError):  # a NUL in an argument or a variable
        return CommandError(f"{name} cannot be started: {error}", 126)
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    hint = (
        "does its first line (#!) name an interpreter that is there?"
        if missing or error.errno == errno.ENOEXEC
        else None
    )
    return CommandError(
        f"{name} cannot be started: {(error.strerror or str(error)).lower()}", 127 if missing else 126, hint
    )

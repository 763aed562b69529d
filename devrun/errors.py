"""The errors that a user may see. Each carries its exit code; only ``cli`` prints one or ends the process.

Knows nothing else of devrun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DevrunError(Exception):
    """Something a user can mend.

    ``message`` says what is wrong, ``hint`` what to do about it; ``exit_code`` is documented in README.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint is not None:  # what shows an exception to a programmer shows its notes
            self.add_note(hint)


class UsageError(DevrunError):
    """A flag, an argument or a file named on the command line is wrong."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a config file: where, which key, what was found and what was expected."""

    file: str
    line: int | None
    key: str
    found: str
    expected: str
    nearest: str | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        text = f"{where}: {self.key}: {self.found}" if self.key else f"{where}: {self.found}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest is not None:
            text += f" (did you mean {self.nearest!r}?)"
        return text


class ConfigError(DevrunError):
    """devrun.toml, or a file it names, is wrong. ``mistakes`` holds all of them, in the order of the file."""

    exit_code = 2

    def __init__(self, mistakes: Sequence[Mistake], *, hint: str | None = None) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda m: (m.file, m.line or 0)))
        super().__init__("\n".join(map(str, self.mistakes)), hint=hint)


class UnknownNameError(UsageError, KeyError):
    """A stack has nothing of this name."""

    def __str__(self) -> str:
        return self.message


class NoProjectError(DevrunError):
    """There is no devrun.toml here or in any parent."""

    exit_code = 2


class BindError(DevrunError):
    """A port could not be bound."""


class FileError(DevrunError):
    """A file that devrun writes could not be read or written."""


class BrokenAppError(DevrunError):
    """An app of a stack that somebody waits for cannot be served. ``traceback``: all that is known about why."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.message}\n\n{self.traceback.rstrip()}" if self.traceback else self.message


class NotReadyError(DevrunError):
    """A stack was not ready in time, or an app of it stands in a debugger."""

    exit_code = 5


class NoStackError(DevrunError):
    """No stack of this project is up, or it cannot be asked any more."""

    exit_code = 3


class AlreadyRunningError(DevrunError):
    """A stack of this project is already up."""

    exit_code = 4

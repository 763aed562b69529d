"""``devrun``: where the command line begins. What is light is done here, click is imported for the rest alone.

Every import counts: ``devrun url NAME`` may take three times as long as an interpreter that does nothing. See
``devrun.lookup`` for what is heavy.
"""

from __future__ import annotations

import os
import sys

from devrun.cli import light


def main(argv: list[str] | None = None) -> None:
    """Run the command line and end the process with a documented exit code."""
    open_missing_streams()
    arguments = sys.argv[1:] if argv is None else argv
    code = 0
    if not light.run(arguments):
        from devrun.cli.commands import run

        code = run(arguments)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Nobody takes it any more; the interpreter would complain once more when it flushes, and exit with 120.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def open_missing_streams() -> None:
    """Put the null device where a standard stream is closed.

    A socket would get its number, and be lost where a worker's own streams are put there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115

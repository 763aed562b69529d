"""``devrun``: the command line. Commands are loaded when they are asked for, so that light ones stay light."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NoReturn

import click

from devrun import __version__
from devrun.errors import ConfigError, DevrunError

COMMANDS = {"up": "devrun.cli.up", "check": "devrun.cli.check", "schema": "devrun.cli.schema"}


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own, each under the command's name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ended as asked, 1 could not start, 2 usage or config error, 4 already running, "
    "130 interrupted before the stack was up.",
)
@click.version_option(__version__, prog_name="devrun", message="%(prog)s %(version)s")
def devrun() -> None:
    """Run several ASGI apps and a frontend together: free ports, a generated .env, hot reload."""


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process with a documented exit code."""
    try:
        code: Any = devrun.main(argv, standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except DevrunError as exc:
        complain(exc)
        sys.exit(exc.exit_code)
    except BrokenPipeError:
        # The reader of our output left. The interpreter would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def complain(error: DevrunError) -> None:
    """Say on standard error what is wrong and what to do about it."""
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    red, dim, plain = ("\x1b[1;31m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "")
    # The mistakes of a config begin with file:line, which problem matchers look for at the start of a line.
    label = "" if isinstance(error, ConfigError) else f"{red}error:{plain} "
    print(f"{label}{error.message}", file=sys.stderr)
    if error.hint:
        print(f"{dim}hint: {error.hint}{plain}", file=sys.stderr)

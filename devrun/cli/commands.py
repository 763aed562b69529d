"""All commands and what goes wrong with them. A command is loaded when it is asked for."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import CompletionItem

from devrun import __version__
from devrun.errors import ConfigError, DevrunError

COMMANDS = {
    "init": "devrun.cli.init",
    "up": "devrun.cli.up",
    "run": "devrun.cli.run",
    "down": "devrun.cli.down",
    "restart": "devrun.cli.orders",
    "stop": "devrun.cli.orders",
    "start": "devrun.cli.orders",
    "wait": "devrun.cli.wait",
    "exec": "devrun.cli.exec",
    "attach": "devrun.cli.attach",
    "status": "devrun.cli.status",
    "logs": "devrun.cli.logs",
    "url": "devrun.cli.endpoints",
    "port": "devrun.cli.endpoints",
    "env": "devrun.cli.env",
    "check": "devrun.cli.check",
    "editor": "devrun.cli.editor",
    "schema": "devrun.cli.schema",
}
_FUNCTIONS = {"exec": "execute"}
"""Commands whose function has another name: theirs is taken in Python."""


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own, each under the command's name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name]), _FUNCTIONS.get(cmd_name, cmd_name))
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands without loading them all."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name) for name in COMMANDS if name.startswith(incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, 1)
            known = f"did you mean {near[0]!r}?" if near else f"known commands: {', '.join(COMMANDS)}"
            ctx.fail(f"no command is named {name!r}; {known}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ended as asked, 1 could not start, 2 usage or config error, 3 no running stack, "
    "4 already running, 5 time-out, 130 interrupted before the stack was up; `run` and `exec` give the command's own.",
)
@click.version_option(__version__, prog_name="devrun", message="%(prog)s %(version)s")
def devrun() -> None:
    """Run several ASGI apps together: free ports, a generated .env for frontends, hot reload."""


def run(argv: list[str]) -> int:
    """Run the command line; return the exit code. What is wrong is said on standard error, if anybody listens."""
    try:
        code: Any = devrun.main(argv, standalone_mode=False)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as exc:
        with suppress(OSError):
            exc.show()
        return exc.exit_code
    except DevrunError as exc:
        complain(exc)
        return exc.exit_code
    except (BrokenPipeError, SystemExit):  # the reader of our output left; click makes an exit with code 1 of it
        return 0
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        complain(DevrunError(f"cannot write the output: {exc.strerror}"))
        return 1
    return code if isinstance(code, int) else 0


def complain(error: DevrunError) -> None:
    """Say on standard error what is wrong and what to do about it."""
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    red, dim, plain = ("\x1b[1;31m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "")
    # The mistakes of a config begin with file:line, which problem matchers look for at the start of a line.
    label = "" if isinstance(error, ConfigError) else f"{red}error:{plain} "
    with suppress(OSError):
        print(f"{label}{error.message}", file=sys.stderr)
        if error.hint:
            print(f"{dim}hint: {error.hint}{plain}", file=sys.stderr)

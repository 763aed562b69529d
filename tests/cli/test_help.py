"""Help: every command says what it does, with an example of itself."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from devrun.cli.commands import COMMANDS, devrun

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_an_example(name: str) -> None:
    context = click.Context(devrun, info_name="devrun")
    command = devrun.get_command(context, name)
    assert command is not None
    text = command.get_help(click.Context(command, parent=context, info_name=name))
    usage, _, rest = text.partition("\n\n")
    assert usage.startswith(f"Usage: devrun {name}")
    examples = [line for line in rest.partition("\nOptions:")[0].splitlines() if re.search(rf"\bdevrun {name}\b", line)]
    assert examples, "no example"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_readme(name: str) -> None:
    assert f"`devrun {name}" in README.read_text()

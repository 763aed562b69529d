"""Where a person is, and what the project there runs."""

from __future__ import annotations

import os
from pathlib import Path

from devrun.errors import UsageError
from devrun.plan import Plan
from devrun.planning import Choices
from devrun.project import Project
from devrun.reading import plan_of


def here() -> Path:
    """Return the working directory. Raises UsageError when it has been removed."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"the working directory is gone: {error.strerror}", hint="go to a folder that exists"
        ) from None


def read_plan(project: Project, choices: Choices) -> Plan:
    """Return what this project runs on this machine. Raises ConfigError or UsageError."""
    return plan_of(project, choices, os.environ)

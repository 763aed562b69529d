"""What ``devrun status`` says about env files whose URLs somebody else answers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from devrun.cli.reading import here
from devrun.errors import ConfigError
from devrun.lock import running
from devrun.parse import load
from devrun.project import addressed, find
from devrun.strangers import Stranger, claims, strangers


def strangers_of(config: Path | None) -> list[Stranger]:
    """Return what is wrong in the env files of the project around the working directory; nothing of a broken config."""
    project = addressed(find(here(), config), os.environ.get("DEVRUN_STACK", ""))
    if project.private is not None:  # the env files are not its own
        return []
    try:
        settings, _ = load(project.config)
    except ConfigError:
        return []
    record = running(project)
    stack, endpoints = (None, ()) if record is None else (record.stack, record.endpoints)
    urls = {endpoint.name: endpoint.url for endpoint in endpoints}
    return asyncio.run(strangers(claims(settings, project.folder), stack, urls))

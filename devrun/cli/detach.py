"""``devrun up -d``: a launcher in the background, and a foreground that waits until its stack is ready or failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from devrun.control.asking import ask_launcher
from devrun.control.client import NobodyListensError, stream
from devrun.errors import DevrunError
from devrun.lock import refuse_running, running
from devrun.outcomes import failure_of, outcome_in
from devrun.outputs.statefile import StackRecord
from devrun.project import Project, make_state_dir

POLL = 0.02
_NOT_THE_STACKS = ("DEVRUN", "DEVRUN_APP", "DEVRUN_STACK")
"""Variables of the stack that this command was started in, if any: its guard would end ours with it."""


def up_detached(project: Project, arguments: Sequence[str], *, as_json: bool) -> int:
    """Start `devrun up` with these arguments in the background; return the exit code once it is ready or has failed.

    Raises DevrunError; the stack stays up when an app of it is broken.
    """
    make_state_dir(project)
    refuse_running(project)
    said = project.state_dir / "up.log"
    launcher = _start(arguments, said)
    try:
        record = _await_record(project, launcher)
        if record is None:
            return _pass_on(launcher, said)
        outcome = outcome_in(ask_launcher(project, record, "wait", {"or_broken": True}))
    except KeyboardInterrupt:
        launcher.send_signal(signal.SIGINT)
        launcher.wait()
        return 130
    finally:
        if launcher.returncode is None:
            launcher.returncode = 0  # it is left alone from here on: no warning that it still runs
    _tell_notices(project, as_json)
    missing = [app for app in outcome.apps if app.state != "ready"]
    if missing:
        raise failure_of(missing, hint="the stack is up all the same: save a mended file, or `devrun down`")
    return 0


def _start(arguments: Sequence[str], said: Path) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if name not in _NOT_THE_STACKS}
    descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # A session of its own: neither the terminal's end nor its Ctrl-C reaches the launcher.
        return subprocess.Popen(
            [sys.executable, "-m", "devrun", "up", "--in-background", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=descriptor,
            env=environ,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _await_record(project: Project, launcher: subprocess.Popen[bytes]) -> StackRecord | None:
    """Wait until the launcher has written down where its stack is; None: it has ended before."""
    while launcher.poll() is None:
        record = running(project)
        if record is not None and record.pid == launcher.pid:
            return record
        time.sleep(POLL)
    return None


def _pass_on(launcher: subprocess.Popen[bytes], said: Path) -> int:
    """Say what the launcher has said before it ended, and end as it did."""
    sys.stderr.write(said.read_text("utf-8", "replace"))
    code = launcher.returncode
    return code if code > 0 else 1


def _tell_notices(project: Project, as_json: bool) -> None:
    """Print what `devrun up` prints, without the apps' own lines."""
    try:
        for part in stream(str(project.state_dir), "logs", {"apps": [], "notices": True}):
            for text in part.get("lines", ()):
                click.echo(_json(part["event"]) if as_json else f"[devrun] {text}")
    except NobodyListensError:
        raise DevrunError("the stack went down at once", hint="`.devrun/devrun.log` tells why") from None


def _json(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))

"""What has come of a request, as an answer tells it, and the errors that are in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devrun.errors import BrokenAppError, DevrunError, NotReadyError
from devrun.outputs.status import WELL, AppStatus, Outcome, read_outcome

__tracebackhide__ = True
"""For pytest: what went wrong went wrong in the test, or in the app."""

FAILED = frozenset(("broken", "failed"))
"""The words of parts that are in trouble for good."""


def outcome_in(answer: Mapping[str, Any]) -> Outcome:
    """Return the outcome in an answer of the launcher's. Raises DevrunError."""
    try:
        return read_outcome(answer)
    except ValueError as error:
        raise DevrunError(
            f"the launcher tells the outcome in a way that is not known here: {error}",
            hint="is it another version of devrun? restart it",
        ) from None


def is_broken(app: AppStatus) -> bool:
    """Whether it is in trouble for good: somebody has to mend something."""
    return app.trouble is not None or app.state in FAILED


def check_well(answer: Mapping[str, Any], seconds: float) -> None:
    """Raise BrokenAppError or NotReadyError for what is not well.

    ``seconds``: how long that was waited for, unless something is broken or stands in a debugger.
    """
    missing = [app for app in outcome_in(answer).apps if app.state not in WELL]
    broken = list(filter(is_broken, missing))
    if broken:
        texts = filter(None, map(_traceback, broken))
        raise BrokenAppError(reasons(broken), "\n\n".join(texts))
    if paused := [app for app in missing if app.state == "paused"]:
        raise NotReadyError(reasons(paused))
    if missing:
        raise NotReadyError(f"not ready within {seconds:g} s: {reasons(missing)}")


def failure_of(apps: Sequence[AppStatus], hint: str | None = None) -> DevrunError:
    """Return the error that tells why these apps are not ready, with their tracebacks.

    Where one is broken, others may only be on their way: they are not named.
    """
    apps = [app for app in apps if app.why] or apps
    texts = [text for app in apps for text in (_reason(app), _traceback(app)) if text]
    return DevrunError("\n".join(texts), hint=hint)


def reasons(apps: Sequence[AppStatus]) -> str:
    """Return on one line why these apps are not ready."""
    return "; ".join(map(_reason, apps))


def _reason(app: AppStatus) -> str:
    return f"{app.name} is {app.state}: {app.why}" if app.why else f"{app.name} is {app.state}"


def _traceback(app: AppStatus) -> str:
    return "" if app.trouble is None else app.trouble.text.rstrip()

"""The events for machines: what ``devrun up --json`` prints, one JSON object a line. A format with a version.

Pure. Fields are only ever added; a change of meaning raises ``VERSION``. The text is ASCII, so that no locale and no
lone surrogate of an odd file name can break it.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping
from typing import assert_never

from devrun.events import (
    AppBroken,
    AppExited,
    AppPaused,
    AppReady,
    AppReloading,
    AppResumed,
    AppStopped,
    Notice,
    StackDown,
    StackReady,
    StackStarting,
    Warned,
    Wrote,
)
from devrun.outputs.text import log_text

VERSION = 1

_SURROGATE = re.compile("[\ud800-\udfff]")


def event(notice: Notice) -> str:
    """Return the JSON object of ``notice``, without its newline. Times are in seconds."""
    name, fields = _event(notice)
    return _object(name, fields)


def log_event(app: str, text: str) -> str:
    """Return the JSON object of one line of an app's output, without control sequences."""
    return _object("log", {"app": app, "text": log_text(text, colour=False)})


def _object(name: str, fields: Mapping[str, object]) -> str:
    cleaned = {key: _clean(value) for key, value in fields.items()}
    return json.dumps({"v": VERSION, "event": name, **cleaned}, separators=(",", ":"))


def _event(notice: Notice) -> tuple[str, Mapping[str, object]]:
    match notice:
        case StackStarting():
            return "starting", {"stack": notice.stack, "apps": notice.apps, "commands": notice.commands}
        case Wrote():
            return "wrote", {"path": notice.path}
        case AppReady():
            seconds = round(notice.seconds, 3)
            return "ready", {"app": notice.app, "url": notice.url, "seconds": seconds, "first": notice.first}
        case StackReady():
            return "stack-ready", {"ports": dict(notice.ports)}
        case AppReloading() | AppBroken() | AppExited():
            return _trouble(notice)
        case AppStopped() | AppPaused() | AppResumed():
            return _standstill(notice)
        case Warned():
            return "warning", {"app": notice.app, "message": notice.message}
        case StackDown():
            return "down", {}
        case _:
            assert_never(notice)


def _trouble(notice: AppReloading | AppBroken | AppExited) -> tuple[str, Mapping[str, object]]:
    match notice:
        case AppReloading():
            return "reloading", {"app": notice.app, "files": [_clean(path) for path in notice.paths]}
        case AppBroken():
            failure = notice.failure
            fields = {"app": notice.app, "kind": failure.kind, "file": failure.file, "line": failure.line}
            return "broken", {**fields, "summary": failure.summary, "traceback": failure.text}
        case AppExited():
            fields = {"app": notice.app, "code": notice.code, "signal": _signal(notice.code)}
            return "exited", {**fields, "tail": [_clean(text) for text in notice.tail], "retry": notice.retry}
        case _:
            assert_never(notice)


def _standstill(notice: AppStopped | AppPaused | AppResumed) -> tuple[str, Mapping[str, object]]:
    match notice:
        case AppStopped():
            return "stopped", {"app": notice.app}
        case AppPaused():
            return "paused", {"app": notice.app, "place": notice.place}
        case AppResumed():
            return "resumed", {"app": notice.app}
        case _:
            assert_never(notice)


def _signal(code: int) -> str | None:
    """Name the signal that ended a process; None when it exited, or died of a signal without a name."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return None


def _clean(value: object) -> object:
    """Replace lone surrogates: JSON can spell them, strict readers refuse them."""
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value

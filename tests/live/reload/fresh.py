"""What a fresh interpreter shows of a project: the truth that a reload is measured by."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.driver import DEADLINE, clean_environ

SUMMARY_CHARS = 190
"""Longer ones are cut by devrun."""
_MARK = "the state: "

_PROGRAM = f"""
import importlib, json, os, sys, traceback

folder = os.getcwd() + os.sep

def broken(summary, place=None, files=()):
    return {{"state": {{"broken": summary[:{SUMMARY_CHARS}], "place": place}}, "files": files}}

def imported():
    modules = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    return {{os.path.relpath(file, folder) for file in modules if file.startswith(folder)}}

def failure(error):
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [[os.path.relpath(file, folder), line] for file, line in frames if file.startswith(folder)]
    files = imported() | {{file for file, _ in own}}
    if isinstance(error, SyntaxError):
        message, own = str(error.msg), [[os.path.relpath(error.filename, folder), error.lineno]]
        files.add(own[0][0])
    else:
        message = str(traceback.TracebackException(type(error), error, error.__traceback__, limit=0))
    first = next((line.strip() for line in message.splitlines() if line.strip()), "")
    name = type(error).__name__
    return broken(f"{{name}}: {{first}}" if first else name, own[-1] if own else None, sorted(files))

def answer(target):
    # As uvicorn.importer.import_from_string, which takes ten times as long to import as this project.
    name, _, attribute = target.partition(":")
    try:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise error from None
            return broken(f'Could not import module "{{name}}".', files=sorted(imported()))
        if not hasattr(module, attribute):
            return broken(f'Attribute "{{attribute}}" not found in module "{{name}}".', files=sorted(imported()))
        return json.loads(sys.modules["kit"].answer())
    except BaseException as error:
        return failure(error)

print({_MARK!r} + json.dumps(answer(sys.argv[1])), flush=True)
os._exit(0)
"""


class Fresh:
    """A fresh interpreter that imports ``target`` in ``folder``, begun at once; it leaves no byte code."""

    def __init__(self, folder: Path, target: str) -> None:
        # No byte code either: what another process wrote of a file is not what is in the file.
        nowhere = f"pycache_prefix={tempfile.gettempdir()}/no byte code"
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-X", nowhere, "-c", _PROGRAM, target],
            cwd=folder,
            env=clean_environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._answer: dict[str, Any] | None = None

    def answer(self) -> dict[str, Any]:
        """``state`` and ``files``: the own files that were imported for certain."""
        if self._answer is None:
            out, errors = self._process.communicate(timeout=DEADLINE)
            lines = [line for line in out.splitlines() if line.startswith(_MARK)]
            assert lines, f"the fresh interpreter gave no answer: {out}{errors}"
            self._answer = json.loads(lines[-1].removeprefix(_MARK))
        return self._answer


def differences(fresh: Any, shown: Any, at: str = "") -> list[str]:
    """One line for each place in which two states differ."""
    if fresh == shown:
        return []
    if isinstance(fresh, dict) and isinstance(shown, dict):
        keys = dict.fromkeys([*fresh, *shown])
        return [line for key in keys for line in differences(fresh.get(key), shown.get(key), f"{at}.{key}")]
    if isinstance(fresh, list) and isinstance(shown, list) and len(fresh) == len(shown):
        return [
            line for n, pair in enumerate(zip(fresh, shown, strict=True)) for line in differences(*pair, f"{at}[{n}]")
        ]
    return [f"{at.lstrip('.')}: fresh {json.dumps(fresh)[:400]}, shown {json.dumps(shown)[:400]}"]

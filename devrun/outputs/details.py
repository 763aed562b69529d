"""What ``devrun status -v`` tells besides the table: engines, checkpoints, fork servers and memory.

Pure. Knows no terminal; long lines are wrapped between words.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath

from rich.text import Text

from devrun.outputs.status import Details, Memory
from devrun.outputs.text import one_line
from devrun.reports import AppReport, CheckpointReport, ServerReport

_INDENT = "  "
_GLUE = "\xa0"
"""A space at which no line is broken."""
_MEASURES = {
    "pss": "memory (PSS: what processes share is divided among them)",
    "rss": "memory (RSS: what processes share counts in each of them)",
}


def details(told: Details, debug_ports: Mapping[str, int], folder: str, width: int) -> list[Text]:
    """Return the lines, ``width`` cells wide where no word is longer; paths below ``folder`` are relative to it."""
    lines: list[Text] = []
    for heading, body in (
        ("engines", _engines(told, folder, width)),
        *((("debug ports", _ports(debug_ports)),) if debug_ports else ()),
        *((_heading(server), _fork_server(server, width)) for server in told.fork_servers),
        (_MEASURES[told.memory.measure], _memory(told.memory)),
    ):
        lines += [Text(), *(Text(line, style="bold", no_wrap=True) for line in _wrapped(heading, width))]
        lines += [Text(line, no_wrap=True) for line in body]
    return lines


def _engines(told: Details, folder: str, width: int) -> Iterator[str]:
    longest = max(map(len, told.engines), default=0)
    for name, engine in told.engines.items():
        first = f"{_INDENT}{name:<{longest}}{_INDENT}"
        for text in _facts(engine, folder):
            yield from _wrapped(text, width, first, " " * len(first))
            first = " " * len(first)


def _facts(engine: AppReport, folder: str) -> Iterator[str]:
    yield engine.engine if engine.reason is None else f"{engine.engine}: {one_line(engine.reason)}"
    if engine.fresh:
        yield "a fresh interpreter this time: no fork server was ready"
    parked = [_place(parked, folder) for parked in engine.checkpoints]
    if parked:
        yield f"{_count(len(parked), 'checkpoint')}, {', '.join(parked)}"
    if engine.refused is not None:
        yield f"no {'more checkpoints' if parked else 'checkpoint'}: {one_line(engine.refused)}"


def _place(parked: CheckpointReport, folder: str) -> str:
    file = _relative(parked.file, folder)
    where = f"before {file}" if parked.line is None else f"after {file}:{parked.line}"
    return f"{where} (pid{_GLUE}{parked.pid})"


def _ports(debug_ports: Mapping[str, int]) -> Iterator[str]:
    longest = max(map(len, debug_ports))
    return (f"{_INDENT}{name:<{longest}}{_INDENT}127.0.0.1:{port}" for name, port in debug_ports.items())


def _heading(server: ServerReport) -> str:
    pid = "not running" if server.pid is None else f"pid {server.pid}"
    return f"fork server of {', '.join(server.apps)} ({pid}, {one_line(server.python)})"


def _fork_server(server: ServerReport, width: int) -> Iterator[str]:
    if server.preloaded:
        packages = Counter(one_line(module.partition(".")[0]) for module in server.preloaded)
        names = ", ".join(name if count == 1 else f"{name}{_GLUE}({count})" for name, count in packages.items())
        yield from _item(f"preloads {_count(len(server.preloaded), 'module')}: {names}", width)
    else:
        why = [f"{app} changes {one_line(name)} while it is imported" for app, name in server.changes.items()]
        yield from _item(f"preloads nothing: {', '.join(why)}" if why else "preloads nothing", width)
    for module, reason in server.left_out.items():
        yield from _item(f"leaves out {one_line(module)}: {one_line(reason)}", width)


def _memory(memory: Memory) -> Iterator[str]:
    rows = [(kind.kind, kind.processes, kind.bytes) for kind in memory.kinds]
    rows.append(("in all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    longest = max(len(kind) for kind, _, _ in rows)
    counts = [_count(processes, "process", "processes") for _, processes, _ in rows]
    widest = max(map(len, counts))
    for (kind, _, size), count in zip(rows, counts, strict=True):
        yield f"{_INDENT}{kind:<{longest}}{_INDENT}{count:<{widest}}{_INDENT}{size / 2**20:8,.1f} MiB"


def _relative(file: str, folder: str) -> str:
    path = PurePath(file)
    return one_line(str(path.relative_to(folder) if path.is_relative_to(folder) else path))


def _item(text: str, width: int) -> Iterable[str]:
    return _wrapped(text, width, _INDENT, _INDENT * 2)


def _wrapped(text: str, width: int, first: str = "", then: str = _INDENT) -> list[str]:
    # A path or a module's name stays whole, to be copied.
    lines = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(_GLUE, " ") for line in lines]


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one}" if number == 1 else f"{number:,} {many or one + 's'}"

"""Writes values as devrun does and holds what every reader makes of them against what went in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from devrun.consumers import EVERYBODY, Consumers
from devrun.outputs import envfile
from devrun.portable import spell
from tests.readers.roster import Answer, Case, Read, Reader

AFTER = {"AFTER_1": "x y", "AFTER_2": "it's", "AFTER_3": "z"}
"""Stand behind what is tested: a value that runs on, or that is an instruction, shows there."""


def accepted(values: Sequence[str], readers: Consumers = EVERYBODY) -> list[str]:
    return [value for value in dict.fromkeys(values) if isinstance(spell(value, readers), str)]


def same(wanted: str, got: str | None) -> bool:
    """Whether it is the same text, or the same JSON in another spelling."""
    if wanted == got:
        return True
    try:
        return got is not None and bool(json.loads(wanted) == json.loads(got))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder for files, and the readers that are asked."""

    folder: Path
    readers: Sequence[Reader] = field(repr=False)
    known: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]], repr=False)
    """By the label of a reader: the names that it finds in an empty file."""

    def misread(self, values: Sequence[str], consumers: Consumers = EVERYBODY) -> list[str]:
        """Write these values into one file, for ``consumers``; what they do not read back, in words."""
        return self.misread_variables({f"TEST_{index}": value for index, value in enumerate(values)}, consumers)

    def misread_variables(self, variables: Mapping[str, str], consumers: Consumers = EVERYBODY) -> list[str]:
        wanted = {**variables, **AFTER}
        return list(self._ask(envfile.render(wanted, readers=consumers), wanted, consumers))

    def wrong(self, reader: Reader, lines: Sequence[tuple[str, str]], wanted: Sequence[str]) -> list[bool]:
        """Write each line (a name, and what stands after ``=``) into a file of its own, with others below it.

        Returns which of them the reader does not read as wanted, or loses the others after.
        """
        rest = envfile.render(AFTER)
        cases = [self._case(f"{name}={text}\n".encode() + rest, (name, *AFTER)) for name, text in lines]
        answers = reader.read(cases) if reader.read else []
        pairs = zip(lines, wanted, answers, strict=True)
        return [any(_differences({name: value, **AFTER}, answer)) for (name, _), value, answer in pairs]

    def _ask(self, content: bytes, wanted: Mapping[str, str], consumers: Consumers) -> Iterator[str]:
        case = self._case(content, tuple(wanted))
        for reader in self.readers:
            if reader.consumer not in consumers or reader.read is None:
                continue
            (answer,) = reader.read([case])
            for difference in _differences(wanted, answer):
                yield f"{reader.label}: {difference}"
            if not isinstance(answer, str):
                for name in answer.keys() - wanted.keys() - self._known(reader, reader.read):
                    yield f"{reader.label}: {name} is set, to {answer[name]!r}"

    def _known(self, reader: Reader, read: Read) -> frozenset[str]:
        """What the reader finds in an empty file: its environment, where it tells that, too."""
        if reader.label not in self.known:
            (answer,) = read([self._case(b"", ())])
            self.known[reader.label] = frozenset() if isinstance(answer, str) else frozenset(answer)
        return self.known[reader.label]

    def _case(self, content: bytes, names: tuple[str, ...]) -> Case:
        path = self.folder / str(next(_NUMBERS)) / ".env"
        path.parent.mkdir()
        path.write_bytes(content)
        return Case(path, names)


_NUMBERS = count()


def _differences(wanted: Mapping[str, str], answer: Answer) -> Iterator[str]:
    if isinstance(answer, str):
        yield answer
        return
    for name, value in wanted.items():
        if not same(value, answer.get(name)):
            yield f"{name}: {value!r} is read as {answer.get(name)!r}"

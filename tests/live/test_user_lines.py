"""The user's lines are sacred: whatever stacks and people do to an env file, nobody's bytes but devrun's change.

Two projects with real state, locks and files go up, change, go down and are killed in any order, while a person edits
around the blocks; after every step each file holds exactly what a model of it says. This is the short form, the same in
every run. The long form takes other examples each time:

    python -m tests.live.test_user_lines --examples 1000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from devrun.envfiles import EnvFiles
from devrun.lock import State, open_state, repair
from devrun.outputs import block
from devrun.outputs.envfile import render
from devrun.plan import EnvFilePlan
from devrun.project import Project

EXAMPLES, STEPS = 60, 25
BOM = b"\xef\xbb\xbf"
STRANGER = "stranger-1a2b3c4d"

pieces = st.sampled_from(
    [block.begin() + b"\n", block.end() + b"\n", block.begin(), block.end() + b"\r\n", block.begin(STRANGER) + b"\n"]
    + [block.end(STRANGER) + b"\n", render({"A": "1"}, STRANGER), BOM, b"\n", b"\r\n", b"\r", b"# note\n"]
    + [b"API_PORT=mine\n", b"Q='open\n", b'D="open', b"export E = 1"]
)
texts = st.lists(pieces | st.binary(max_size=8), max_size=5).map(b"".join)
ports = st.integers(1, 3).map(str)
names = st.sampled_from(["home", "side"])
files = st.sampled_from(["shared", "alone"])


@dataclass
class Block:
    """A block in the model of a file."""

    owner: str
    text: bytes


@dataclass
class File:
    """What a file should hold: the user's bytes and blocks, from the top; None: there should be none."""

    path: Path
    parts: list[bytes | Block] | None = None

    def content(self, without: str | None = None) -> bytes | None:
        if self.parts is None:
            return None
        return b"".join(
            part if isinstance(part, bytes) else part.text if part.owner != without else b"" for part in self.parts
        )

    def block_of(self, owner: str) -> Block | None:
        return next((part for part in self.parts or [] if isinstance(part, Block) and part.owner == owner), None)

    def is_devruns(self) -> bool:
        content = self.content()
        return content is None or block.is_only_blocks(content)

    def put(self, owner: str, text: bytes) -> None:
        if there := self.block_of(owner):
            there.text = text
            return
        parts = list(self.parts or [])
        first = parts[0] if parts and isinstance(parts[0], bytes) else b""
        if parts and isinstance(parts[0], bytes):
            del parts[0]
        cut = len(BOM) if first.startswith(BOM) else 0
        self.parts = [first[:cut], Block(owner, text), first[cut:], *parts]

    def take(self, owner: str, created: bool) -> None:
        if self.block_of(owner):
            self.parts = [part for part in self.parts or [] if isinstance(part, bytes) or part.owner != owner]
            if created and not self.content():
                self.parts = None


@dataclass
class Record:
    created: bool
    keep: bool


@dataclass
class Stack:
    """A project, and what its state should say."""

    project: Project
    owners: dict[str, str]
    records: dict[str, Record] = field(default_factory=dict)
    up: tuple[AbstractContextManager[State], State, EnvFiles] | None = None


class UserLines(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lines-"))
        home, side = (self._stack(name) for name in ("home", "side"))
        self.stacks = {"home": home, "side": side}
        # In one file both stacks have their block, the other is just the first one's to begin with.
        paths = {"shared": home.project.folder / ".env", "alone": home.project.folder / "web.env"}
        self.files = {name: File(path) for name, path in paths.items()}
        for stack in self.stacks.values():
            stack.owners = {name: stack.project.owner_in(path) for name, path in paths.items()}
        assert home.owners["shared"] == "" != side.owners["shared"]

    def _stack(self, name: str) -> Stack:
        folder = self.folder / name
        folder.mkdir()
        (folder / "devrun.toml").touch()
        return Stack(Project(folder, folder / "devrun.toml"), {})

    def teardown(self) -> None:
        for stack in self.stacks.values():
            if stack.up is not None:
                stack.up[0].__exit__(None, None, None)
        shutil.rmtree(self.folder)

    # --- stacks ---------------------------------------------------------------------------------------------------

    def wanted(self, chosen: dict[str, tuple[str, bool]]) -> list[tuple[EnvFilePlan, dict[str, str]]]:
        return [
            (EnvFilePlan(self.files[name].path, "", None, {}, keep), {"API_PORT": port})
            for name, (port, keep) in chosen.items()
        ]

    def install(self, stack: Stack, chosen: dict[str, tuple[str, bool]]) -> None:
        for name, (port, keep) in chosen.items():
            file, owner, known = self.files[name], stack.owners[name], stack.records.get(name)
            created = known.created if known and file.block_of(owner) else file.is_devruns()
            file.put(owner, render({"API_PORT": port}, owner))
            stack.records[name] = Record(created, keep)

    def restore(self, stack: Stack, names: list[str]) -> None:
        for name in names:
            record = stack.records.pop(name)
            if not record.keep:
                self.files[name].take(stack.owners[name], record.created)

    @rule(name=names, chosen=st.dictionaries(files, st.tuples(ports, st.booleans()), min_size=1))
    def go_up(self, name: str, chosen: dict[str, tuple[str, bool]]) -> None:
        stack = self.stacks[name]
        if stack.up is not None:
            self.change(name, chosen)
            return
        self.restore(stack, list(stack.records))
        context = open_state(stack.project)
        state = context.__enter__()
        stack.up = context, state, EnvFiles(state)
        state.save(stack="a1", name=name, endpoints=[])
        stack.up[2].install(self.wanted(chosen))
        self.install(stack, chosen)

    @rule(name=names, chosen=st.dictionaries(files, st.tuples(ports, st.booleans())))
    def change(self, name: str, chosen: dict[str, tuple[str, bool]]) -> None:
        stack = self.stacks[name]
        if stack.up is None:
            return
        before = {path.path: path.content() for path in self.files.values()}
        self.restore(stack, [known for known in stack.records if known not in chosen])
        self.install(stack, chosen)
        stamps = {f.path: f.path.stat().st_mtime_ns for f in self.files.values() if f.path.exists()}
        followed = stack.up[2].follow(self.wanted(chosen))
        assert followed.complaints == ()
        for file in self.files.values():
            if before[file.path] is not None and file.content() == before[file.path]:
                assert file.path.stat().st_mtime_ns == stamps[file.path], "touched without need"

    @rule(name=names)
    def go_down(self, name: str) -> None:
        stack = self.stacks[name]
        if stack.up is None:
            return
        context, state, env_files = stack.up
        stack.up = None
        self.restore(stack, list(stack.records))
        env_files.remove()
        state.clear()
        context.__exit__(None, None, None)
        assert not stack.project.state_file.exists()

    @rule(name=names)
    def be_killed(self, name: str) -> None:
        stack = self.stacks[name]
        if stack.up is not None:
            stack.up[0].__exit__(None, None, None)  # the kernel lets go of the lock, and nothing else happens
            stack.up = None

    @rule(name=names)
    def be_repaired(self, name: str) -> None:
        stack = self.stacks[name]
        assert repair(stack.project) == ()
        if stack.up is None:
            self.restore(stack, list(stack.records))

    # --- the user -------------------------------------------------------------------------------------------------

    def save(self, name: str, parts: list[bytes | Block] | None) -> None:
        """As an editor does; what is in it may hold no whole block beside those that are meant."""
        file = self.files[name]
        before = file.parts
        file.parts = parts
        owners = {"", *(stack.owners[name] for stack in self.stacks.values())}
        if any(block.holds(file.content(without=owner) or b"", owner) for owner in owners):
            file.parts = before
            assume(False)
        content = file.content()
        if content is None:
            file.path.unlink(missing_ok=True)
        else:
            file.path.write_bytes(content)

    @rule(name=files, data=st.data())
    def edit_around_the_blocks(self, name: str, data: st.DataObject) -> None:
        parts = [part for part in self.files[name].parts or [] if isinstance(part, Block)]
        edited: list[bytes | Block] = []
        for part in parts:
            text = data.draw(texts)
            # What stands before a block ends its line, or is a mark in front of the first.
            edited += [text if text.endswith(b"\n") or (text == BOM and not edited) else b"", part]
        self.save(name, [*edited, data.draw(texts)])

    @rule(name=files, text=st.none() | st.just(b"") | texts)
    def save_over_everything(self, name: str, text: bytes | None) -> None:
        self.save(name, None if text is None else [text])

    @precondition(lambda self: any(file.parts for file in self.files.values()))
    @rule(name=files)
    def change_the_line_ends(self, name: str) -> None:
        def other(text: bytes) -> bytes:
            return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

        parts = self.files[name].parts
        if parts is not None:
            self.save(name, [Block(p.owner, other(p.text)) if isinstance(p, Block) else other(p) for p in parts])

    # --- what holds -----------------------------------------------------------------------------------------------

    @invariant()
    def every_byte_is_where_it_should_be(self) -> None:
        for file in self.files.values():
            assert (file.path.read_bytes() if file.path.exists() else None) == file.content()

    @invariant()
    def nothing_lies_around(self) -> None:
        there = {path.name for path in self.files["shared"].path.parent.iterdir()}
        assert there <= {".devrun", "devrun.toml", ".env", "web.env"}


def explore(examples: int, **how: object) -> None:
    run_state_machine_as_test(
        UserLines,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **how,  # type: ignore[arg-type]
        ),
    )


@pytest.mark.timeout(300)
def test_whatever_happens_nobodys_bytes_change_but_devruns() -> None:
    explore(EXAMPLES, database=None, derandomize=True, phases=[Phase.generate])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000)
    explore(parser.parse_args().examples)

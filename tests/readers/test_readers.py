"""What devrun writes is read alike by every reader of env files, in its real current version, or it is refused.

The rule's table is held from both sides: what it accepts comes back, and whom it accuses misreads.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from devrun import naming
from devrun.consumers import EVERYBODY, ORDER, Consumer
from devrun.hazards import HAZARDS
from devrun.portable import Refusal, spell
from tests.readers.reading import Bench, accepted
from tests.readers.roster import Reader
from tests.readers.values import HOSTILE, PORTABLE, choices, values

# One worker for all: what npm has is brought once, and two cores are soon full of readers.
pytestmark = [pytest.mark.xdist_group("readers"), pytest.mark.node, pytest.mark.timeout(300)]

# What is found is told by value and reader; to shrink it would take a process of each reader every time.
FEW = settings(
    deadline=None,
    max_examples=2,
    phases=[Phase.generate],
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("consumer", ORDER)
def test_the_reader_is_here(readers: Sequence[Reader], consumer: Consumer) -> None:
    """Skipped by name where it is not, so that no run claims more than it has seen."""
    found = [reader for reader in readers if reader.consumer == consumer]
    assert found
    for reader in found:
        if reader.read is None:
            pytest.skip(f"{reader.label}: {reader.missing}")
        print(reader.label)


def test_values_by_hand_come_back_from_every_reader(bench: Bench) -> None:
    assert accepted(PORTABLE) == PORTABLE
    assert bench.misread([*PORTABLE, *(f"value {number}" for number in range(500))]) == []


def test_values_that_nobody_can_write_are_refused() -> None:
    assert accepted(HOSTILE) == []


@FEW
@given(given_values=st.lists(values, min_size=200, max_size=400))
def test_random_values_come_back_from_every_reader_or_are_refused(bench: Bench, given_values: list[str]) -> None:
    assert bench.misread(accepted(given_values)) == []


@settings(FEW, max_examples=8)
@given(given_values=st.lists(values, min_size=50, max_size=150), consumers=choices)
def test_random_values_come_back_from_those_who_must_agree(
    bench: Bench, given_values: list[str], consumers: frozenset[Consumer]
) -> None:
    assert bench.misread(accepted(given_values, consumers), consumers) == []


# --- nobody is accused for nothing -----------------------------------------------------------------------------------

WITNESSES = {
    "a line feed": "a\nb",
    "a carriage return": "a\rb",
    "a line separator": "a\u2028b",
    "a pair of double quotes around it": '"x"',
    "a backslash before a dollar sign": "a\\$b",
    "a dollar sign before a name": "a$b",
    "a dollar sign before a brace": "a${b}c",
    "a dollar sign before a digit": "a$1",
    "a dollar sign before a parenthesis": "a$(x)",
    "a dollar sign in front": "$",
    "a doubled backslash": "a\\\\b",
}
"""What nobody could write in single quotes for those that the table names."""


def test_whom_the_rule_accuses_misreads(bench: Bench, readers: Sequence[Reader]) -> None:
    accused = {hazard.what: hazard.single for hazard in HAZARDS if hazard.what in WITNESSES}
    assert accused.keys() == WITNESSES.keys()
    misreads: dict[str, set[Consumer]] = {what: set() for what in accused}
    for reader in readers:
        charges = [what for what, who in accused.items() if reader.consumer in who]
        if reader.read is None or not charges:
            continue
        values = [WITNESSES[what] for what in charges]
        wrong = bench.wrong(reader, [("WHAT", f"'{value}'") for value in values], values)
        for what, found in zip(charges, wrong, strict=True):
            misreads[what] |= {reader.consumer} if found else set()
    here = {reader.consumer for reader in readers if reader.read is not None}
    assert misreads == {what: who & here for what, who in accused.items()}


def test_a_backslash_at_the_end_lets_a_value_run_on(bench: Bench, readers: Sequence[Reader]) -> None:
    (hazard,) = (hazard for hazard in HAZARDS if hazard.what == "a backslash at the end")
    asked = [reader for reader in readers if reader.read is not None]
    line = ("WHAT", "'C:\\'\nNEXT='#1'")
    misread = {reader.consumer for reader in asked if bench.wrong(reader, [line], ["C:\\"])[0]}
    # The first two that Debian has read line by line, newer ones are said not to; Vite has node read since a while.
    assert misread == hazard.single & {reader.consumer for reader in asked} - {"direnv", "ruby-dotenv", "vite"}


@pytest.mark.parametrize("value", ["a$b", 'it\'s "x"'])
def test_a_refusal_names_all_who_would_disagree(bench: Bench, readers: Sequence[Reader], value: str) -> None:
    refusal = spell(value)
    assert isinstance(refusal, Refusal)
    others = EVERYBODY - refusal.readers
    assert isinstance(spell(value, others), str)
    assert bench.misread([value], others) == []


# --- names -----------------------------------------------------------------------------------------------------------


SPECIAL = (
    *("__proto__", "constructor", "hasOwnProperty", "__NEXT_PROCESSED_ENV", "UV", "PATH", "HOME", "UID", "BASHOPTS"),
    *("OPTIND", "RANDOM", "_", "BASHPID", "GROUPS"),
)


def test_a_name_that_a_reader_loses_or_keeps_is_told(bench: Bench, readers: Sequence[Reader]) -> None:
    """Whoever does not give the value of the file, or not that of the variables after it, is named."""
    silent: list[tuple[str, str]] = []
    for reader in readers:
        if reader.read is None:
            continue
        wrong = bench.wrong(reader, [(name, "x") for name in SPECIAL], ["x"] * len(SPECIAL))
        for name, found in zip(SPECIAL, wrong, strict=True):
            if found and not any(naming.warnings(name, frozenset({reader.consumer}))):
                silent.append((name, reader.label))
    assert silent == []


def test_ordinary_names_are_read_by_all_and_told_by_none(bench: Bench) -> None:
    names = ("API_URL", "VITE_API_URL", "A", "a", "_A", "__", "A1", "name", "length", "PORT", "then", "if", "MODE")
    assert {name: list(naming.warnings(name)) for name in names} == {name: [] for name in names}
    assert bench.misread_variables(dict.fromkeys(names, "x")) == []

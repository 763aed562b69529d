"""What ``import devrun`` gives, and how little it takes."""

from __future__ import annotations

import inspect

import pytest

import devrun
from tests.unit.alone import alone


def test_everything_public_is_there_and_explained() -> None:
    for name in devrun.__all__:
        assert name in dir(devrun) and inspect.getdoc(getattr(devrun, name)), name
    for public in (devrun.Stack, devrun.AsyncStack, devrun.App, devrun.AsyncApp):
        for name, member in inspect.getmembers(public):
            assert name.startswith("_") or inspect.getdoc(member), f"{public.__name__}.{name}"
    with pytest.raises(AttributeError, match="module 'devrun' has no attribute 'walking'"):
        devrun.walking  # type: ignore[attr-defined]  # noqa: B018


def test_the_two_forms_have_the_same_members() -> None:
    def members(public: type) -> dict[str, str]:
        return {
            name: str(inspect.signature(member)) if callable(member) else ""
            for name, member in inspect.getmembers(public)
            if not name.startswith("_") and name != "log_reader"
        }

    assert members(devrun.Stack) == members(devrun.AsyncStack)
    assert members(devrun.App) == members(devrun.AsyncApp)


def test_the_package_alone_imports_nothing() -> None:
    found = alone("import sys; before = set(sys.modules)\nimport devrun\nfound = sorted(set(sys.modules) - before)")
    assert found == ["__future__", "devrun"]

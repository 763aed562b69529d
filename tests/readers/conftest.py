"""The readers that this machine has; what it lacks is told by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.readers.packages import bring
from tests.readers.reading import Bench
from tests.readers.roster import Reader, roster


@pytest.fixture(scope="session")
def readers(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Sequence[Reader]:
    assert pytestconfig.cache is not None
    packages = bring(Path(pytestconfig.cache.mkdir("readers")))
    return roster(packages, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, readers: Sequence[Reader]) -> Bench:
    return Bench(tmp_path_factory.mktemp("files"), readers)

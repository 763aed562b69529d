"""The descriptor limit, in processes of their own: a limit that was lowered cannot always be raised again."""

from __future__ import annotations

import pytest

from tests.live.ports import run_python

_TRY = """
import resource, sys
from devrun.descriptors import raise_descriptor_limit
soft, hard, apps = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    print(raise_descriptor_limit(apps), resource.getrlimit(resource.RLIMIT_NOFILE))
except DevrunError as error:
    print(error.message, "|", error.hint)
"""


@pytest.mark.parametrize(
    ("soft", "hard", "apps", "after"),
    [(256, 512, 10, (256, 512)), (128, 512, 10, (224, 512)), (128, 224, 10, (224, 224))],
)
def test_raises_the_soft_limit_only_as_needed(soft: int, hard: int, apps: int, after: tuple[int, int]) -> None:
    assert run_python(_TRY, str(soft), str(hard), str(apps)) == f"{(soft, hard)} {after}\n"


def test_a_low_hard_limit_is_told() -> None:
    said = run_python(_TRY, "128", "256", "500")
    assert "500 apps need 8064 file descriptors; the limit is 128 and may be raised to 256 at most" in said
    assert "`ulimit -n 8064`" in said

"""``devrun url NAME`` and ``devrun port NAME`` in their plain form, without click and whatever else is slow to import.

Says nothing when it does not work out: ``endpoints`` holds the same commands with their help and their errors.
"""

from __future__ import annotations

import os
import sys

from devrun.lookup import endpoint

_COMMANDS = ("url", "port")


def run(argv: list[str]) -> bool:
    """Print what is asked for; False: this is not plain, and nothing has been done."""
    if len(argv) != 2 or argv[0] not in _COMMANDS:
        return False
    found = endpoint(argv[1], os.environ.get("DEVRUN_STACK", ""))
    if found is None:
        return False
    try:
        sys.stdout.write(f"{found[_COMMANDS.index(argv[0])]}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # the reader left; `main` deals with what is still in the buffer
    except OSError:
        return False  # it fails once more on the way that can say why
    return True

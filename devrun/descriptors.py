"""The limit of open file descriptors: room for many apps, and the limits the children get back.

The only code that changes a resource limit of the launcher.
"""

from __future__ import annotations

import resource

from devrun.errors import DevrunError

_BASE = 64
_EACH_APP = 16


def raise_descriptor_limit(apps: int) -> tuple[int, int]:
    """Make room for the descriptors of so many apps; returns the (soft, hard) limits as they were, for the children.

    Raises the soft limit only as far as needed. Raises DevrunError when the hard limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = _BASE + _EACH_APP * apps
    if soft != resource.RLIM_INFINITY and soft < need:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
        except (OSError, ValueError):
            # Not only a low hard limit: macOS refuses what lies over kern.maxfilesperproc, whatever the hard limit is.
            most = "not that far" if hard == resource.RLIM_INFINITY else f"to {hard} at most"
            who = "1 app needs" if apps == 1 else f"{apps} apps need"
            raise DevrunError(
                f"{who} {need} file descriptors; the limit is {soft} and may be raised {most}",
                hint=f"start fewer apps, or raise the hard limit first, then `ulimit -n {need}`",
            ) from None
    return soft, hard

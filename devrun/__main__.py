"""``python -m devrun``."""

import os
import sys
from contextlib import suppress

if __name__ == "__main__":
    with suppress(OSError):  # the working directory has been removed
        # `-m` puts it in front: a logging.py of the project's is not the launcher's.
        if not sys.flags.safe_path and sys.path[0] == os.getcwd():
            del sys.path[0]

    from devrun.cli.main import main

    main()

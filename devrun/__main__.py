"""``python -m devrun``."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: a logging.py of the project's is not the launcher's

    from devrun.cli.main import main

    main()

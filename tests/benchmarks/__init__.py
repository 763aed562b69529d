"""Programs that measure devrun against its neighbours. Run on purpose, from the top of the repository; no tests.

    python -m tests.benchmarks.reload       from a save to the first answer of the new code
    python -m tests.benchmarks.startup      from ``devrun up`` to .env and to all ready; memory and processor when idle
    python -m tests.benchmarks.throughput   requests a second
    python -m tests.benchmarks.light        how long a light command takes

Each prints a table, or one JSON document with ``--json``; ``--rounds N`` says how often every side has its turn, and
``--help`` tells the rest. All sides are measured in one run, in turn, so that what else the machine does hits all
alike; compare the figures of one run only. The peers (uvicorn, granian, ...) and the apps' packages live in a virtual
environment that the first run makes, with the interpreter that runs the benchmark: use Python 3.12, for which all peers
are built. That interpreter needs devrun installed with its ``dev`` extra.

Every process is started without the ``PYTHON*`` variables of this one: a machine may set ``PYTHONDONTWRITEBYTECODE`` or
``PYTHONUNBUFFERED``, and then imports and output cost something else than on a user's machine.
"""

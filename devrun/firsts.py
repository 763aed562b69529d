"""One lock, for whoever lets msgspec look at a class in a thread of several.

Its first look at a class is not safe: two threads that both take it crash the interpreter (seen with msgspec 0.22).
"""

from __future__ import annotations

import threading

ONE_AT_A_TIME = threading.Lock()

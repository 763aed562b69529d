"""What the streams say. Edit a text and save: the open page says it, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import count


async def ticks(seconds: float = 0.5) -> AsyncIterator[str]:
    """One message every so many seconds, for ever."""
    for number in count(1):
        yield f"tick {number} at {datetime.now():%H:%M:%S}"
        await asyncio.sleep(seconds)


def answer(text: str) -> str:
    return f"echo: {text}"

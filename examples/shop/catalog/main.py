"""The catalog API. Asks the orders app how often each product was sold."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

import httpx
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from catalog.routes import router


class Clients(TypedDict):
    """What a handler finds in ``request.state``."""

    orders: httpx.AsyncClient


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[Clients]:
    # trust_env=False: a proxy of the machine has no business between two local apps.
    async with httpx.AsyncClient(base_url=os.environ["ORDERS_URL"], timeout=5, trust_env=False) as orders:
        yield {"orders": orders}


app = FastAPI(title="Catalog", lifespan=lifespan)
# The page lives on another port, which is another origin to a browser, and nobody knows the port beforehand.
app.add_middleware(CORSMiddleware, allow_origin_regex=r"http://(127\.0\.0\.1|localhost|\[::1\]):\d+")
app.include_router(router)

"""The orders API. Asks the catalog app what a product costs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from orders.book import OrderBook
from orders.routes import OrderController, about


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    app.state.book = OrderBook()
    # trust_env=False: a proxy of the machine has no business between two local apps.
    async with httpx.AsyncClient(base_url=os.environ["CATALOG_URL"], timeout=5, trust_env=False) as catalog:
        app.state.catalog = catalog
        yield


def provide_book(state: State) -> OrderBook:
    book: OrderBook = state.book
    return book


def provide_catalog(state: State) -> httpx.AsyncClient:
    client: httpx.AsyncClient = state.catalog
    return client


app = Litestar(
    [about, OrderController],
    lifespan=[lifespan],
    dependencies={
        "book": Provide(provide_book, sync_to_thread=False),
        "catalog": Provide(provide_catalog, sync_to_thread=False),
    },
)

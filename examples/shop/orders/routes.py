from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

import httpx
from litestar import Controller, get, post
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import Parameter
from msgspec import Meta

from orders.book import Order, OrderBook


@dataclass(frozen=True, slots=True)
class NewOrder:
    product_id: str
    quantity: Annotated[int, Meta(ge=1, le=99)] = 1


@get("/", sync_to_thread=False)
def about() -> dict[str, str]:
    return {"app": "orders", "framework": f"Litestar {version('litestar')}"}


class OrderController(Controller):
    path = "/orders"

    @get("/", sync_to_thread=False)
    def latest(self, book: OrderBook, count: Annotated[int, Parameter(ge=1, le=50)] = 6) -> list[Order]:
        return book.latest(count)

    @get("/totals", sync_to_thread=False)
    def totals(self, book: OrderBook) -> dict[str, int]:
        return book.totals()

    @post("/")
    async def place(self, data: NewOrder, book: OrderBook, catalog: httpx.AsyncClient) -> Order:
        product = await _product(catalog, data.product_id)
        return book.add(data.product_id, product["name"], data.quantity, product["cents"])


async def _product(catalog: httpx.AsyncClient, product_id: str) -> dict[str, Any]:
    try:
        response = await catalog.get(f"/products/{product_id}")
        if response.status_code == httpx.codes.NOT_FOUND:
            raise NotFoundException(f"no product {product_id!r}")
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise HTTPException(f"the catalog app does not answer: {error}", status_code=502) from error
    product: dict[str, Any] = response.json()
    return product

from __future__ import annotations

import httpx
from fastapi import APIRouter, HTTPException, Request
from fastapi import __version__ as fastapi_version
from pydantic import BaseModel

from catalog.products import PRODUCTS, Product, find

router = APIRouter()


class Bestseller(BaseModel):
    product: Product
    sold: int


@router.get("/")
async def about() -> dict[str, str]:
    return {"app": "catalog", "framework": f"FastAPI {fastapi_version}"}


@router.get("/products")
async def products() -> tuple[Product, ...]:
    return PRODUCTS


@router.get("/products/{product_id}")
async def product(product_id: str) -> Product:
    found = find(product_id)
    if found is None:
        raise HTTPException(404, f"no product {product_id!r}")
    return found


@router.get("/bestsellers")
async def bestsellers(request: Request) -> list[Bestseller]:
    """The products in the order of their sales, which the orders app knows."""
    sold = await _sold(request.state.orders)
    ranked = sorted(PRODUCTS, key=lambda product: sold.get(product.id, 0), reverse=True)
    return [Bestseller(product=product, sold=sold.get(product.id, 0)) for product in ranked]


async def _sold(orders: httpx.AsyncClient) -> dict[str, int]:
    try:
        response = await orders.get("/orders/totals")
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise HTTPException(502, f"the orders app does not answer: {error}") from error
    totals: dict[str, int] = response.json()
    return totals

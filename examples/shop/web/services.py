"""Calls to the other apps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said: ``data``, or else what is wrong with it, in words that follow its name."""

    service: Service
    data: Any = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Shop:
    """All that the page shows."""

    catalog: Answer
    orders: Answer
    products: Answer
    latest: Answer


async def look_at_shop(client: httpx.AsyncClient, catalog: Service, orders: Service) -> Shop:
    """Ask for everything at once."""
    answers = await asyncio.gather(
        ask(client, catalog, "/"),
        ask(client, orders, "/"),
        ask(client, catalog, "/products"),
        ask(client, orders, "/orders"),
    )
    return Shop(*answers)


async def ask(client: httpx.AsyncClient, service: Service, path: str) -> Answer:
    try:
        response = await client.get(service.url + path, headers={"Accept": "application/json"})
        response.raise_for_status()
    except httpx.HTTPStatusError as error:
        return Answer(service, problem=f"answers {error.response.status_code}")
    except httpx.HTTPError as error:
        return Answer(service, problem=f"gives no answer ({type(error).__name__})")
    return Answer(service, response.json())


async def buy(client: httpx.AsyncClient, orders: Service, product_id: str) -> str | None:
    """Place an order for one; what went wrong, or None."""
    try:
        response = await client.post(f"{orders.url}/orders", json={"product_id": product_id})
    except httpx.HTTPError as error:
        return f"{orders.name} gives no answer ({type(error).__name__})"
    return None if response.is_success else f"{orders.name} answers {response.status_code}"

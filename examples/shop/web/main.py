"""The shop's page. Its data comes from the catalog and orders apps; a broken one leaves the rest of the page whole."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from web.page import Page, read_template
from web.services import Service, buy, look_at_shop


class State(TypedDict):
    """What a handler finds in ``request.state``."""

    client: httpx.AsyncClient
    catalog: Service
    orders: Service
    page: Page


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[State]:
    # trust_env=False: a proxy of the machine has no business between two local apps.
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        yield {
            "client": client,
            "catalog": Service("catalog", os.environ["CATALOG_URL"]),
            "orders": Service("orders", os.environ["ORDERS_URL"]),
            "page": read_template(),
        }


async def home(request: Request) -> HTMLResponse:
    state = request.state
    shop = await look_at_shop(state.client, state.catalog, state.orders)
    return HTMLResponse(state.page.render(shop))


async def buy_product(request: Request) -> Response:
    state = request.state
    problem = await buy(state.client, state.orders, request.path_params["product_id"])
    if problem is not None:
        return HTMLResponse(state.page.render_problem(problem), status_code=502)
    return RedirectResponse("/", status_code=303)


app = Starlette(
    routes=[
        Route("/", home),
        Route("/buy/{product_id}", buy_product, methods=["POST"]),
    ],
    lifespan=lifespan,
)

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import httpx
from fastapi import FastAPI, HTTPException, Request

from units import spell


class Clients(TypedDict):
    """What a handler finds in ``request.state``."""

    forecast: httpx.AsyncClient


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[Clients]:
    # trust_env=False: a proxy of the machine has no business between two local apps.
    async with httpx.AsyncClient(base_url=os.environ["FORECAST_URL"], timeout=5, trust_env=False) as forecast:
        yield {"forecast": forecast}


app = FastAPI(title="Gateway", lifespan=lifespan)


@app.get("/")
async def about(request: Request) -> dict[str, Any]:
    """Both services, as they describe themselves: each runs in an environment of its own."""
    own = {"service": "gateway", "environment": sys.prefix, "freezing": spell(0)}
    return {"gateway": own, "forecast": await _ask(request.state.forecast, "/")}


@app.get("/weather/{city}")
async def weather(request: Request, city: str) -> dict[str, str]:
    forecast = await _ask(request.state.forecast, f"/forecast/{city}")
    return {"city": city.title(), "tomorrow": spell(forecast["celsius"])}


async def _ask(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    try:
        response = await client.get(path)
    except httpx.HTTPError as error:
        raise HTTPException(502, f"the forecast does not answer: {error}") from error
    if not response.is_success:
        raise HTTPException(response.status_code, f"the forecast answers {response.status_code}")
    answer: dict[str, Any] = response.json()
    return answer

from __future__ import annotations

import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from units import spell

CELSIUS = {"oslo": 3.0, "rome": 17.5, "lima": 21.0}


async def about(_request: Request) -> JSONResponse:
    return JSONResponse({"service": "forecast", "environment": sys.prefix, "freezing": spell(0)})


async def forecast(request: Request) -> JSONResponse:
    city = request.path_params["city"]
    if city not in CELSIUS:
        return JSONResponse({"detail": f"no forecast for {city}"}, status_code=404)
    return JSONResponse({"city": city, "celsius": CELSIUS[city]})


app = Starlette(routes=[Route("/", about), Route("/forecast/{city}", forecast)])

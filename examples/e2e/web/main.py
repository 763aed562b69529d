"""One page. Its script asks the API, at the address that this app was told."""

from __future__ import annotations

import os
from pathlib import Path
from string import Template

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

PAGE = Path(__file__).with_name("page.html")


async def home(_request: Request) -> HTMLResponse:
    return HTMLResponse(Template(PAGE.read_text(encoding="utf-8")).substitute(api_url=os.environ["API_URL"]))


app = Starlette(routes=[Route("/", home)])

"""One endpoint. The page asks it again and again."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api.stations import Reading, readings

app = FastAPI(title="Weather")
# The page comes from Next's port, which is another origin to a browser, and nobody knows the port beforehand.
app.add_middleware(CORSMiddleware, allow_origin_regex=r"http://(127\.0\.0\.1|localhost|\[::1\]):\d+")


@app.get("/readings")
async def latest() -> list[Reading]:
    return readings()

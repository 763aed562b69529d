"""The apps that are measured, from one module without a framework to 60 modules with 360 routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A file that is edited. It has a line ``VERSION = "..."``, which every app shows at ``path``."""

    name: str
    file: str
    path: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A project. ``apps`` maps each app's name to its import string, seen from the project's folder."""

    name: str
    title: str
    files: Mapping[str, str]
    apps: Mapping[str, str]
    places: tuple[Place, ...]
    fastapi: bool = True


_BARE = """
from leaf import VERSION as LEAF

VERSION = "v00000"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b'{"version": "%s"}' % (LEAF if scope["path"] == "/leaf" else VERSION).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

_CONFIG = """
from pydantic import BaseModel


class Settings(BaseModel):
    title: str = "Shop"
    page_size: int = 50
    currency: str = "EUR"


settings = Settings()
"""

_MODELS = """
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, Field


class Money(BaseModel):
    amount: Decimal = Field(ge=0)
    currency: str = Field(default="EUR", min_length=3, max_length=3)


class Record(BaseModel):
    id: int
    name: str = Field(max_length=80)
    created: datetime | None = None


class Page(BaseModel):
    records: list[Record] = []
    total: int = 0
"""

_ROUTER = """
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from {package}.config import settings
from {package}.models import Money, Page, Record
{imports}
VERSION = "v00000"
router = APIRouter(prefix="/{name}", tags=["{name}"])


class {kind}In(BaseModel):
    name: str = Field(max_length=80)
    price: Money
    tags: list[str] = []
    notes: str | None = None


class {kind}Out({kind}In):
    id: int
    related: list[Record] = []


@router.get("/version")
async def version() -> dict[str, str]:
    return {{"version": VERSION}}


@router.get("/", response_model=Page)
async def list_{name}(limit: int = Query(default=settings.page_size, le=500), offset: int = 0):
    return Page()


@router.post("/", response_model={kind}Out, status_code=201)
async def create_{name}(item: {kind}In):
    return {kind}Out(id=1, **item.model_dump())


@router.get("/{{item_id}}", response_model={kind}Out)
async def read_{name}(item_id: int):
    raise HTTPException(404, "no such item")


@router.put("/{{item_id}}", response_model={kind}Out)
async def update_{name}(item_id: int, item: {kind}In):
    return {kind}Out(id=item_id, **item.model_dump())


{last}
"""

_DELETE = """
@router.delete("/{{item_id}}", status_code=204)
async def delete_{name}(item_id: int) -> None:
    return None
"""

_REPORT = """
@router.get("/report")
def report_{name}(session: Session = Depends(get_session)) -> dict[str, float]:
    rows = session.execute(select(tables.Order.amount)).scalars()
    return summary(list(rows))
"""

_LARGE_IMPORTS = """
from fastapi import Depends
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import tables
from shop.database import get_session
from shop.frames import summary
"""

_DATABASE = """
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

engine = create_engine("sqlite://")
sessions = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


def get_session() -> Iterator[Session]:
    with sessions() as session:
        yield session
"""

_TABLES = """
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[float]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer] = relationship(back_populates="orders")
"""

_FRAMES = """
import pandas as pd


def summary(amounts: list[float]) -> dict[str, float]:
    frame = pd.DataFrame({"amount": amounts})
    return {"total": float(frame["amount"].sum()), "mean": float(frame["amount"].mean())}
"""


def _router(package: str, name: str, imports: str = "", last: str = _DELETE) -> str:
    kind = name.capitalize()
    tail = last.format(name=name).strip("\n")
    return _ROUTER.format(package=package, name=name, kind=kind, imports=imports, last=tail)


def _main(package: str, routers: list[str]) -> str:
    """Imports on top, routers included below, as people write it."""
    names = "".join(f"    {name},\n" for name in routers)
    included = "".join(f"app.include_router({name}.router)\n" for name in routers)
    return f"""
from fastapi import FastAPI

from {package}.config import settings
from {package}.routers import (
{names})

VERSION = "v00000"
app = FastAPI(title=settings.title)
{included}

@app.get("/version")
async def version() -> dict[str, str]:
    return {{"version": VERSION}}
"""


def _fastapi(routers: list[str], sources: Mapping[str, str]) -> dict[str, str]:
    return {
        "shop/__init__.py": "",
        "shop/config.py": _CONFIG,
        "shop/models.py": _MODELS,
        "shop/routers/__init__.py": "",
        **{f"shop/routers/{name}.py": sources[name] for name in routers},
        "shop/main.py": _main("shop", routers),
    }


def _places(leaf: str, middle: str) -> tuple[Place, ...]:
    return (
        Place("leaf", f"shop/routers/{leaf}.py", f"/{leaf}/version"),
        Place("middle", f"shop/routers/{middle}.py", f"/{middle}/version"),
        Place("main", "shop/main.py", "/version"),
    )


def bare() -> Sample:
    """One module, and another that it imports."""
    files = {"leaf.py": 'VERSION = "v00000"\n', "main.py": _BARE}
    places = (Place("leaf", "leaf.py", "/leaf"), Place("main", "main.py", "/main"))
    return Sample("bare", "bare ASGI, 2 modules", files, {"api": "main:app"}, places, fastapi=False)


def small() -> Sample:
    """Eight modules: five routers with six routes each, their models and settings, and main."""
    routers = ["users", "orders", "items", "invoices", "admin"]
    files = _fastapi(routers, {name: _router("shop", name) for name in routers})
    return Sample("small", "FastAPI, 8 modules", files, {"api": "shop.main:app"}, _places("admin", "items"))


def large() -> Sample:
    """60 routers with six routes each, on SQLAlchemy and pandas."""
    routers = [f"r{number:02d}" for number in range(60)]
    sources = {name: _router("shop", name, _LARGE_IMPORTS, _REPORT) for name in routers}
    extra = {"shop/database.py": _DATABASE, "shop/tables.py": _TABLES, "shop/frames.py": _FRAMES}
    files = {**_fastapi(routers, sources), **extra}
    title = "FastAPI + SQLAlchemy + pandas, 60 router modules, 360 routes"
    return Sample("large", title, files, {"api": "shop.main:app"}, _places(routers[-1], routers[30]))


_SHARED_MAIN = """
from fastapi import FastAPI

from {name}.routes import router
from shared.settings import VERSION

app = FastAPI()
app.include_router(router)


@app.get("/version")
async def version() -> dict[str, str]:
    return {{"version": VERSION}}
"""


def shared() -> Sample:
    """Three apps that import one package; what is edited is a module of that package."""
    apps = ["one", "two", "three"]
    files = {
        "shared/__init__.py": "",
        "shared/config.py": _CONFIG,
        "shared/models.py": _MODELS,
        "shared/settings.py": 'VERSION = "v00000"\n',
    }
    for name in apps:
        files[f"{name}/__init__.py"] = ""
        files[f"{name}/routes.py"] = _router("shared", name)
        files[f"{name}/main.py"] = _SHARED_MAIN.format(name=name)
    places = (Place("shared", "shared/settings.py", "/version"),)
    title = "three FastAPI apps that share a package, until all three answer"
    return Sample("shared", title, files, {name: f"{name}.main:app" for name in apps}, places)


_MANY_MAIN = """
import time

IMPORTED = time.time()

from fastapi import FastAPI

from {name}.models import Record
from {name}.routes import router

app = FastAPI()
app.include_router(router)


@app.get("/imported")
async def imported() -> float:
    return IMPORTED
"""


def many(count: int) -> Sample:
    """``count`` small FastAPI apps of four modules each; ``/imported`` tells when the import began (``time.time``)."""
    files: dict[str, str] = {}
    apps: dict[str, str] = {}
    for number in range(count):
        name = f"app{number:02d}"
        apps[name] = f"{name}.main:app"
        files |= {
            f"{name}/__init__.py": "",
            f"{name}/config.py": _CONFIG,
            f"{name}/models.py": _MODELS,
            f"{name}/routes.py": _router(name, name),
            f"{name}/main.py": _MANY_MAIN.format(name=name),
        }
    places = (Place("main", "app00/main.py", "/imported"),)
    return Sample(f"{count} apps", f"{count} FastAPI apps", files, apps, places)


SAMPLES = {"bare": bare, "small": small, "large": large, "shared": shared}

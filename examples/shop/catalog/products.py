"""The products. Change a price and save: the next request answers with it."""

from __future__ import annotations

from pydantic import BaseModel


class Product(BaseModel, frozen=True):
    """``cents`` is the price of 100 g; ``colour`` is how the tea looks in the cup."""

    id: str
    name: str
    origin: str
    cents: int
    colour: str


PRODUCTS = (
    Product(id="sencha", name="Sencha", origin="Shizuoka, Japan", cents=1250, colour="#b9c46a"),
    Product(id="oolong", name="Iron Goddess", origin="Anxi, China", cents=1890, colour="#d9a441"),
    Product(id="assam", name="Assam", origin="Jorhat, India", cents=790, colour="#a4512a"),
    Product(id="rooibos", name="Rooibos", origin="Cederberg, South Africa", cents=640, colour="#c0392b"),
)


def find(product_id: str) -> Product | None:
    return next((product for product in PRODUCTS if product.id == product_id), None)

"""HTML from data. Everything that comes from another app is escaped."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

from web.services import Answer, Shop

TITLE = "Tea for three"


@dataclass(frozen=True, slots=True)
class Page:
    template: Template

    def render(self, shop: Shop) -> str:
        return self.template.substitute(
            title=TITLE,
            catalog_url=escape(shop.catalog.service.url),
            apps=_own_badge() + _badge(shop.catalog) + _badge(shop.orders),
            products=_each(shop.products, _product),
            orders=_each(shop.latest, _order) or '<li class="quiet">Nothing sold yet. Buy something!</li>',
        )

    def render_problem(self, problem: str) -> str:
        return f'<!doctype html><title>{TITLE}</title><p>{escape(problem)}</p><p><a href="/">Back to the shop</a></p>'


def read_template() -> Page:
    return Page(Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8")))


def _own_badge() -> str:
    return f"<li><b>web</b> Starlette {version('starlette')}</li>"


def _badge(answer: Answer) -> str:
    name, url = escape(answer.service.name), escape(answer.service.url)
    if answer.problem is not None:
        return f'<li class="bad"><b>{name}</b> {escape(answer.problem)} <a href="{url}">{url}</a></li>'
    return f'<li><b>{name}</b> {escape(answer.data["framework"])} <a href="{url}">{url}</a></li>'


def _each(answer: Answer, row: Any) -> str:
    if answer.problem is not None:
        return f'<li class="bad">{escape(answer.service.name)} {escape(answer.problem)}</li>'
    return "\n".join(row(item) for item in answer.data)


def _product(product: dict[str, Any]) -> str:
    return f"""<li class="product">
  <span class="cup" style="--tea: {escape(product["colour"])}"></span>
  <h3>{escape(product["name"])}</h3>
  <p>{escape(product["origin"])}</p>
  <form method="post" action="/buy/{escape(product["id"])}">
    <b>{_euros(product["cents"])}</b> <button>Buy</button>
  </form>
</li>"""


def _order(order: dict[str, Any]) -> str:
    text = f"{order['quantity']} × {order['product']}"
    return f'<li><span class="quiet">#{order["number"]}</span> {escape(text)} <b>{_euros(order["cents"])}</b></li>'


def _euros(cents: int) -> str:
    return f"€ {cents // 100}.{cents % 100:02}"

"""The orders, in memory: they are forgotten when this app restarts, and only then."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Order:
    number: int
    product_id: str
    product: str
    quantity: int
    cents: int
    at: datetime


@dataclass(slots=True)
class OrderBook:
    orders: list[Order] = field(default_factory=list)

    def add(self, product_id: str, product: str, quantity: int, unit_cents: int) -> Order:
        order = Order(
            number=len(self.orders) + 1,
            product_id=product_id,
            product=product,
            quantity=quantity,
            cents=quantity * unit_cents,
            at=datetime.now(UTC),
        )
        self.orders.append(order)
        return order

    def latest(self, count: int) -> list[Order]:
        return self.orders[: -count - 1 : -1]

    def totals(self) -> dict[str, int]:
        """How often each product was sold, by its id."""
        totals: Counter[str] = Counter()
        for order in self.orders:
            totals[order.product_id] += order.quantity
        return dict(totals)

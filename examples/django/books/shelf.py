"""The books. Add one and save: the page shows it, without reviews until the other app has some."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Book:
    slug: str
    title: str
    author: str
    year: int


BOOKS = (
    Book("emma", "Emma", "Jane Austen", 1815),
    Book("moby-dick", "Moby-Dick", "Herman Melville", 1851),
    Book("dracula", "Dracula", "Bram Stoker", 1897),
)

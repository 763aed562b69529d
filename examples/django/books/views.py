from __future__ import annotations

from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from books.reviews import fetch_reviews
from books.shelf import BOOKS


async def index(request: HttpRequest) -> HttpResponse:
    reviews = await fetch_reviews()
    books = [{"book": book, "reviews": (reviews or {}).get(book.slug, [])} for book in BOOKS]
    return render(request, "books/index.html", {"books": books, "unanswered": reviews is None})


async def books_json(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"books": [asdict(book) for book in BOOKS]})

"""The page with its API, in a browser."""

from __future__ import annotations

from playwright.sync_api import APIRequestContext, Page, expect


def test_a_note_that_is_written_shows_up(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Note").fill("buy tea")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("listitem")).to_have_text(["buy tea"])


def test_notes_are_there_when_the_page_comes(page: Page, api: APIRequestContext) -> None:
    api.post("/notes", data={"text": "water the plants"})
    page.goto("/")
    expect(page.get_by_role("listitem")).to_have_text(["water the plants"])

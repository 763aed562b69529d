"""Notes in memory: what one stack is told, no other stack knows."""

from __future__ import annotations

import os

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, Field

app = FastAPI(title="Notes")
# A page on another port is another origin. Its address is known: devrun tells it before any app starts.
app.add_middleware(
    CORSMiddleware, allow_origins=[os.environ["WEB_URL"]], allow_methods=["*"], allow_headers=["Content-Type"]
)


class Note(BaseModel):
    text: str = Field(min_length=1, max_length=80)


notes: list[Note] = []


@app.get("/notes")
async def all_notes() -> list[Note]:
    return notes


@app.post("/notes", status_code=201)
async def add_note(note: Note) -> Note:
    notes.append(note)
    return note


@app.delete("/notes", status_code=204)
async def forget_notes() -> None:
    notes.clear()

"""The two streams. Both stay open for as long as the page does, so every reload has to end them first."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse

from api.messages import answer, ticks

app = FastAPI(title="Streams")
# The page comes from Vite's port, which is another origin to a browser, and nobody knows the port beforehand.
app.add_middleware(CORSMiddleware, allow_origin_regex=r"http://(127\.0\.0\.1|localhost|\[::1\]):\d+")


@app.get("/ticks")
async def stream_ticks() -> StreamingResponse:
    return StreamingResponse(_events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events() -> AsyncIterator[str]:
    yield "retry: 500\n\n"
    async for tick in ticks():
        yield f"data: {tick}\n\n"


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(answer(await socket.receive_text()))
    except WebSocketDisconnect:
        return

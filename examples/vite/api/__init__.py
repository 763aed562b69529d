"""A server clock over Server-Sent Events and an echo over a WebSocket: FastAPI."""

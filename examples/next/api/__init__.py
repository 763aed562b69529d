"""The weather, invented: FastAPI."""

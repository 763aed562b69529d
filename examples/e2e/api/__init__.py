"""The notes: FastAPI."""

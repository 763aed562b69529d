"""What is on the shelf: FastAPI."""

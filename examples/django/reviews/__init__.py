"""What people think of the books: FastAPI."""

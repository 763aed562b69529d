"""What the outside world may ask: FastAPI, in a virtual environment of its own."""

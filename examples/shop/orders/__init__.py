"""What was bought: Litestar."""

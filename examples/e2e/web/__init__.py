"""The page: Starlette."""

"""The page that customers see: Starlette."""

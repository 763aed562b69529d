"""devrun: several ASGI apps and a frontend, on ports the operating system chose, with hot reload."""

__version__ = "0.1.0"

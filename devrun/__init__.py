"""devrun: several ASGI apps of one project, on ports the operating system chose, with hot reload."""

__version__ = "0.1.0"

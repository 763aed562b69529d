"""The promise that every reader of env files reads the same, held against the real readers.

``python -m tests.readers`` is the long form: many more values, and many choices of readers.
"""

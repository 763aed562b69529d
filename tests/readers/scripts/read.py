"""Reads env files with one of the readers of the Python world: ``python read.py READER < files.json > answers.json``.

Runs on its own, in a clean environment. A file comes with the names in it. An answer is a table of variables, or what
went wrong.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import sys
from collections.abc import Callable
from typing import Any

Read = Callable[[str, "list[str]"], "dict[str, str]"]


def python_dotenv() -> Read:
    from dotenv import load_dotenv

    return lambda path, names: _into_environment(lambda: load_dotenv(path))


def pydantic_settings() -> Read:
    from pydantic import Field, create_model
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class Base(BaseSettings):
        model_config = SettingsConfigDict(case_sensitive=True, extra="ignore")

    def read(path: str, names: list[str]) -> dict[str, str]:
        # By alias, for a field cannot have every name that a variable can have.
        fields: Any = {f"f{i}": (str | None, Field(None, validation_alias=name)) for i, name in enumerate(names)}
        settings: Any = create_model("Settings", __base__=Base, **fields)
        found = settings(_env_file=path).model_dump()
        return {name: found[f"f{i}"] for i, name in enumerate(names) if found[f"f{i}"] is not None}

    return read


def environs() -> Read:
    from environs import Env

    def read(path: str, names: list[str]) -> dict[str, str]:
        env = Env()
        env.read_env(path, recurse=False)
        return {name: value for name in names if (value := env.str(name, None)) is not None}

    return read


def django_environ() -> Read:
    from environ import Env  # type: ignore[import-untyped]

    def load(path: str, names: list[str]) -> None:
        Env.read_env(path)
        # What a settings module gets: `env()` follows a leading `$` to another variable.
        os.environ.update({name: Env()(name) for name in names if name in os.environ})

    return lambda path, names: _into_environment(lambda: load(path, names))


def systemd() -> Read:
    library = ctypes.CDLL(sys.argv[2])
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    libc.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    libc.fclose.argtypes = [ctypes.c_void_p]
    library.load_env_file.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.POINTER(ctypes.c_char_p))]

    def read(path: str, names: list[str]) -> dict[str, str]:
        file = libc.fopen(os.fsencode(path), b"r")
        found = ctypes.POINTER(ctypes.c_char_p)()
        code = library.load_env_file(file, os.fsencode(path), ctypes.byref(found))
        libc.fclose(file)
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        if ctypes.cast(found, ctypes.c_void_p).value is None:
            return {}  # an empty file
        entries = itertools.takewhile(lambda entry: entry is not None, (found[i] for i in itertools.count()))
        pairs = (entry.decode().partition("=") for entry in entries)
        return {name: value for name, _, value in pairs}

    return read


def _into_environment(load: Callable[[], Any]) -> dict[str, str]:
    before = dict(os.environ)
    try:
        load()
        return dict(os.environ)
    finally:
        os.environ.clear()
        os.environ.update(before)


READERS = {
    "python-dotenv": python_dotenv,
    "pydantic-settings": pydantic_settings,
    "environs": environs,
    "django-environ": django_environ,
    "systemd": systemd,
}


def main() -> None:
    read = READERS[sys.argv[1]]()
    answers: list[dict[str, Any]] = []
    for file in json.load(sys.stdin):
        try:
            answers.append({"variables": read(file["path"], file["names"])})
        except Exception as error:
            answers.append({"error": f"{type(error).__name__}: {error}"})
    # Bytes that are not UTF-8 come as lone surrogates, which JSON can carry.
    json.dump(answers, sys.stdout)


main()

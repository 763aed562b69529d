"""The types of devrun.toml. What a user may write, with its meaning; frozen.

Knows no environment, no working directory, no flags and no disk. ``parse`` (in ``devrun.parse``) turns text into
these types; ``devrun.schema`` turns the types into JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

NAME_PATTERN = "^[a-z][a-z0-9_-]*$"

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class UvicornSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Settings that are handed to uvicorn as they are: all of ``uvicorn.Config`` but sockets, reload and workers."""

    # filled in by devrun.config's author: one optional field a setting


class App(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ASGI application, served by uvicorn on a port of its own."""

    app: Annotated[str, Meta(description="Import string as uvicorn takes it: module:attribute.")]
    factory: Annotated[bool, Meta(description="`app` is a function that returns the application.")] = False
    cwd: Annotated[
        str | None,
        Meta(description="Working directory and first entry of sys.path; default: the project folder."),
    ] = None
    python: Annotated[
        str | None,
        Meta(
            description="Interpreter; default: .venv in cwd, then $VIRTUAL_ENV, then .venv in the project, then devrun's."
        ),
    ] = None
    port: Annotated[
        Port | Literal["sticky"],
        Meta(description='0: a free port at each up; "sticky": the last one if it is free; else exactly this port.'),
    ] = 0
    host: Annotated[str, Meta(description="Address to listen on; 127.0.0.1 also listens on ::1 where there is IPv6.")] = (
        "127.0.0.1"
    )
    env: Annotated[dict[str, str], Meta(description="Environment variables; ${NAME.url} and the like are filled in.")] = (
        field(default_factory=dict)
    )
    env_file: Annotated[
        str | tuple[str, ...], Meta(description="Env file or files to read; a later file wins.")
    ] = ()
    watch: Annotated[
        tuple[str, ...], Meta(description="Folders and patterns to watch besides the files that the app imports.")
    ] = ()
    ignore: Annotated[tuple[str, ...], Meta(description="Patterns of files whose change restarts nothing.")] = ()
    depends_on: Annotated[tuple[Name, ...], Meta(description="Apps that must be ready before this one starts.")] = ()
    health: Annotated[
        str | None, Meta(description="Path that answers 2xx when the app is ready.", pattern="^/")
    ] = None
    reload: Annotated[bool, Meta(description="Restart the app when a file that it loaded changes.")] = True
    grace: Annotated[float, Meta(description="Seconds for requests in flight at a reload or stop.", ge=0, le=600)] = 1.0
    open: Annotated[
        bool | str, Meta(description="Open the URL in a browser when first ready; a text is the path to open.")
    ] = False
    uvicorn: Annotated[UvicornSettings, Meta(description="Settings handed to uvicorn.")] = field(
        default_factory=UvicornSettings
    )


class EnvFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One generated env file (``[[dotenv]]``)."""

    path: Annotated[str, Meta(description="The file, relative to the project folder.")] = ".env"
    prefix: Annotated[str, Meta(description="Put in front of every name: VITE_ gives VITE_API_URL.")] = ""
    only: Annotated[tuple[Name, ...] | None, Meta(description="Which endpoints; default: all.")] = None
    vars: Annotated[dict[str, str], Meta(description="More variables; ${NAME.url} and the like are filled in.")] = field(
        default_factory=dict
    )
    keep: Annotated[bool, Meta(description="Leave the block in the file when the stack goes down.")] = False


class Reload(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How reloads work (``[reload]``)."""

    engine: Annotated[Literal["auto", "fork", "spawn"], Meta(description="How a worker is started.")] = "auto"
    preload: Annotated[
        Literal["auto", "off"] | tuple[str, ...], Meta(description="Modules that the fork server imports.")
    ] = "auto"


class ProjectConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole devrun.toml, with ``[defaults]`` already merged into every app."""

    name: Annotated[str | None, Meta(description="Name of the stack; default: the folder's name.", min_length=1)] = None
    apps: Annotated[dict[Name, App], Meta(description="The ASGI applications.", min_length=1)]
    dotenv: Annotated[tuple[EnvFile, ...], Meta(description="The env files to write; default: .env.")] = (EnvFile(),)
    compounds: Annotated[dict[Name, tuple[Name, ...]], Meta(description="Named groups for `devrun up NAME`.")] = field(
        default_factory=dict
    )
    reload: Annotated[Reload, Meta(description="How reloads work.")] = field(default_factory=Reload)

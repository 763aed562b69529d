"""The types of devrun.toml. What a user may write, with its meaning; frozen.

Knows no environment, no working directory, no flags and no disk. ``parse`` (in ``devrun.parse``) turns text into
these types; ``devrun.schema`` turns the types into JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import NODEFAULT, Meta, Struct, defstruct, field
from msgspec.structs import FieldInfo, fields

from devrun.consumers import Consumer
from devrun.kinds import Host, ImportString, Name, Port, Text, Url, UrlPath, Variable
from devrun.uvicorn_settings import UvicornSettings


class App(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ASGI application, served by uvicorn on a port of its own."""

    app: Annotated[ImportString, Meta(description="Import string as uvicorn takes it: module:attribute.")]
    factory: Annotated[bool, Meta(description="`app` is a function that returns the application.")] = False
    cwd: Annotated[
        Text | None,
        Meta(description="Working directory and first entry of sys.path; default: the project folder."),
    ] = None
    python: Annotated[
        Text | None,
        Meta(
            description="Interpreter; default: cwd's .venv, else $VIRTUAL_ENV, else the project's .venv, else devrun's."
        ),
    ] = None
    port: Annotated[
        Port | Literal["sticky"],
        Meta(description='0: a free port at each up; "sticky": the last one if it is free; else exactly this port.'),
    ] = 0
    host: Annotated[
        Host, Meta(description="Address to listen on; 127.0.0.1 also listens on ::1 where there is IPv6.")
    ] = "127.0.0.1"
    env: Annotated[
        dict[Variable, str], Meta(description="Environment variables; ${NAME.url} and the like are filled in.")
    ] = {}
    env_file: Annotated[Text | tuple[Text, ...], Meta(description="Env file or files to read; a later file wins.")] = ()
    watch: Annotated[
        tuple[Text, ...], Meta(description="Folders and patterns to watch besides the files that the app imports.")
    ] = ()
    ignore: Annotated[tuple[Text, ...], Meta(description="Patterns of files whose change restarts nothing.")] = ()
    depends_on: Annotated[tuple[Name, ...], Meta(description="What must be ready before this one starts.")] = ()
    health: Annotated[UrlPath | None, Meta(description="Path that answers 2xx when the app is ready.")] = None
    reload: Annotated[bool, Meta(description="Restart the app when a file that it loaded changes.")] = True
    grace: Annotated[float, Meta(description="Seconds for requests in flight at a reload or stop.", ge=0, le=600)] = 1.0
    open: Annotated[
        bool | UrlPath, Meta(description="Open the URL in a browser when first ready; a text is the path to open.")
    ] = False
    identify: Annotated[
        bool, Meta(description="Send x-devrun: <stack>/<app>@<branch or folder> with every response.")
    ] = True
    uvicorn: Annotated[UvicornSettings, Meta(description="Settings handed to uvicorn.")] = field(
        default_factory=UvicornSettings
    )


MERGED = ("env", "uvicorn")
"""Keys of an app whose tables are merged with those of ``[defaults]``; of all others the app's own wins whole."""


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any other process of the stack: a frontend's dev server, a queue worker (``[commands.NAME]``)."""

    run: Annotated[
        Text | Annotated[tuple[str, ...], Meta(min_length=1)],
        Meta(
            description="What to run, without a shell: a text is split as a shell splits words, a list is taken as is. "
            "${NAME.url} and the like are filled in.",
            extra={"expected": "a command such as 'npm run dev', or a list of its words"},
        ),
    ]
    cwd: Annotated[Text | None, Meta(description="Working directory; default: the project folder.")] = None
    env: Annotated[
        dict[Variable, str], Meta(description="Environment variables; ${NAME.url} and the like are filled in.")
    ] = {}
    env_file: Annotated[Text | tuple[Text, ...], Meta(description="Env file or files to read; a later file wins.")] = ()
    port: Annotated[
        Port | Literal["sticky"] | None,
        Meta(
            description='Exported as PORT and known from the start. 0: a free port at each up; "sticky": the last one '
            "if it is free; else exactly this port. Without it the port is read off the process once it listens."
        ),
    ] = None
    restart: Annotated[
        Literal["never", "on-failure", "always"], Meta(description="When to start it again after it ended.")
    ] = "never"
    depends_on: Annotated[tuple[Name, ...], Meta(description="What must be ready before this one starts.")] = ()
    grace: Annotated[float, Meta(description="Seconds from SIGTERM to SIGKILL when it is to end.", ge=0, le=600)] = 3.0


class External(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that the stack only refers to (``[external.NAME]``)."""

    url: Annotated[Url, Meta(description="Where it is: a URL with the port, if it is not the usual one of its scheme.")]


class EnvFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One generated env file (``[[dotenv]]``)."""

    path: Annotated[Text, Meta(description="The file, relative to the project folder.")] = ".env"
    prefix: Annotated[
        str,
        Meta(
            description="Put in front of every name: VITE_ gives VITE_API_URL.",
            pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
            extra={"expected": "the beginning of a variable name, such as 'VITE_'"},
        ),
    ] = ""
    only: Annotated[tuple[Name, ...] | None, Meta(description="Which endpoints; default: all.")] = None
    vars: Annotated[
        dict[Variable, str], Meta(description="More variables; ${NAME.url} and the like are filled in.")
    ] = {}
    keep: Annotated[bool, Meta(description="Leave the block in the file when the stack goes down.")] = False
    outside: Annotated[
        bool, Meta(description="The file may lie outside the project folder, also by way of a link.")
    ] = False
    readers: Annotated[
        Annotated[
            tuple[Consumer, ...], Meta(min_length=1, extra={"expected": "a list of the programs that read the file"})
        ]
        | None,
        Meta(description="The programs that read the file and must read every value alike; default: all known ones."),
    ] = field(default=None, name="for")


class Reload(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How reloads work (``[reload]``)."""

    engine: Annotated[Literal["auto", "fork", "spawn"], Meta(description="How a worker is started.")] = "auto"
    preload: Annotated[
        Literal["auto", "off"] | tuple[Text, ...], Meta(description="Modules that the fork server imports.")
    ] = "auto"
    checkpoints: Annotated[
        int, Meta(description="How many processes of an app are parked at most in front of edited files.", ge=0, le=64)
    ] = 4


Members = Annotated[tuple[Name, ...], Meta(min_length=1, extra={"expected": "a list of one name or more"})]


class ProjectConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole devrun.toml, with ``[defaults]`` already merged into every app."""

    name: Annotated[
        Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]+$", extra={"expected": "a name on one line"})] | None,
        Meta(description="Name of the stack; default: the folder's name."),
    ] = None
    apps: Annotated[
        dict[Name, App],
        Meta(description="The ASGI applications.", min_length=1, extra={"expected": "at least one table [apps.NAME]"}),
    ]
    commands: Annotated[
        dict[Name, Command], Meta(description="Other processes of the stack: dev servers of frontends, queue workers.")
    ] = {}
    external: Annotated[
        dict[Name, External], Meta(description="Addresses that the stack only refers to, as a staging service.")
    ] = {}
    dotenv: Annotated[tuple[EnvFile, ...], Meta(description="The env files to write; default: .env.")] = (EnvFile(),)
    compounds: Annotated[dict[Name, Members], Meta(description="Named groups for `devrun up NAME`.")] = {}
    reload: Annotated[Reload, Meta(description="How reloads work.")] = field(default_factory=Reload)


def file_type() -> type[Struct]:
    """Return the type of a devrun.toml as it is written: with ``[defaults]``, and so with no required key in an app."""
    app: Any = defstruct(
        "App", [_field(info, optional=True) for info in fields(App)], kw_only=True, forbid_unknown_fields=True
    )
    known = {info.name: info for info in fields(ProjectConfig)}
    defaults = Meta(description="Keys for the apps that do not set them; env and uvicorn are merged key by key.")
    changed: list[_Field] = [
        ("apps", Annotated[dict[Name, app], *known.pop("apps").type.__metadata__], field()),
        ("defaults", Annotated[app, defaults], None),
    ]
    rest = [_field(info) for info in known.values()]
    return defstruct("File", [*changed, *rest], kw_only=True, forbid_unknown_fields=True)


_Field = tuple[str, Any, Any]


def _field(info: FieldInfo, *, optional: bool = False) -> _Field:
    if info.default_factory is not NODEFAULT:
        return info.name, info.type, field(default_factory=info.default_factory)
    if info.default is NODEFAULT:
        return info.name, info.type, None if optional else field()
    return info.name, info.type, field(default=info.default)

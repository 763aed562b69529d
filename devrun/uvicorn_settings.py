"""Which settings of uvicorn an app may set, and where the others went.

Types and words only; imports no uvicorn: an app's uvicorn may be another than devrun's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from devrun.kinds import Count, Pair, Positive, Seconds, Text, one_of


class UvicornSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Settings that are handed to uvicorn as they are: all of ``uvicorn.Config`` but sockets, reload and workers.

    None: not set, uvicorn's own default holds. ``msgspec.to_builtins`` gives those that are set. A setting that the
    app's uvicorn is too old for is for the worker to report.
    """

    loop: Annotated[
        Annotated[str, one_of("none", "auto", "asyncio", "uvloop", "zuvloop")] | None,
        Meta(description="Event loop: a name that uvicorn knows or an import string."),
    ] = None
    http: Annotated[
        Annotated[str, one_of("auto", "h11", "httptools", "zttp")] | None,
        Meta(description="HTTP protocol: a name that uvicorn knows or an import string."),
    ] = None
    http2: Annotated[bool | None, Meta(description="Speak HTTP/2, too; needs an HTTP protocol that can.")] = None
    ws: Annotated[
        Annotated[str, one_of("auto", "none", "websockets", "websockets-sansio", "wsproto")] | None,
        Meta(description="WebSocket protocol: a name that uvicorn knows or an import string."),
    ] = None
    ws_max_size: Annotated[Count | None, Meta(description="Largest WebSocket message, in bytes.")] = None
    ws_max_queue: Annotated[Count | None, Meta(description="Most WebSocket messages waiting to be read.")] = None
    ws_ping_interval: Annotated[Seconds | None, Meta(description="Seconds between WebSocket pings.")] = None
    ws_ping_timeout: Annotated[Seconds | None, Meta(description="Seconds to wait for a WebSocket pong.")] = None
    ws_per_message_deflate: Annotated[bool | None, Meta(description="Compress WebSocket messages.")] = None
    lifespan: Annotated[
        Literal["auto", "on", "off"] | None,
        Meta(description="Lifespan events: on, off, or auto: on if the app answers them."),
    ] = None
    interface: Annotated[
        Literal["auto", "asgi3", "asgi2", "wsgi"] | None, Meta(description="The interface that the app speaks.")
    ] = None
    log_config: Annotated[
        Text | None, Meta(description="Logging configuration file: .ini, .json or .yaml, relative to cwd.")
    ] = None
    log_level: Annotated[
        Literal["critical", "error", "warning", "info", "debug", "trace"] | Count | None,
        Meta(description="Level of uvicorn's logs, by name or number."),
    ] = None
    access_log: Annotated[bool | None, Meta(description="Log every request.")] = None
    use_colors: Annotated[
        bool | None, Meta(description="Colours in uvicorn's logs; default: where they go to a terminal.")
    ] = None
    proxy_headers: Annotated[
        bool | None, Meta(description="Believe X-Forwarded-Proto and X-Forwarded-For of trusted proxies.")
    ] = None
    forwarded_allow_ips: Annotated[
        str | tuple[str, ...] | None, Meta(description="Proxies to trust: addresses, networks or '*'.")
    ] = None
    server_header: Annotated[bool | None, Meta(description="Send a Server header.")] = None
    date_header: Annotated[bool | None, Meta(description="Send a Date header.")] = None
    headers: Annotated[
        tuple[Pair, ...] | None, Meta(description="Headers to add to every response: a list of [name, value].")
    ] = None
    root_path: Annotated[str | None, Meta(description="ASGI root_path: where a proxy mounts the app.")] = None
    limit_concurrency: Annotated[
        Positive | None, Meta(description="Most connections or tasks at a time; more are answered 503.")
    ] = None
    limit_max_requests: Annotated[Positive | None, Meta(description="Requests after which a worker ends.")] = None
    limit_max_requests_jitter: Annotated[
        Count | None, Meta(description="Largest random number to add to limit_max_requests.")
    ] = None
    timeout_keep_alive: Annotated[Count | None, Meta(description="Seconds that an idle connection is kept.")] = None
    h11_max_incomplete_event_size: Annotated[
        Count | None, Meta(description="Most bytes of an incomplete event that h11 buffers.")
    ] = None
    reset_contextvars: Annotated[
        bool | None, Meta(description="Run each request in a fresh context, without what lifespan set.")
    ] = None
    ssl_keyfile: Annotated[Text | None, Meta(description="Private key file, relative to cwd.")] = None
    ssl_certfile: Annotated[
        Text | None, Meta(description="Certificate file, relative to cwd; with it the app's URL is https.")
    ] = None
    ssl_keyfile_password: Annotated[str | None, Meta(description="Password of the private key.")] = None
    ssl_version: Annotated[Count | None, Meta(description="A PROTOCOL_ number of Python's ssl module.")] = None
    ssl_cert_reqs: Annotated[
        Literal[0, 1, 2] | None, Meta(description="Client certificates: 0 none, 1 optional, 2 required.")
    ] = None
    ssl_ca_certs: Annotated[
        Text | None, Meta(description="File of the authorities that sign client certificates, relative to cwd.")
    ] = None
    ssl_ciphers: Annotated[str | None, Meta(description="Ciphers in OpenSSL's notation.")] = None


_SOCKETS = "devrun binds the sockets"
_PROCESSES = "devrun runs one process an app"
_CALLABLE = "a config file cannot hold a Python callable"

ELSEWHERE: Mapping[str, str] = {
    "app": "it is the app's own `app`",
    "factory": "it is the app's own `factory`",
    "app_dir": "it is the app's own `cwd`",
    "env_file": "it is the app's own `env_file`",
    "host": "it is the app's own `host`",
    "port": "it is the app's own `port`",
    "timeout_graceful_shutdown": "it is the app's own `grace`",
    "reload": "it is the app's own `reload`",
    "reload_dirs": "it is the app's own `watch`",
    "reload_includes": "it is the app's own `watch`",
    "reload_excludes": "it is the app's own `ignore`",
    "reload_delay": "devrun watches the files",
    "uds": _SOCKETS,
    "fd": _SOCKETS,
    "backlog": _SOCKETS,
    "workers": _PROCESSES,
    "timeout_worker_healthcheck": _PROCESSES,
    "timeout_notify": _CALLABLE,
    "callback_notify": _CALLABLE,
    "ssl_context_factory": _CALLABLE,
}
"""Settings of uvicorn that are not in ``UvicornSettings``, and why."""

from __future__ import annotations

import os
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from devrun.config import EnvFile, ProjectConfig
from devrun.errors import ConfigError
from devrun.parse import load, parse
from devrun.rules import circles

FULL = """\
#:schema .devrun/devrun.schema.json
name = "shop"

[defaults]
grace = 2
env = { LOG_LEVEL = "info", SHARED = "${workspaceFolder}/shared" }
uvicorn = { log_level = "info", access_log = false }

[apps.api]
app = "shop.main:create.app"
factory = true
cwd = "services/api"
python = ".venv/bin/python"
port = "sticky"
host = "0.0.0.0"
env = { LOG_LEVEL = "debug", AUTH = "${auth.url}$$${env:HOME}" }
env_file = ".env.api"
watch = ["../shared", "*.sql"]
ignore = ["generated/*"]
depends_on = ["auth"]
health = "/healthz?full=1"
reload = false
grace = 0.5
open = "/docs"
uvicorn = { root_path = "/api", log_level = 10 }

[apps.auth]
app = "auth:app"
port = 8000
env_file = [".env", ".env.auth"]
open = true

[[dotenv]]

[[dotenv]]
path = "frontend/.env.local"
prefix = "VITE_"
only = ["api"]
vars = { VITE_API_BASE = "${api.url}/v1" }
keep = true

[compounds]
backend = ["api", "auth"]
all = ["backend"]

[reload]
engine = "spawn"
preload = ["numpy"]
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(textwrap.dedent(text).lstrip("\n"), "devrun.toml")
    return [str(mistake).removeprefix("devrun.toml:") for mistake in caught.value.mistakes]


# --- what is right ---------------------------------------------------------------------------------------------------


def test_every_key_is_read() -> None:
    config, places = parse(FULL, "devrun.toml")
    api, auth = config.apps["api"], config.apps["auth"]
    assert config.name == "shop"
    assert (api.app, api.factory, api.cwd, api.python) == (
        "shop.main:create.app",
        True,
        "services/api",
        ".venv/bin/python",
    )
    assert (api.port, api.host, api.health, api.reload) == ("sticky", "0.0.0.0", "/healthz?full=1", False)
    assert (api.env_file, auth.env_file) == (".env.api", (".env", ".env.auth"))
    assert (api.watch, api.ignore, api.depends_on) == (("../shared", "*.sql"), ("generated/*",), ("auth",))
    assert (api.open, auth.open, auth.port) == ("/docs", True, 8000)
    assert config.dotenv[0] == EnvFile()
    assert config.dotenv[1] == EnvFile(
        path="frontend/.env.local", prefix="VITE_", only=("api",), vars={"VITE_API_BASE": "${api.url}/v1"}, keep=True
    )
    assert config.compounds == {"backend": ("api", "auth"), "all": ("backend",)}
    assert (config.reload.engine, config.reload.preload) == ("spawn", ("numpy",))
    assert places.line(("apps", "auth", "port")) == 29


def test_defaults_hold_where_an_app_is_silent_and_tables_are_merged() -> None:
    config, _ = parse(FULL, "devrun.toml")
    api, auth = config.apps["api"], config.apps["auth"]
    assert (api.grace, auth.grace) == (0.5, 2.0)
    assert api.env == {
        "LOG_LEVEL": "debug",
        "SHARED": "${workspaceFolder}/shared",
        "AUTH": "${auth.url}$$${env:HOME}",
    }
    assert auth.env == {"LOG_LEVEL": "info", "SHARED": "${workspaceFolder}/shared"}
    assert (api.uvicorn.log_level, api.uvicorn.access_log, api.uvicorn.root_path) == (10, False, "/api")
    assert (auth.uvicorn.log_level, auth.uvicorn.root_path) == ("info", None)


def test_the_smallest_file() -> None:
    config, _ = parse('[apps.api]\napp = "main:app"', "devrun.toml")
    api = config.apps["api"]
    assert (config.name, config.dotenv, config.compounds) == (None, (EnvFile(),), {})
    assert (api.port, api.host, api.reload, api.grace, api.open) == (0, "127.0.0.1", True, 1.0, False)


def test_the_app_itself_may_be_a_default() -> None:
    config, _ = parse('[defaults]\napp = "main:app"\n[apps.a]\n[apps.b]\nport = 1', "devrun.toml")
    assert [app.app for app in config.apps.values()] == ["main:app", "main:app"]


def test_one_port_on_two_addresses_is_no_clash() -> None:
    parse('[apps.a]\napp="a:a"\nport=80\nhost="10.0.0.1"\n[apps.b]\napp="a:a"\nport=80\nhost="10.0.0.2"', "devrun.toml")


def test_500_apps() -> None:
    text = "".join(
        f'[apps.app-{i}]\napp = "a:b"\nport = {i}\ndepends_on = [{repr(f"app-{i - 1}") if i else ""}]\n'
        f'env = {{ OTHER = "${{app-{499 - i}.url}}" }}\n'
        for i in range(500)
    )
    assert len(parse(text, "devrun.toml")[0].apps) == 500


# --- what is wrong ---------------------------------------------------------------------------------------------------


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    assert mistakes("""
        name = ""
        titel = "shop"
        [commands.web]
        run = "npm run 'dev"
        [defaults]
        grace = inf
        env = { A = "${apii.url} ${x", 1B = "", C = 3 }
        [apps.api]
        app = "shop/main.py"
        port = 70000
        host = "[::1]"
        depends_on = ["auht", "Api"]
        uvicorn = { port = 3, htpp = "h11", http = "h1", log_level = "inof", headers = [["a"]], workers = 2 }
        [apps.auth]
        depends_on = ["api"]
        prot = 3
        health = "healthz"
        open = 3
        [apps.api_x]
        app = "a:b"
        port = 8000
        env_file = [1, ""]
        watch = "src"
        [apps.api-x]
        app = "a:b\\u0000"
        port = 8000
        reload = "yes"
        [[dotenv]]
        only = ["ap"]
        prefix = "1"
        [[dotenv]]
        path = "./.env"
        vars = { X = "${env:HOME} ${workspacefolder}" }
        colour = 1
        [compounds]
        api = ["auth"]
        b1 = ["b2"]
        b2 = ["b1", "zz"]
        b3 = []
        [reload]
        engine = "forc"
        preload = 1979-05-27
    """) == [
        "1: name: ''; expected a name on one line",
        "2: titel: unknown key; expected a key at the top of devrun.toml: apps, defaults, name, commands, external, "
        "dotenv, compounds, reload",
        '4: commands.web.run: "npm run \'dev": no closing quotation; expected words as a shell takes them',
        "6: defaults.grace: inf; expected a number from 0 to 600",
        "7: defaults.env.A: unknown variable '${apii.url}'; expected ${NAME.url}, .host, .port or .ws_url of an "
        "endpoint, ${env:NAME}, ${workspaceFolder}, or $$ for a dollar sign (did you mean '${api.url}'?)",
        "7: defaults.env.A: '${x' has no closing '}'; expected ${NAME.url}, .host, .port or .ws_url of an endpoint, "
        "${env:NAME}, ${workspaceFolder}, or $$ for a dollar sign",
        "7: defaults.env.1B: '1B'; expected a variable name: A-Z, a-z, 0-9 and _, no digit in front",
        "7: defaults.env.C: 3; expected a string",
        "9: apps.api.app: 'shop/main.py'; expected an import string module:attribute, such as 'shop.main:app'",
        "10: apps.api.port: 70000; expected a whole number from 0 to 65535 or 'sticky'",
        "11: apps.api.host: '[::1]'; expected an address or host name such as '127.0.0.1' or '::1'",
        "12: apps.api.depends_on.0: there is no app or command 'auht'; "
        "expected the name of an app or command (did you mean 'auth'?)",
        "12: apps.api.depends_on.1: there is no app or command 'Api'; "
        "expected the name of an app or command (did you mean 'api'?)",
        "13: apps.api.uvicorn.port: not set here: it is the app's own `port`",
        "13: apps.api.uvicorn.htpp: unknown key; expected a setting of uvicorn (did you mean 'http'?)",
        "13: apps.api.uvicorn.http: 'h1'; expected 'auto', 'h11', 'httptools', 'zttp' or an import string "
        "module:attribute (did you mean 'h11'?)",
        "13: apps.api.uvicorn.log_level: 'inof'; expected 'critical', 'debug', 'error', 'info', 'trace' or 'warning' "
        "or a whole number, 0 or more (did you mean 'info'?)",
        "13: apps.api.uvicorn.headers.0: a list of 1; expected a pair [name, value]",
        "13: apps.api.uvicorn.workers: not set here: devrun runs one process an app",
        "14: apps.auth.app: missing; expected an import string module:attribute, such as 'shop.main:app'",
        "16: apps.auth.prot: unknown key; expected a key of an app (did you mean 'port'?)",
        "17: apps.auth.health: 'healthz'; expected a URL path such as '/healthz'",
        "18: apps.auth.open: 3; expected true or false or a URL path such as '/healthz'",
        "22: apps.api_x.env_file.0: 1; expected a string that is not empty",
        "22: apps.api_x.env_file.1: ''; expected a string that is not empty",
        "23: apps.api_x.watch: 'src'; expected a list of strings",
        "24: apps.api-x: API_X_URL and the like are variables of 'api_x' already; expected another name",
        "25: apps.api-x.app: a NUL character in 'a:b\\x00'; expected an import string module:attribute, "
        "such as 'shop.main:app'",
        "26: apps.api-x.port: 8000 is the port of 'api_x' already; expected a port of its own, or 0",
        "27: apps.api-x.reload: 'yes'; expected true or false",
        "29: dotenv.0.only.0: there is no endpoint 'ap'; "
        "expected the name of an app, command or external (did you mean 'api'?)",
        "30: dotenv.0.prefix: '1'; expected the beginning of a variable name, such as 'VITE_'",
        "32: dotenv.1.path: './.env' is the file of dotenv.0 already; expected another file",
        "33: dotenv.1.vars.X: unknown variable '${workspacefolder}'; expected ${NAME.url}, .host, .port or .ws_url of "
        "an endpoint, ${env:NAME}, ${workspaceFolder}, or $$ for a dollar sign (did you mean '${workspaceFolder}'?)",
        "34: dotenv.1.colour: unknown key; expected a key of [[dotenv]]: path, prefix, only, vars, keep, outside, for",
        "36: compounds.api: an app has this name, too; expected another name",
        "37: compounds.b1: a circle: b1 -> b2 -> b1; expected compounds that do not hold each other",
        "38: compounds.b2.1: there is no app, command or compound 'zz'; "
        "expected the name of an app, command or compound",
        "39: compounds.b3: an empty list; expected a list of one name or more",
        "41: reload.engine: 'forc'; expected 'auto', 'fork' or 'spawn' (did you mean 'fork'?)",
        "42: reload.preload: the date or time 1979-05-27; expected 'auto' or 'off' or a list of strings",
    ]


def test_who_reads_an_env_file_is_named_as_devrun_knows_them() -> None:
    text = '[apps.a]\napp = "a:a"\n[[dotenv]]\nfor = ["vite", "python-dotenv"]\n'
    (file,) = parse(text, "devrun.toml")[0].dotenv
    assert file.readers == ("vite", "python-dotenv")
    first, second = mistakes('[apps.a]\napp = "a:a"\n[[dotenv]]\nfor = ["vit"]\n[[dotenv]]\npath = "b"\nfor = []\n')
    assert first.startswith("4: dotenv.0.for.0: 'vit'; expected 'bash', 'bun', ")
    assert first.endswith(" or 'vite' (did you mean 'vite'?)")
    assert second == "7: dotenv.1.for: an empty list; expected a list of the programs that read the file"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", "url: missing; expected a URL such as 'https://api.example.com', without user name and password"),
        ("url = 3", "url: 3; expected a URL such as 'https://api.example.com', without user name and password"),
        (
            "url = 'pay.example.com'",
            "url: 'pay.example.com'; expected a URL such as 'https://api.example.com', without user name and password",
        ),
        (
            "url = 'https://me:secret@pay.example.com'",
            "url: 'https://me:secret@pay.example.com'; expected a URL such as 'https://api.example.com', "
            "without user name and password",
        ),
        ("url = 'https://'", "url: 'https://'; expected a URL such as"),
        ("url = 'https:///v1'", "url: 'https:///v1' has no host; expected a URL such as 'https://api.example.com'"),
        ("url = 'https://:80'", "url: 'https://:80' has no host; expected a URL such as 'https://api.example.com'"),
        ("url = 'http://x:0'", "url: 'http://x:0' has no port; expected a port after the host, as 'http' has no usual"),
        ("url = 'http://x:99999'", "url: 'http://x:99999'; expected a host and, after a colon, a port from 1 to 65535"),
        ("url = 'http://[x'", "url: 'http://[x'; expected a host and, after a colon, a port from 1 to 65535"),
        ("url = 'imap://x'", "url: 'imap://x' has no port; expected a port after the host, as 'imap' has no usual one"),
        ("url = 'http://x'\nport = 3", "port: unknown key; expected a key of [external]: url"),
    ],
)
def test_an_external_must_say_where_it_is(line: str, found: str) -> None:
    (told,) = mistakes(f"[apps.api]\napp = 'a:b'\n[external.pay]\n{line}")
    at = 5 if "port: unknown" in found else 4 if line else 3
    assert told.startswith(f"{at}: external.pay.{found}")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("", ["4: run: missing; expected a command such as 'npm run dev', or a list of its words"]),
        ("run = ''", ["5: run: ''; expected a command such as 'npm run dev', or a list of its words"]),
        ("run = ' '", ["5: run: ' ' names no program; expected a command such as 'npm run dev'"]),
        ("run = []", ["5: run: an empty list; expected a command such as 'npm run dev', or a list of its words"]),
        ("run = ['', 'a']", ["5: run: a list names no program; expected a command such as 'npm run dev'"]),
        ("run = ['a', '']", []),
        ("run = [1]", ["5: run.0: 1; expected a string"]),
        ('run = "a \'b"', ['5: run: "a \'b": no closing quotation; expected words as a shell takes them']),
        ("run = 'a'\nport = -1", ["6: port: -1; expected a whole number from 0 to 65535 or 'sticky'"]),
        (
            "run = 'a'\nrestart = 'onfailure'",
            ["6: restart: 'onfailure'; expected 'always', 'never' or 'on-failure' (did you mean 'on-failure'?)"],
        ),
        (
            "run = 'a'\nshell = true",
            [
                "6: shell: unknown key; expected a key of a command: run, cwd, env, env_file, port, restart, "
                "depends_on, grace"
            ],
        ),
        (
            "run = 'a'\ndepends_on = ['apu']",
            [
                "6: depends_on.0: there is no app or command 'apu'; expected the name of an app or command "
                "(did you mean 'api'?)"
            ],
        ),
        ("run = 'a'\nport = 8000", ["6: port: 8000 is the port of 'api' already; expected a port of its own, or 0"]),
        (
            "run = 'a'\ndepends_on = ['web']",
            ["6: depends_on: a circle: web -> web; expected parts that do not wait for each other"],
        ),
        (
            "run = 'a ${web.port}'",
            [
                "5: run: where 'web' is shows only once it listens; expected a `port` in [commands.web], such as 0: "
                "a free one"
            ],
        ),
        (
            "run = ['a', '${web.port}']\nenv.A = '${web.url}'",
            [
                "5: run.1: where 'web' is shows only once it listens; expected a `port` in [commands.web], such as 0: "
                "a free one",
                "6: env.A: where 'web' is shows only once it listens; expected a `port` in [commands.web], such as 0: "
                "a free one",
            ],
        ),
        ("run = 'a ${web.port} ${api.url}'\nport = 0\nenv.A = '${web.url}'\ndepends_on = ['api']", []),
    ],
)
def test_what_a_command_may_say(lines: str, found: list[str]) -> None:
    text = f"[apps.api]\napp = 'a:b'\nport = 8000\n[commands.web]\n{lines}"
    expected = [f"{line[:3]}commands.web.{line[3:]}" for line in found]
    if found:
        assert mistakes(text) == expected
    else:
        assert list(parse(text, "devrun.toml")[0].commands) == ["web"]


def test_apps_and_commands_wait_for_each_other_and_know_each_other() -> None:
    assert mistakes("""
        [apps.api]
        app = "a:b"
        depends_on = ["web"]
        env = { W = "${worker.url}" }
        [commands.web]
        run = "a"
        depends_on = ["api"]
        [commands.worker]
        run = "w"
        [compounds]
        all = ["api", "worker", "wbe"]
        worker = ["api"]
        [[dotenv]]
        only = ["worker", "wbe"]
        vars = { W = "${worker.url}" }
    """) == [
        "3: apps.api.depends_on: a circle: api -> web -> api; expected parts that do not wait for each other",
        "4: apps.api.env.W: where 'worker' is shows only once it listens; expected a `port` in [commands.worker], "
        "such as 0: a free one",
        "11: compounds.all.2: there is no app, command or compound 'wbe'; "
        "expected the name of an app, command or compound (did you mean 'web'?)",
        "12: compounds.worker: a command has this name, too; expected another name",
        "14: dotenv.0.only.1: there is no endpoint 'wbe'; expected the name of an app, command or external "
        "(did you mean 'web'?)",
    ]


def test_a_name_means_one_thing() -> None:
    assert mistakes("""
        [apps.pay]
        app = "a:b"
        [external.pay]
        url = "https://pay.example.com"
        [external.pay-2]
        url = "https://pay.example.com"
        [external.pay_2]
        url = "https://pay.example.com"
        [compounds]
        pay-2 = ["pay"]
        all = ["pay_2"]
    """) == [
        "3: external.pay: an app has this name, too; expected another name",
        "7: external.pay_2: PAY_2_URL and the like are variables of 'pay-2' already; expected another name",
        "10: compounds.pay-2: an external has this name, too; expected another name",
        "11: compounds.all.0: there is no app, command or compound 'pay_2'; "
        "expected the name of an app, command or compound "
        "(did you mean 'pay-2'?)",
    ]


@pytest.mark.parametrize("text", ["", "name = 'x'", "[defaults]"])
def test_a_file_without_apps(text: str) -> None:
    assert mistakes(text) == ["1: apps: missing; expected at least one table [apps.NAME]"]


def test_an_empty_table_of_apps() -> None:
    assert mistakes("\n\n[apps]") == ["1: apps: an empty table; expected at least one table [apps.NAME]"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("apps = 3", ["1: apps: 3; expected at least one table [apps.NAME]"]),
        ("apps.api = 3", ["1: apps.api: 3; expected a table"]),
        ("apps = [{}]", ["1: apps: a list; expected at least one table [apps.NAME]"]),
        ("[apps.Api]\napp='a:b'", ["1: apps.Api: 'Api'; expected a name: a lower-case letter, then a-z, 0-9, _ or -"]),
        (
            "[apps.'a\\nb']\napp='a:b'",
            ["1: apps.\"a\\\\nb\": 'a\\\\nb'; expected a name: a lower-case letter, then a-z, 0-9, _ or -"],
        ),
        (
            '[apps."a\\n"]\napp="a:b"',
            ["1: apps.\"a\\n\": 'a\\n'; expected a name: a lower-case letter, then a-z, 0-9, _ or -"],
        ),
    ],
)
def test_tables_of_a_wrong_kind(text: str, found: list[str]) -> None:
    assert mistakes(text) == found


def of_an_app(line: str) -> list[str]:
    """The mistakes of an app with this line in it, without its place."""
    return [text.removeprefix("3: apps.api.") for text in mistakes(f"[apps.api]\napp='a:b'\n{line}")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("port = '8000'", "port: '8000'; expected a whole number from 0 to 65535 or 'sticky'"),
        (
            "port = 'stick'",
            "port: 'stick'; expected a whole number from 0 to 65535 or 'sticky' (did you mean 'sticky'?)",
        ),
        ("port = -1", "port: -1; expected a whole number from 0 to 65535 or 'sticky'"),
        ("port = 80.0", "port: 80.0; expected a whole number from 0 to 65535 or 'sticky'"),
        ("port = true", "port: true; expected a whole number from 0 to 65535 or 'sticky'"),
        (
            f"port = 0x{'f' * 5000}",
            "port: a number of more than 30 digits; expected a whole number from 0 to 65535 or 'sticky'",
        ),
        ("grace = nan", "grace: nan; expected a number from 0 to 600"),
        ("grace = -0.5", "grace: -0.5; expected a number from 0 to 600"),
        ("grace = true", "grace: true; expected a number from 0 to 600"),
        (f"grace = 0x{'f' * 5000}", "grace: a number of more than 30 digits; expected a number from 0 to 600"),
        ("factory = 1", "factory: 1; expected true or false"),
        ("cwd = ''", "cwd: ''; expected a string that is not empty"),
        ('cwd = "a\\u0000b"', "cwd: a NUL character in 'a\\x00b'; expected a string that is not empty"),
        ("env = { A = 1 }", "env.A: 1; expected a string"),
        ("env = { A = ['x'] }", "env.A: a list; expected a string"),
        ("env = { '-' = '' }", "env.-: '-'; expected a variable name: A-Z, a-z, 0-9 and _, no digit in front"),
        ("env = ['A']", "env: a list; expected a table"),
        ("watch = [{}]", "watch.0: a table; expected a string that is not empty"),
        (f"health = '{'x' * 99}'", f"health: '{'x' * 57}...'; expected a URL path such as '/healthz'"),
        ("depends_on = 'auth'", "depends_on: 'auth'; expected a list of strings"),
        ("depends_on = ['api']", "depends_on: a circle: api -> api; expected parts that do not wait for each other"),
        ("open = 'docs'", "open: 'docs'; expected true or false or a URL path such as '/healthz'"),
        ("uvicorn = true", "uvicorn: true; expected a table"),
        (
            "uvicorn.timeout_graceful_shutdown = 3",
            "uvicorn.timeout_graceful_shutdown: not set here: it is the app's own `grace`",
        ),
        ("uvicorn.uds = 'x'", "uvicorn.uds: not set here: devrun binds the sockets"),
        ("uvicorn.limit_concurrency = 0", "uvicorn.limit_concurrency: 0; expected a whole number, 1 or more"),
        ("uvicorn.ssl_cert_reqs = 3", "uvicorn.ssl_cert_reqs: 3; expected 0, 1 or 2"),
        ("uvicorn.ssl_cert_reqs = true", "uvicorn.ssl_cert_reqs: true; expected 0, 1 or 2"),
        (
            "uvicorn.loop = 'uvlop'",
            "uvicorn.loop: 'uvlop'; expected 'none', 'auto', 'asyncio', 'uvloop', 'zuvloop' or an import string "
            "module:attribute (did you mean 'uvloop'?)",
        ),
    ],
)
def test_mistakes_in_an_app(line: str, found: str) -> None:
    assert of_an_app(line) == [found]


@pytest.mark.parametrize(
    "target", ["main", "main:", ":app", "main:app:x", "a b:app", "a/b.py:app", ".main:app", "a..b:c", "", "a:b\\n"]
)
def test_import_strings_without_their_form(target: str) -> None:
    (found,) = mistakes(f'[apps.api]\napp = "{target}"')
    assert found.startswith("2: apps.api.app: ")
    assert found.endswith("; expected an import string module:attribute, such as 'shop.main:app'")


def test_circles_are_shown_whole() -> None:
    assert mistakes("""
        [apps.web]
        app = "a:b"
        depends_on = ["api"]
        [apps.api]
        app = "a:b"
        depends_on = ["auth"]
        [apps.auth]
        app = "a:b"
        depends_on = ["users", "api"]
        [apps.users]
        app = "a:b"
        depends_on = ["web"]
    """) == [
        "3: apps.web.depends_on: a circle: web -> api -> auth -> users -> web; expected parts that do not wait for "
        "each other",
        "6: apps.api.depends_on: a circle: api -> auth -> api; expected parts that do not wait for each other",
    ]


def test_a_compound_is_no_dependency() -> None:
    assert mistakes("[apps.api]\napp='a:b'\ndepends_on=['all']\n[compounds]\nall=['api']") == [
        "3: apps.api.depends_on.0: 'all' is a compound; expected the name of an app or command"
    ]


def test_a_mistake_that_apps_inherit_is_told_once() -> None:
    assert mistakes("""
        [defaults]
        env = { A = "${x.url}" }
        port = 8000
        prot = 1
        [apps.a]
        app = "a:b"
        [apps.b]
        app = "a:b"
        [apps.c]
        app = "a:b"
    """) == [
        "2: defaults.env.A: unknown variable '${x.url}'; expected ${NAME.url}, .host, .port or .ws_url of an endpoint, "
        "${env:NAME}, ${workspaceFolder}, or $$ for a dollar sign",
        "3: defaults.port: 8000 is the port of 'a' already; expected a port of its own, or 0",
        "4: defaults.prot: unknown key; expected a key of an app (did you mean 'port'?)",
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("127.0.0.1", "localhost"), ("127.0.0.1", "::1"), ("0.0.0.0", "10.0.0.1"), ("10.0.0.1", "::")]
)
def test_a_port_on_addresses_that_overlap(one: str, other: str) -> None:
    text = f"[apps.a]\napp='a:b'\nport=80\nhost='{one}'\n[apps.b]\napp='a:b'\nport=80\nhost='{other}'"
    assert mistakes(text) == ["7: apps.b.port: 80 is the port of 'a' already; expected a port of its own, or 0"]


# --- not TOML, and files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb\n", 2),
        ("a = 1\n\nb = [1,\n", 3),
        ("a = 1\r\nb = 2\r\n[x\r\n", 3),
        ("[apps]\n[apps]\n", 2),
        ("x = '''\n\n", 1),
    ],
)
def test_what_is_not_toml(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "devrun.toml")
    (mistake,) = caught.value.mistakes
    assert mistake.found.startswith("not TOML: ")
    assert mistake.line is not None
    assert mistake.line == line or (mistake.found.endswith("at the end of the file") and mistake.line >= line)


def test_the_column_of_what_is_not_toml() -> None:
    (found,) = mistakes("a = 1\nb c = 2")
    assert found == "2: not TOML: Expected '=' after a key in a key/value pair at column 3"


@pytest.mark.parametrize("text", [f"a = {'[' * 100_000}", f"a = {'[' * 300}{']' * 300}", f"a = 1{'0' * 5000}"])
def test_toml_that_python_cannot_read(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text, "devrun.toml")


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value.message


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "devrun.toml"
    path.write_bytes(b"\xef\xbb\xbf" + FULL.encode())
    config, places = load(path)
    assert (config.name, places.file, places.line(("name",))) == ("shop", "devrun.toml", 2)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "devrun.toml"
    assert refusal(path) == f"{path}: there is no such file; expected a file in TOML"
    path.mkdir()
    assert refusal(path) == f"{path}: is a folder; expected a file in TOML"
    (tmp_path / "loop").symlink_to("loop")
    assert refusal(tmp_path / "loop").startswith(f"{tmp_path}/loop: cannot be read: Too many levels of symbolic links")
    assert (
        refusal(tmp_path / "a\nb")
        == f"{str(tmp_path / 'a') + chr(10) + 'b'!r}: there is no such file; expected a file in TOML"
    )


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "devrun.toml"
    os.mkfifo(path)
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(refusal(path)), daemon=True)
    thread.start()
    thread.join(10)
    assert said == [f"{path}: is not a regular file; expected a file in TOML"]


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "devrun.toml"
    path.write_bytes('name = "shop"\n# caf\xe9\n'.encode("latin-1"))
    assert refusal(path) == "devrun.toml:2: not UTF-8: byte 0xe9; expected a file in UTF-8"


# --- any file -----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)))
def test_what_is_left_without_the_circles_has_none(graph: dict[str, list[str]]) -> None:
    edges = {(name, other) for name, others in graph.items() for other in others if other in graph}
    graph = {name: [other for other in others if other in graph] for name, others in graph.items()}
    for circle in circles(graph):
        steps = set(zip(circle, circle[1:], strict=False))
        assert circle[0] == circle[-1] == min(circle, key=list(graph).index)
        assert steps <= edges
        edges.remove((circle[-2], circle[-1]))
    assert not list(circles({name: [b for a, b in edges if a == name] for name in graph}))


KEYS = [
    *"abc",
    *["apps", "defaults", "name", "dotenv", "compounds", "reload", "api", "auth", "Api", "commands"],
    *["app", "port", "host", "env", "env_file", "watch", "depends_on", "health", "grace", "open", "uvicorn", "cwd"],
    *["path", "prefix", "only", "vars", "engine", "preload", "headers", "log_level", "ws_ping_interval", "workers"],
]
scalars = st.one_of(
    st.sampled_from([0, 1, 8000, 70000, -1, True, 0.5, float("nan"), float("inf"), "", "a:b", "/x", "api", "sticky"]),
    st.sampled_from(["${api.url}", "${api}", "${", "a\0b", "a\nb", "x" * 100, "127.0.0.1", 10**400]),
    st.dates() | st.times() | st.datetimes(),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A right file with some keys set to anything."""
    document: dict[str, Any] = {
        "apps": {"api": {"app": "a:b", "env": {}, "uvicorn": {}}, "auth": {"app": "a:b", "depends_on": ["api"]}},
        "defaults": {"env": {}},
        "dotenv": [{"vars": {}}],
        "compounds": {"all": ["api"]},
        "reload": {},
    }
    for _ in range(draw(st.integers(0, 4))):
        table: Any = document
        while True:
            inner = [value for value in table.values() if isinstance(value, dict)]
            if not inner or draw(st.booleans()):
                break
            table = draw(st.sampled_from(inner))
        table[draw(st.sampled_from(KEYS))] = draw(values)
    return document


@settings(max_examples=60, deadline=None)
@given(documents())
def test_any_file_is_read_or_refused_with_places(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document)
    try:
        config, _ = parse(text, "devrun.toml")
    except ConfigError as error:
        assert error.mistakes
        assert all(mistake.line and "\n" not in str(mistake) for mistake in error.mistakes)
    else:
        assert isinstance(config, ProjectConfig)

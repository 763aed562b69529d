"""From a config to a plan: what is chosen, what is looked up on the machine, which environment an app gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devrun.choosing import chosen
from devrun.consumers import EVERYBODY
from devrun.errors import ConfigError, UsageError
from devrun.parse import parse
from devrun.plan import Endpoint, Plan
from devrun.planning import (
    PATIENT_GRACE,
    Choices,
    Host,
    Source,
    command_environments,
    env_file_variables,
    environment,
    make_plan,
    words,
)

FOLDER = Path("/shop")
OWN = Path("/usr/bin/python3")

BASE = """
[apps.api]
app = "api:app"
depends_on = ["auth"]
[apps.auth]
app = "auth:app"
[apps.web]
app = "web:app"
env = { API = "${api.url}/v1" }
[compounds]
backend = ["api"]
all = ["backend", "web"]
"""


@dataclass
class Disk:
    """What lies on the disk: path to text; None is a folder."""

    files: Mapping[str, str | None | Exception] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    def is_file(self, path: Path) -> bool:
        return isinstance(self.files.get(str(path)), str)

    def is_dir(self, path: Path) -> bool:
        return path == FOLDER or self.files.get(str(path), "") is None

    def real(self, path: Path) -> Path:
        return Path(self.links.get(str(path), path))

    def read(self, path: Path) -> str:
        found = self.files.get(str(path), FileNotFoundError(2, "No such file or directory"))
        if isinstance(found, Exception):
            raise found
        assert found is not None
        return found


def plan(
    text: str,
    files: Mapping[str, str | None | Exception] | None = None,
    environ: Mapping[str, str] | None = None,
    choices: Choices | None = None,
    **machine: Any,
) -> Plan:
    config, places = parse(text, "devrun.toml")
    source = Source(config, places, FOLDER / "devrun.toml")
    return make_plan(source, choices or Choices(), Host(environ or {}, Disk(files or {}), OWN, **machine), "shop-1")


def mistakes(text: str, files: Mapping[str, str | None | Exception] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan(text, files)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("names", "apps"),
    [
        ((), ("api", "auth", "web")),
        (("auth",), ("auth",)),
        (("api",), ("api", "auth")),
        (("backend",), ("api", "auth")),
        (("web",), ("api", "auth", "web")),
        (("all", "auth", "all"), ("api", "auth", "web")),
    ],
)
def test_what_is_chosen(names: tuple[str, ...], apps: tuple[str, ...]) -> None:
    assert chosen(parse(BASE, "devrun.toml")[0], names) == apps


@pytest.mark.parametrize(
    ("name", "hint"), [("apii", "did you mean 'api'?"), ("zzz", "known names: api, auth, web, backend, all")]
)
def test_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(BASE, choices=Choices((name,)))
    assert caught.value.message == f"no app, command or compound is named {name!r}"
    assert caught.value.hint == hint


def test_what_an_app_becomes() -> None:
    made = plan(
        '[apps.api]\napp = "api:app"\ncwd = "services/../api"\nopen = true\nuvicorn = { root_path = "/x" }\n',
        {"/shop/api": None},
    )
    app = made.apps["api"]
    assert (made.name, made.folder, made.stack) == ("shop", FOLDER, "shop-1")
    assert (app.cwd, app.python, app.open, app.reload) == (FOLDER / "api", OWN, "/", True)
    assert app.uvicorn == {"root_path": "/x"}
    assert app.scheme == "http"
    assert made.env_files[0].path == FOLDER / ".env"


def test_open_and_reload() -> None:
    made = plan(
        '[apps.a]\napp = "a:app"\nopen = "/docs"\n[apps.b]\napp = "a:app"\nopen = false\nreload = false\n',
        choices=Choices(reload=True),
    )
    assert [app.open for app in made.apps.values()] == ["/docs", None]
    assert [app.reload for app in made.apps.values()] == [True, False]
    assert not plan('[apps.a]\napp = "a:app"\n', choices=Choices(reload=False)).apps["a"].reload


def test_tls_shows_in_the_url() -> None:
    made = plan('[apps.a]\napp = "a:app"\nuvicorn = { ssl_certfile = "c.pem" }\n')
    assert made.apps["a"].scheme == "https"
    endpoint = Endpoint("a", "::1", 80, "https")
    assert (endpoint.url, endpoint.ws_url) == ("https://[::1]:80", "wss://[::1]:80")
    assert Endpoint("a", "127.0.0.1", 80).ws_url == "ws://127.0.0.1:80"


@pytest.mark.parametrize(
    ("there", "environ", "python"),
    [
        ([], {}, OWN),
        (["/shop/.venv/bin/python"], {}, "/shop/.venv/bin/python"),
        (["/shop/.venv/bin/python", "/v/bin/python"], {"VIRTUAL_ENV": "/v"}, "/v/bin/python"),
        (["/shop/api/.venv/bin/python", "/v/bin/python"], {"VIRTUAL_ENV": "/v"}, "/shop/api/.venv/bin/python"),
        (["/shop/.venv/bin/python"], {"VIRTUAL_ENV": "/gone"}, "/shop/.venv/bin/python"),
    ],
)
def test_which_interpreter(there: list[str], environ: dict[str, str], python: str | Path) -> None:
    files: dict[str, str | None | Exception] = {"/shop/api": None, **dict.fromkeys(there, "")}
    made = plan('[apps.api]\napp = "a:app"\ncwd = "api"\n', files, environ)
    assert made.apps["api"].python == Path(python)


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("env/bin/python", "/shop/api/env/bin/python"),
        ("env/bin/python", "/shop/env/bin/python"),
        ("/opt/python", "/opt/python"),
        ("python3.12", "/two/python3.12"),
    ],
)
def test_a_named_interpreter(named: str, there: str) -> None:
    text = f'[apps.api]\napp = "a:app"\ncwd = "api"\npython = "{named}"\n'
    made = plan(text, {"/shop/api": None, there: ""}, {"PATH": "/one::/two"})
    assert made.apps["api"].python == Path(there)


def test_all_that_is_missing_is_told_at_once_with_its_line() -> None:
    text = """[defaults]
env_file = "shared.env"
[apps.api]
app = "a:app"
cwd = "gone"
python = "gone/python"
env = { A = "${env:UNSET}" }
[apps.b]
app = "a:app"
env_file = ["one.env", "two.env"]
[[dotenv]]
path = "gone/../lost/.env"
vars = { B = "${env:UNSET}" }
"""
    bad = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    assert mistakes(text, {"/shop/one.env": bad, "/shop/two.env": PermissionError(13, "Permission denied")}) == [
        "devrun.toml:2: defaults.env_file: shared.env cannot be read: No such file or directory; "
        "expected a file, relative to cwd",
        "devrun.toml:5: apps.api.cwd: no such folder: gone; expected a folder, relative to the project",
        "devrun.toml:6: apps.api.python: no such interpreter: gone/python; "
        "expected a path relative to the app's cwd or the project, or a command on PATH",
        "devrun.toml:7: apps.api.env.A: '${env:UNSET}' is not set; expected 'UNSET' in the environment of devrun",
        "devrun.toml:10: apps.b.env_file: one.env cannot be read: it is not UTF-8; expected a file, relative to cwd",
        "devrun.toml:10: apps.b.env_file: two.env cannot be read: Permission denied; expected a file, relative to cwd",
        "devrun.toml:12: dotenv.0.path: no such folder: /shop/lost; expected a file in a folder that is there",
        "devrun.toml:13: dotenv.0.vars.B: '${env:UNSET}' is not set; expected 'UNSET' in the environment of devrun",
    ]


def test_variables_that_no_process_can_have_are_told() -> None:
    text = '[apps.api]\napp = "a:app"\nenv_file = "one.env"\n'
    assert mistakes(text, {"/shop/one.env": "A=x\0y\nB=1\n'C=D'=2\n"}) == [
        "devrun.toml:3: apps.api.env_file: one.env has a variable that cannot be set: 'A'",
        "devrun.toml:3: apps.api.env_file: one.env has a variable that cannot be set: 'C=D'",
    ]


def test_the_environment_of_an_app() -> None:
    text = """
[apps.api]
app = "a:app"
env_file = ["one.env", "two.env"]
env = { MINE = "env", AUTH = "${auth.url}/v1", OUTER = "${env:HOME}" }
[apps.auth]
app = "a:app"
"""
    files = {"/shop/one.env": "MINE=file\nFILE=one\nAPI_HOST=mine\nNOTHING\n", "/shop/two.env": "FILE='${two}'\n"}
    made = plan(text, files, {"HOME": "/home/me", "AUTH_PORT": "1", "PYTHONUNBUFFERED": ""})
    endpoints = {name: Endpoint(name, "127.0.0.1", port) for name, port in (("api", 80), ("auth", 81))}
    assert environment(made, made.apps["api"], endpoints) == {
        "HOME": "/home/me",
        "PYTHONUNBUFFERED": "",
        "API_URL": "http://127.0.0.1:80",
        "API_HOST": "mine",
        "API_PORT": "80",
        "AUTH_URL": "http://127.0.0.1:81",
        "AUTH_HOST": "127.0.0.1",
        "AUTH_PORT": "81",
        "DEVRUN": "1",
        "DEVRUN_APP": "api",
        "DEVRUN_STACK": "shop-1",
        "FILE": "${two}",
        "MINE": "env",
        "AUTH": "http://127.0.0.1:81/v1",
        "OUTER": "/home/me",
    }
    assert environment(made, made.apps["auth"], endpoints)["DEVRUN_APP"] == "auth"


def test_what_goes_into_an_env_file() -> None:
    text = (
        BASE
        + """
[[dotenv]]
path = "web/.env.local"
prefix = "VITE_"
only = ["api"]
vars = { BASE = "${api.url}/v1", WEB = "${web.url}" }
keep = true
"""
    )
    made = plan(text, {"/shop/web": None}, choices=Choices(("backend",)))
    (file,) = made.env_files
    assert (file.path, file.keep) == (FOLDER / "web/.env.local", True)
    endpoints = {name: Endpoint(name, "127.0.0.1", port) for name, port in (("api", 80), ("auth", 81))}
    assert env_file_variables(made, file, endpoints) == {
        "VITE_API_URL": "http://127.0.0.1:80",
        "VITE_API_HOST": "127.0.0.1",
        "VITE_API_PORT": "80",
        "BASE": "http://127.0.0.1:80/v1",
    }


def test_a_value_that_some_reader_of_the_file_misreads_is_a_mistake_with_its_line() -> None:
    text = (
        BASE
        + """
[[dotenv]]
vars.FINE = "${api.url}/v1?a=b c"
vars.COST = "cost$$5"
vars.SECRET = "${env:SECRET}"
vars.JSON = '{"url": "${api.url}", "cost": "$$5"}'
vars.PORTS = "$$${api.port}"
[[dotenv]]
path = "web.env"
for = ["vite", "python-dotenv"]
vars.COST = "cost$$5"
vars.SECRET = "${env:SECRET}"
vars.ALL = "\\r"
vars.UNKNOWN = "${env:NONE}"
"""
    )
    with pytest.raises(ConfigError) as caught:
        plan(text, environ={"SECRET": "it's\n"})
    expected = "; expected a value that all who read the file read alike, or `for` without those who do not"
    assert [str(mistake).removesuffix(expected) for mistake in caught.value.mistakes] == [
        "devrun.toml:16: dotenv.0.vars.COST: the value has a dollar sign before a digit at character 5, which is "
        "replaced by an argument in next and bun",
        "devrun.toml:17: dotenv.0.vars.SECRET: the value has a line feed at character 5, which ends the value in "
        "django-environ, direnv and ruby-dotenv",
        "devrun.toml:19: dotenv.0.vars.PORTS: the value has a dollar sign before a digit at character 1, which is "
        "replaced by an argument in next and bun; a dollar sign in front at character 1, which makes it the name of "
        "another variable in django-environ",
        "devrun.toml:25: dotenv.1.vars.ALL: the value has a carriage return at character 1, which ends the line, or is "
        "lost, in vite and python-dotenv",
        "devrun.toml:26: dotenv.1.vars.UNKNOWN: '${env:NONE}' is not set; expected 'NONE' in the environment of devrun",
    ]
    assert [str(mistake).endswith(expected) for mistake in caught.value.mistakes] == [True] * 4 + [False]


def test_a_value_that_nobody_can_read_has_no_other_readers() -> None:
    text = '[apps.api]\napp = "a:a"\n[[dotenv]]\nvars.BYTES = "${env:BYTES}"\n'
    with pytest.raises(ConfigError) as caught:
        plan(text, environ={"BYTES": "\udc80"})
    assert str(caught.value).endswith(
        "which cannot be read in every reader of env files; expected a value that all who read the file read alike"
    )


def test_who_reads_an_env_file_and_what_they_make_of_names() -> None:
    text = """
[apps.docker]
app = "a:a"
[apps.api]
app = "a:a"
[[dotenv]]
vars = { PATH = "x", UID = "1", MINE = "2" }
for = ["next", "docker-compose"]
[[dotenv]]
path = "web.env"
only = ["api"]
"""
    made = plan(text)
    assert [file.readers for file in made.env_files] == [{"next", "docker-compose"}, EVERYBODY]
    assert made.warnings == (
        *(
            f"devrun.toml:2: apps.docker: DOCKER_{part} in .env is obeyed in docker-compose"
            for part in ("URL", "HOST", "PORT")
        ),
        "devrun.toml:7: dotenv.0.vars.PATH: keeps the value that the environment has for it in next and docker-compose",
    )


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("../web/.env", "/web/.env"),
        ("/web/.env", "/web/.env"),
        ("/shopping/.env", "/shopping/.env"),
        ("web/../../web/.env", "/web/.env"),
        ("link.env", "/web/.env"),
        ("linked/.env", "/web/.env"),
    ],
)
def test_a_file_outside_the_project_needs_leave(path: str, real: str) -> None:
    text = f'[apps.a]\napp = "a:app"\n[[dotenv]]\npath = "{path}"\n'
    disk = Disk(
        {"/web": None, "/shopping": None, "/shop/linked": None},
        {"/shop/link.env": "/web/.env", "/shop/linked/.env": "/web/.env"},
    )
    config, places = parse(text, "devrun.toml")
    host = Host({}, disk, OWN)
    with pytest.raises(ConfigError) as caught:
        make_plan(Source(config, places, FOLDER / "devrun.toml"), Choices(), host, "shop-1")
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        f"devrun.toml:4: dotenv.0.path: {path!r} is outside the project folder: {real}; "
        "expected a file in the project folder, or outside = true beside it"
    ]
    config, places = parse(text + "outside = true\n", "devrun.toml")
    make_plan(Source(config, places, FOLDER / "devrun.toml"), Choices(), host, "shop-1")


def test_a_link_within_the_project_needs_none() -> None:
    config, places = parse('[apps.a]\napp = "a:app"\n', "devrun.toml")
    host = Host({}, Disk({}, {"/shop/.env": "/shop/real.env"}), OWN)
    assert make_plan(Source(config, places, FOLDER / "devrun.toml"), Choices(), host, "s").env_files[0].path == (
        FOLDER / ".env"
    )


@pytest.mark.parametrize(
    ("asked", "platform", "debugged", "engine"),
    [
        ("auto", "linux", False, "fork"),
        ("auto", "linux", True, "spawn"),
        ("auto", "darwin", False, "spawn"),
        ("fork", "darwin", False, "fork"),
        ("fork", "linux", True, "fork"),
        ("spawn", "linux", False, "spawn"),
    ],
)
def test_the_engine_that_is_chosen(asked: str, platform: str, debugged: bool, engine: str) -> None:
    text = f'[apps.a]\napp = "a:app"\n[reload]\nengine = "{asked}"\n'
    assert plan(text, platform=platform, debugged=debugged).reload.engine == engine


# --- commands and externals -------------------------------------------------------------------------------------------

WITH_COMMANDS = (
    BASE
    + """
web-and-worker = ["frontend", "worker"]
[commands.frontend]
run = "npm run dev -- --port ${frontend.port} --title 'a b'"
cwd = "frontend"
port = 0
env = { API = "${api.url}", PAY = "${pay.url}" }
env_file = "dev.env"
[commands.worker]
run = ["python", "-m", "worker", "${auth.url}/q", "$HOME"]
restart = "on-failure"
[external.pay]
url = "https://pay.example.com"
"""
)
FRONTEND: dict[str, str | None | Exception] = {"/shop/frontend": None, "/shop/frontend/dev.env": "MODE=dev"}


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ((), ("api", "auth", "web", "frontend", "worker")),
        (("web",), ("api", "auth", "web")),
        (("worker",), ("auth", "worker")),
        (("frontend",), ("api", "auth", "frontend")),
        (("web-and-worker",), ("api", "auth", "frontend", "worker")),
    ],
)
def test_which_commands_are_chosen(names: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert chosen(parse(WITH_COMMANDS, "devrun.toml")[0], names) == parts


def test_what_a_command_becomes() -> None:
    made = plan(WITH_COMMANDS, FRONTEND, choices=Choices(("frontend",)))
    assert list(made.commands) == ["frontend"]
    frontend = made.commands["frontend"]
    assert (frontend.cwd, frontend.port, frontend.restart) == (FOLDER / "frontend", 0, "never")
    assert frontend.env_paths == (FOLDER / "frontend/dev.env",)
    endpoints = {
        "api": Endpoint("api", "127.0.0.1", 80),
        "frontend": Endpoint("frontend", "127.0.0.1", 5173),
        **made.externals,
    }
    assert words(made, frontend, endpoints) == ("npm", "run", "dev", "--", "--port", "5173", "--title", "a b")
    environ = environment(made, frontend, endpoints)
    assert environ["PORT"] == environ["FRONTEND_PORT"] == "5173"
    assert (environ["DEVRUN_APP"], environ["API"], environ["MODE"]) == ("frontend", "http://127.0.0.1:80", "dev")
    assert environ["PAY"] == environ["PAY_URL"] == "https://pay.example.com"


def test_a_command_without_a_port_is_told_none() -> None:
    made = plan(WITH_COMMANDS, FRONTEND, choices=Choices(("worker",)))
    worker = made.commands["worker"]
    endpoints = {"auth": Endpoint("auth", "127.0.0.1", 81)}
    assert words(made, worker, endpoints) == ("python", "-m", "worker", "http://127.0.0.1:81/q", "$HOME")
    assert "PORT" not in environment(made, worker, endpoints)


def test_what_a_command_lacks_on_this_machine() -> None:
    text = """[apps.api]
app = "a:app"
[commands.web]
run = "vite ${env:UNSET}"
cwd = "gone"
env_file = "x.env"
[commands.worker]
run = ["w", "${env:UNSET}"]
env = { A = "${env:UNSET}" }
"""
    unset = "'${env:UNSET}' is not set; expected 'UNSET' in the environment of devrun"
    assert mistakes(text) == [
        f"devrun.toml:4: commands.web.run: {unset}",
        "devrun.toml:5: commands.web.cwd: no such folder: gone; expected a folder, relative to the project",
        "devrun.toml:6: commands.web.env_file: x.env cannot be read: No such file or directory; "
        "expected a file, relative to cwd",
        f"devrun.toml:8: commands.worker.run.1: {unset}",
        f"devrun.toml:9: commands.worker.env.A: {unset}",
    ]


def test_a_debugger_makes_every_app_wait() -> None:
    text = '[apps.a]\napp = "a:app"\ngrace = 2\n'
    assert plan(text).apps["a"].grace == 2
    assert plan(text, debugged=True).apps["a"].grace == PATIENT_GRACE


def test_the_environments_of_commands_by_name() -> None:
    made = plan(WITH_COMMANDS, FRONTEND)
    names = (*made.apps, *made.commands, *made.externals)
    endpoints = {name: Endpoint(name, "127.0.0.1", 4000) for name in names}
    found = command_environments(made, endpoints)
    assert found.keys() == {"frontend", "worker"}
    assert found["frontend"] == environment(made, made.commands["frontend"], endpoints)
    assert found["frontend"]["API"] == "http://127.0.0.1:4000"

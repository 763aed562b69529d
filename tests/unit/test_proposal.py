from __future__ import annotations

import re
import string
from posixpath import normpath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devrun.asgi import Found, Refused
from devrun.config import App, EnvFile, ProjectConfig
from devrun.frontends import FRAMEWORKS, Frontend
from devrun.kinds import NAME_PATTERN
from devrun.outputs.draft import SCHEMA_LINE, render
from devrun.parse import parse
from devrun.proposal import Draft, DraftApp, DraftCommand, DraftFile, Findings, Layout, app_names, base, propose, slug
from devrun.variables import variable_stem

VITE, NEXT = FRAMEWORKS[-1], FRAMEWORKS[0]


def layout(*files: str, projects: str = "", venvs: tuple[str, ...] = (), **imports: str) -> Layout:
    """A project with these files; ``imports``: what the files of a name (without .py) import."""
    names = {path: path.rpartition("/")[2].removesuffix(".py") for path in files}
    found = {path: frozenset(imports.get(name, "").split()) for path, name in names.items()}
    return Layout("my shop", found, frozenset(projects.split(",")) if projects else frozenset(), frozenset(venvs))


def app(file: str, attribute: str = "app", factory: bool = False) -> Found:
    return Found(file, attribute, "FastAPI", factory)


def frontend(
    folder: str = "web", path: str = "web/.env.local", prefix: str = "VITE_", script: str | None = "dev"
) -> Frontend:
    return Frontend(folder, VITE, path, prefix, script)


# --- the working directory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "options", "folder"),
    [
        (("main.py",), {}, ""),
        (("app/__init__.py", "app/main.py"), {}, ""),
        (("src/shop/__init__.py", "src/shop/main.py"), {}, "src"),
        (("src/shop/__init__.py", "src/shop/main.py"), {"projects": ""}, "src"),
        (("src/shop/main.py", "src/shop/db.py"), {"main": "shop fastapi"}, "src"),
        (("backend/app/__init__.py", "backend/app/main.py"), {}, "backend"),
        (("backend/app/main.py", "backend/app/db.py"), {"main": "app fastapi"}, "backend"),
        (("backend/app/main.py", "backend/app/db.py"), {"main": "backend"}, ""),
        (("backend/app/main.py", "backend/app/db.py"), {"main": "db"}, "backend/app"),
        (("backend/app/main.py", "backend/app/db.py"), {"db": "app"}, "backend"),
        (("backend/main.py",), {}, "backend"),
        (("backend/main.py", "logging/x.py"), {"main": "logging"}, "backend"),
        (("backend/main.py",), {"projects": "backend"}, "backend"),
        (("backend/app/main.py",), {"projects": "backend"}, "backend"),
        (("services/x/src/x/__init__.py", "services/x/src/x/main.py"), {"projects": "services/x"}, "services/x/src"),
        (("my-service/main.py",), {}, "my-service"),
        (("2nd/class/main.py",), {"projects": "2nd"}, "2nd/class"),
        (("__init__.py", "main.py"), {}, ""),
        (("a/__init__.py",), {}, ""),
    ],
)  # fmt: skip
def test_the_folder_from_which_the_import_string_works(
    files: tuple[str, ...], options: dict[str, Any], folder: str
) -> None:
    assert base(files[-1] if "main" not in files[0] else files[0], layout(*files, **options)) == folder


@pytest.mark.parametrize("file", ["my-app.py", "class.py", "2.py"])
def test_a_file_that_cannot_be_imported(file: str) -> None:
    draft = propose(Findings(layout(file), (app(file),)))
    assert draft.apps == ()
    assert draft.notes == (f"{file}: Python cannot import a file of this name, so it is left out",)


def test_a_package_below_a_folder_that_is_no_name() -> None:
    assert base("a-b/c/main.py", layout("a-b/__init__.py", "a-b/c/__init__.py", "a-b/c/main.py")) is None


@pytest.mark.parametrize(
    ("venvs", "python"),
    [
        ((), None),
        (("",), None),
        (("services/x",), "services/x/.venv/bin/python"),
        (("services/x/src",), None),
        (("", "services"), "services/.venv/bin/python"),
    ],
)
def test_the_interpreter_is_named_where_devrun_would_not_look(venvs: tuple[str, ...], python: str | None) -> None:
    files = ("services/x/src/shop/__init__.py", "services/x/src/shop/main.py")
    (one,) = propose(Findings(layout(*files, venvs=venvs), (app(files[1]),))).apps
    assert one.app == App(app="shop.main:app", cwd="services/x/src", python=python)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apps", "names"),
    [
        ([app("main.py")], ["api"]),
        ([app("main.py", "admin")], ["admin"]),
        ([app("main.py", "create_admin_app", True)], ["admin"]),
        ([app("shop/main.py")], ["shop"]),
        ([app("src/shop/asgi.py", "application")], ["shop"]),
        ([app("services/billing/app/main.py")], ["billing"]),
        ([app("backend/app/main.py")], ["backend"]),
        ([app("Billing_Service/main.py")], ["billing-service"]),
        ([app("catalog/api.py"), app("orders/api.py")], ["api", "orders-api"]),
        ([app("a/web.py", "app"), app("a/web.py", "admin")], ["admin", "web"]),
        ([app("a/x.py", "app"), app("a/x.py", "application")], ["x", "a-x"]),
        ([app("main.py"), app("app.py"), app("asgi.py")], ["api", "my-shop", "api-2"]),
        ([app("api-2.py"), app("app.py"), app("asgi.py"), app("main.py")], ["api-2", "api", "my-shop", "api-3"]),
        ([app("shop-x/main.py"), app("shop_x/main.py")], ["shop-x", "my-shop"]),
        ([app("été/main.py")], ["t"]),
        ([app("日本/main.py")], ["api"]),
        ([app("1st/main.py")], ["st"]),
    ],
)  # fmt: skip
def test_names(apps: list[Found], names: list[str]) -> None:
    assert list(app_names(apps, "my shop").values()) == names


def test_a_project_whose_folder_has_no_name() -> None:
    assert list(app_names([app("main.py"), app("app.py")], "日本").values()) == ["api", "api-2"]


PATHS = st.lists(
    st.sampled_from(["main", "app", "shop", "Shop", "shop-x", "shop_x", "é", "1a", "src", "api", "web"]),
    min_size=1,
    max_size=4,
).map(lambda parts: "/".join(parts) + ".py")
ATTRIBUTES = st.sampled_from(["app", "application", "admin", "create_app", "ADMIN", "_x", "web_app"])


FOUND_APPS = st.builds(Found, PATHS, ATTRIBUTES, st.just("FastAPI"), st.booleans())


@settings(deadline=None)
@given(st.lists(FOUND_APPS, unique_by=lambda one: (one.file, one.attribute)))
def test_names_are_valid_and_give_variables_of_their_own(apps: list[Found]) -> None:
    names = list(app_names(apps, "shop").values())
    assert len(names) == len(apps)
    assert all(re.fullmatch(NAME_PATTERN, name) for name in names)
    assert len({variable_stem(name) for name in names}) == len(names)


def test_slug() -> None:
    assert [slug(text) for text in ("Shop", "a b", "_x_", "9", "--", "A__b")] == ["shop", "a-b", "x", "", "", "a-b"]


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_a_whole_proposal() -> None:
    findings = Findings(
        layout("api/__init__.py", "api/main.py", "web/app.py"),
        (app("api/main.py"), app("api/main.py", "create_admin", True)),
        (Refused("web/app.py", "app", "Flask", "is WSGI"),),
        (frontend(), frontend("", ".env.local", "PUBLIC_"), frontend("ui", "ui/.env", script=None)),
        {"web": "pnpm"},
        ("a note",),
    )
    draft = propose(findings)
    assert {one.name: one.app for one in draft.apps} == {
        "api": App(app="api.main:app"),
        "admin": App(app="api.main:create_admin", factory=True),
    }
    assert [one.file for one in draft.files] == [
        EnvFile(path="web/.env.local", prefix="VITE_"),
        EnvFile(path=".env.local", prefix="PUBLIC_"),
        EnvFile(path="ui/.env", prefix="VITE_"),
    ]
    assert [one.variable for one in draft.files] == ["VITE_API_URL", "PUBLIC_API_URL", "VITE_API_URL"]
    assert draft.commands == (DraftCommand("web", "pnpm run dev", "web"), DraftCommand("frontend", "npm run dev", None))
    assert draft.notes == ("web/app.py: Flask is WSGI", "a note")


def test_frontends_that_read_one_file() -> None:
    shared = (frontend("a", ".env.local"), frontend("b", ".env.local"), frontend("c", ".env.local", "NEXT_PUBLIC_"))
    draft = propose(Findings(layout("main.py"), (app("main.py"),), frontends=shared))
    assert [one.file.path for one in draft.files] == [".env.local"]
    (note,) = draft.notes
    assert "a/package.json" in note and "c/package.json" in note and "VITE_" in note


@pytest.mark.parametrize("path", ["../.env.local", "/etc/.env"])
def test_a_frontend_that_reads_a_file_elsewhere(path: str) -> None:
    draft = propose(Findings(layout("main.py"), (app("main.py"),), frontends=(frontend("", path),)))
    assert draft.files == ()
    assert draft.notes == (f"package.json: it reads {path}, which is outside this folder, so it is left out",)


def test_commands_have_names_of_their_own() -> None:
    fronts = [
        frontend(folder, f"{folder}/.env") for folder in ("web", "x/web", "y/frontend", "z/client", "1/ui", "2/ui")
    ]
    apps = (app("web/main.py"),)
    draft = propose(Findings(layout("web/main.py"), apps, frontends=tuple(fronts)))
    assert [one.name for one in draft.apps] == ["web"]
    names = [one.name for one in draft.commands]
    assert names == ["frontend", "web-2", "web-3", "web-4", "web-5", "web-6"]


def test_frontends_without_apps() -> None:
    draft = propose(Findings(layout(), frontends=(frontend(),)))
    assert draft.apps == () and draft.files[0].variable == "VITE_API_URL"
    assert draft.config().apps == {}


# --- the text ---------------------------------------------------------------------------------------------------------


def test_the_text_of_a_file() -> None:
    files = ("api/__init__.py", "api/main.py", "svc/main.py", "svc/pyproject.toml")
    found = (app("api/main.py"), app("svc/main.py", "create", True))
    draft = propose(
        Findings(
            layout(*files, projects="svc"),
            found,
            frontends=(frontend(), Frontend("", NEXT, ".env.local", "NEXT_PUBLIC_", None)),
        )
    )
    assert render(draft) == """\
#:schema .devrun/devrun.schema.json
# What `devrun up` starts; written by `devrun init`, and now yours. All keys: `devrun schema`.

# FastAPI: api/main.py
[apps.api]
app = "api.main:app"

# FastAPI, made by a function: svc/main.py
[apps.svc]
app = "main:create"
factory = true
cwd = "svc"

# Vite (web/package.json) reads the apps' addresses here: import.meta.env.VITE_API_URL
[[dotenv]]
path = "web/.env.local"
prefix = "VITE_"

# Next.js (package.json) reads the apps' addresses here: process.env.NEXT_PUBLIC_API_URL
[[dotenv]]
path = ".env.local"
prefix = "NEXT_PUBLIC_"

# A dev server that `devrun up` starts, too; without this, start it in a terminal of its own.
# [commands.web]
# run = "npm run dev"
# cwd = "web"
"""  # fmt: skip


HOSTILE = st.sampled_from("\n\r\t\x0b\x0c\x1c\x85\u2028\"'\\#[]=$\x7f")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0") | HOSTILE, min_size=1, max_size=8)
PARTS = st.text(string.ascii_letters + "_é日", min_size=1, max_size=8)
IMPORTS = st.builds("{}.{}:{}".format, PARTS, PARTS, PARTS)
NAMES = st.from_regex(re.compile(NAME_PATTERN[:-1] + r"\Z"))
APPS = st.builds(App, app=IMPORTS, factory=st.booleans(), cwd=st.none() | TEXTS, python=st.none() | TEXTS)
PREFIXES = st.sampled_from(["", "VITE_", "a", "_9"])
FRONTENDS = st.builds(Frontend, TEXTS, st.sampled_from(FRAMEWORKS), TEXTS, PREFIXES, st.none() | TEXTS)
FOUND = st.builds(Found, TEXTS, TEXTS, TEXTS, st.booleans())
DRAFT_APPS = st.lists(
    st.builds(DraftApp, NAMES, APPS, FOUND), min_size=1, max_size=3, unique_by=lambda one: variable_stem(one.name)
)
DRAFT_FILES = st.lists(
    st.builds(DraftFile, st.builds(EnvFile, path=TEXTS, prefix=PREFIXES), FRONTENDS, TEXTS),
    max_size=3,
    unique_by=lambda one: normpath(one.file.path),
)
COMMANDS = st.lists(st.builds(DraftCommand, NAMES, TEXTS, st.none() | TEXTS), max_size=2)
DRAFTS = st.builds(Draft, DRAFT_APPS.map(tuple), DRAFT_FILES.map(tuple), COMMANDS.map(tuple))


@settings(deadline=None)
@given(DRAFTS)
def test_the_text_means_what_the_draft_does(draft: Draft) -> None:
    text = render(draft)
    assert text.encode("utf-8").decode("utf-8") == text
    assert text.startswith(SCHEMA_LINE + "\n")
    config, _ = parse(text, "devrun.toml")
    assert config == draft.config()


def test_no_frontend_means_the_default_file() -> None:
    draft = propose(Findings(layout("main.py"), (app("main.py"),)))
    config, _ = parse(render(draft), "devrun.toml")
    assert config == draft.config() == ProjectConfig(apps={"api": App(app="main:app")})
    assert "# [[dotenv]]" in render(draft)

"""``devrun init`` in real folders; what it writes must pass ``devrun check``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devrun.schema import schema_text
from tests.driver import clean_environ, write_files

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
DJANGO = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"


def devrun(folder: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devrun", *args]
    env = {**clean_environ(), "GIT_CONFIG_GLOBAL": os.devnull, **environ}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def init(folder: Path, files: Mapping[str, str | bytes]) -> tuple[dict[str, Any], list[str]]:
    """Write a project, run ``init`` and ``check`` in it; the document that it wrote, and what it said."""
    write_files(folder, files)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = devrun(folder, "init")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert {path: path.read_bytes() for path in before} == before
    checked = devrun(folder, "check")
    assert checked.returncode == 0, checked.stderr
    return tomllib.loads((folder / "devrun.toml").read_text()), done.stderr.splitlines()


PROJECTS: dict[str, tuple[dict[str, str | bytes], dict[str, Any], list[dict[str, Any]]]] = {
    "one file": ({"main.py": FASTAPI}, {"api": {"app": "main:app"}}, []),
    "a package": (
        {"pyproject.toml": "", "shop/__init__.py": "", "shop/main.py": FASTAPI},
        {"shop": {"app": "shop.main:app"}},
        [],
    ),
    "src layout": (
        {"pyproject.toml": "", "src/shop/__init__.py": "", "src/shop/main.py": FASTAPI},
        {"shop": {"app": "shop.main:app", "cwd": "src"}},
        [],
    ),
    "backend and frontend": (
        {
            "backend/app/__init__.py": "",
            "backend/app/main.py": f"from app.db import url\n{FASTAPI}",
            "backend/app/db.py": "url = ''",
            "frontend/package.json": json.dumps({"scripts": {"dev": "vite"}, "devDependencies": {"vite": "8"}}),
        },
        {"backend": {"app": "app.main:app", "cwd": "backend"}},
        [{"path": "frontend/.env.local", "prefix": "VITE_"}],
    ),
    "services with environments of their own": (
        {
            "services/billing/pyproject.toml": "",
            "services/billing/.venv/bin/python": "",
            "services/billing/.venv/pyvenv.cfg": "",
            "services/billing/.venv/lib/fastapi/applications.py": FASTAPI,
            "services/billing/billing/__init__.py": "",
            "services/billing/billing/main.py": FASTAPI,
            "services/users/pyproject.toml": "",
            "services/users/.venv/bin/python": "",
            "services/users/src/users/__init__.py": "",
            "services/users/src/users/app.py": "from quart import Quart\ndef create_app(): return Quart('users')\n",
        },
        {
            "billing": {"app": "billing.main:app", "cwd": "services/billing"},
            "users": {
                "app": "users.app:create_app",
                "factory": True,
                "cwd": "services/users/src",
                "python": "services/users/.venv/bin/python",
            },
        },
        [],
    ),
    "Django": (
        {
            "manage.py": "import os\n",
            "mysite/__init__.py": "",
            "mysite/wsgi.py": DJANGO.replace("asgi", "wsgi"),
            "mysite/asgi.py": DJANGO,
        },
        {"mysite": {"app": "mysite.asgi:application"}},
        [],
    ),
    "a factory in another file": (
        {
            "shop/__init__.py": "",
            "shop/factory.py": "from litestar import Litestar\ndef create_app() -> Litestar: ...\n",
            "shop/main.py": "from shop.factory import create_app\n\napp = create_app()\n",
        },
        {"shop": {"app": "shop.main:app"}},
        [],
    ),
    "a class in another file": (
        {
            "core/web.py": "from fastapi import FastAPI\nclass Service(FastAPI): ...\n",
            "users/main.py": "from core.web import Service\n\napi = Service()\n",
        },
        {"users": {"app": "users.main:api"}},
        [],
    ),
    "the entrypoint of fastapi": (
        {
            "pyproject.toml": '[tool.fastapi]\nentrypoint = "shop.web:site"\n',
            "shop/__init__.py": "",
            "shop/web.py": "from unknown import make\nsite = make()\n",
        },
        {"web": {"app": "shop.web:site"}},
        [],
    ),
    "an entrypoint in src, without an attribute": (
        {
            "api/pyproject.toml": '[tool.fastapi]\nentrypoint = "shop"\n',
            "api/src/shop/__init__.py": "from unknown import app\n",
            "users/main.py": FASTAPI,
            "users/pyproject.toml": '[tool.fastapi]\nentrypoint = "nowhere:app"\n',
        },
        {"shop": {"app": "shop:app", "cwd": "api/src"}, "users": {"app": "main:app", "cwd": "users"}},
        [],
    ),
    "an entrypoint that the source tells, too": (
        {"pyproject.toml": '[tool.fastapi]\nentrypoint = "main:app"\n', "main.py": FASTAPI},
        {"api": {"app": "main:app"}},
        [],
    ),
    "what is not meant": (
        {
            "api/main.py": FASTAPI,
            "api/migrations/one.py": FASTAPI,
            "tests/main.py": FASTAPI,
            "examples/a.py": FASTAPI,
            "docs/a.py": FASTAPI,
            "node_modules/x/main.py": FASTAPI,
            ".hidden/main.py": FASTAPI,
            "venv/lib/x.py": FASTAPI,
            "strange/pyvenv.cfg": "",
            "strange/lib/x.py": FASTAPI,
            "{{cookiecutter}}/main.py": FASTAPI,
            "api/test_main.py": FASTAPI,
            "api/main_test.py": FASTAPI,
            "conftest.py": FASTAPI,
            "build/main.py": FASTAPI,
        },
        {"api": {"app": "main:app", "cwd": "api"}},
        [],
    ),
    "files that cannot be read": (
        {
            "api/main.py": FASTAPI,
            "api/broken.py": "from fastapi import FastAPI\ndef (:\n",
            "api/latin.py": "# coding: latin-1\nfrom fastapi import FastAPI\nx = 'é'\n".encode("latin-1"),
            "api/bytes.py": b"from fastapi import FastAPI\nx = '\xff'\n",
            "api/nul.py": b"from fastapi import FastAPI\n\0\n",
            "web/package.json": "{",
            "web2/package.json": "[1]",
            "pyproject.toml": "[tool",
        },
        {"api": {"app": "api.main:app"}},
        [],
    ),
    "a workspace": (
        {
            "api/main.py": FASTAPI,
            "package.json": json.dumps({"workspaces": ["apps/*"], "devDependencies": {"vite": "8", "next": "16"}}),
            "pnpm-lock.yaml": "",
            "apps/site/package.json": json.dumps({"scripts": {"dev": "next dev"}, "dependencies": {"next": "16"}}),
            "apps/shop/package.json": json.dumps({"scripts": {"dev": "vite"}, "devDependencies": {"vite": "8"}}),
            "apps/shop/vite.config.ts": "export default { envDir: '../..', envPrefix: 'SHOP_' }",
            "packages/ui/package.json": json.dumps({"exports": {}, "devDependencies": {"vite": "8"}}),
        },
        {"api": {"app": "main:app", "cwd": "api"}},
        [
            {"path": ".env.local", "prefix": "SHOP_"},
            {"path": "apps/site/.env.local", "prefix": "NEXT_PUBLIC_"},
        ],
    ),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_projects(tmp_path: Path, name: str) -> None:
    files, apps, dotenv = PROJECTS[name]
    document, _ = init(tmp_path, files)
    assert document["apps"] == apps
    assert document.get("dotenv", []) == dotenv


def test_what_it_says_and_writes(tmp_path: Path) -> None:
    files = {
        "api/__init__.py": "",
        "api/main.py": FASTAPI,
        "old/site.py": "from flask import Flask\napp = Flask('old')\n",
        "fast/main.py": "from robyn import Robyn\napp = Robyn(__file__)\n",
        "api/broken.py": "from fastapi import FastAPI\ndef (:\n",
        "web/package.json": json.dumps({"scripts": {"dev": "vite"}, "devDependencies": {"vite": "8"}}),
        "web/yarn.lock": "",
    }
    _, said = init(tmp_path, files)
    assert said == [
        "found api  FastAPI in api/main.py",
        "found Vite in web: web/.env.local, VITE_API_URL",
        "wrote devrun.toml",
        "note: fast/main.py: Robyn is not ASGI: it has a server of its own, so devrun cannot serve it",
        "note: old/site.py: Flask is WSGI; to have devrun serve it, wrap it: a2wsgi.WSGIMiddleware(app)",
        "note: api/broken.py:2: not Python that devrun can read (invalid syntax), so it is left out",
        "next: devrun up",
    ]
    text = (tmp_path / "devrun.toml").read_text()
    assert text.splitlines()[0] == "#:schema .devrun/devrun.schema.json"
    assert 'run = "yarn run dev"' in text
    assert (tmp_path / ".devrun/devrun.schema.json").read_text() == schema_text()
    assert (tmp_path / ".devrun/.gitignore").read_text() == "*\n"
    assert (tmp_path / ".devrun").stat().st_mode & 0o777 == 0o700


def test_env_files_in_folders_that_are_not_there(tmp_path: Path) -> None:
    files = {
        "main.py": FASTAPI,
        "web/package.json": json.dumps({"scripts": {"dev": "vite"}}),
        "web/vite.config.ts": "export default { envDir: 'env' }",
    }
    document, said = init(tmp_path, files)
    assert "dotenv" not in document
    assert "note: web/package.json: it reads web/env/.env.local, whose folder is not there" in said
    (tmp_path / "devrun.toml").unlink()
    document, _ = init(tmp_path, {"web/env/.gitkeep": ""})
    assert [file["path"] for file in document["dotenv"]] == ["web/env/.env.local"]


def test_it_never_overwrites(tmp_path: Path) -> None:
    write_files(tmp_path, {"main.py": FASTAPI, "devrun.toml": "mine"})
    done = devrun(tmp_path, "init")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"devrun.toml is already there: {tmp_path / 'devrun.toml'}" in done.stderr
    assert (tmp_path / "devrun.toml").read_text() == "mine"
    assert not (tmp_path / ".devrun").exists()

    printed = devrun(tmp_path, "init", "--print")
    assert printed.returncode == 0
    assert tomllib.loads(printed.stdout)["apps"] == {"api": {"app": "main:app"}}
    assert printed.stderr == "found api  FastAPI in main.py\n"
    assert sorted(os.listdir(tmp_path)) == ["devrun.toml", "main.py"]

    (tmp_path / "devrun.toml").unlink()
    (tmp_path / "devrun.toml").symlink_to("nowhere.toml")
    assert devrun(tmp_path, "init").returncode == 2
    assert sorted(os.listdir(tmp_path)) == ["devrun.toml", "main.py"]


def test_nothing_to_find(tmp_path: Path) -> None:
    write_files(tmp_path, {"app.py": "from flask import Flask\napp = Flask('x')\n", "package.json": '{"scripts": {}}'})
    done = devrun(tmp_path, "init")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: no ASGI app found in {tmp_path}: looked for FastAPI, Starlette, Litestar")
    assert "app.py: Flask is WSGI" in done.stderr
    assert '[apps.api]\napp = "shop.main:app"' in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["app.py", "package.json"]


def test_it_says_which_env_file_git_would_take(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    web = json.dumps({"scripts": {"dev": "vite"}, "devDependencies": {"vite": "8"}})
    _, said = init(tmp_path, {"main.py": FASTAPI, "web/package.json": web})
    assert "warning: web/.env.local is not ignored by git: add it to .gitignore" in said
    (tmp_path / "devrun.toml").unlink()
    _, said = init(tmp_path, {"web/.gitignore": "*.local\n"})
    assert not [line for line in said if "git" in line]


def test_without_git_nothing_is_said_of_it(tmp_path: Path) -> None:
    write_files(tmp_path, {"main.py": FASTAPI})
    done = devrun(tmp_path, "init", PATH="")
    assert done.returncode == 0 and "git" not in done.stderr


def test_a_project_inside_another(tmp_path: Path) -> None:
    write_files(tmp_path, {"devrun.toml": "[apps.api]\napp = 'a:b'\n"})
    _, said = init(tmp_path / "inner", {"main.py": FASTAPI})
    assert f"note: {tmp_path / 'devrun.toml'} does not count any more in this folder" in said


@pytest.mark.parametrize("obstacle", [".devrun", "read-only"])
def test_it_cannot_write(tmp_path: Path, obstacle: str) -> None:
    write_files(tmp_path, {"main.py": FASTAPI})
    if obstacle == ".devrun":
        (tmp_path / ".devrun").write_text("a file")
    elif os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    else:
        tmp_path.chmod(0o500)
    done = devrun(tmp_path, "init")
    tmp_path.chmod(0o700)
    assert done.returncode == 1
    assert "cannot" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "devrun.toml").exists() == (obstacle == ".devrun")


def test_strange_names(tmp_path: Path) -> None:
    strange = {"a b/main.py": FASTAPI, "x\ny/main.py": FASTAPI, "é/main.py": FASTAPI, "class/main.py": FASTAPI}
    document, said = init(tmp_path, strange)
    assert {app["cwd"] for app in document["apps"].values()} == {"a b", "é", "class"}
    bad = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(bad)
    (Path(os.fsdecode(bad)) / "main.py").write_text(FASTAPI)
    (tmp_path / "devrun.toml").unlink()
    assert init(tmp_path, {})[0] == document
    assert said


def test_a_huge_tree_takes_no_time(tmp_path: Path) -> None:
    """5,000 files that have nothing to do with an app, and as many that are not looked at."""
    for part in range(50):
        for folder in (tmp_path / f"lib{part}", tmp_path / f"node_modules/x{part}"):
            folder.mkdir(parents=True)
            for number in range(100):
                (folder / f"m{number}.py").write_text(
                    "import os\n\n\ndef f(x):\n    return os.path.join('a', x)\n" * 20
                )
    write_files(tmp_path, {"main.py": FASTAPI})
    begun = time.perf_counter()
    done = devrun(tmp_path, "init", "--print")
    assert tomllib.loads(done.stdout)["apps"] == {"api": {"app": "main:app"}}
    assert time.perf_counter() - begun < 10  # a second on an idle machine; parsing all of it would take half a minute


def test_links_are_not_followed(tmp_path: Path) -> None:
    write_files(tmp_path, {"real/main.py": FASTAPI})
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/again").symlink_to("..")
    os.mkfifo(tmp_path / "pipe.py")
    document, _ = init(tmp_path, {})
    assert list(document["apps"]) == ["real"]

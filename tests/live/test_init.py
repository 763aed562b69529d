"""What ``devrun init`` writes runs: each framework in its real, current version, found by its source alone."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from devrun.schema import schema_text
from tests.conftest import StackStarter
from tests.driver import Stack, clean_environ, wait_until, write_files
from tests.live.environments import Environment

OTHERS = ("quart", "sanic", "falcon", "blacksheep")
"""Not among the packages that the tests run with: Sanic would bring another event loop and parser into all of them."""
WORDS = (*OTHERS, "fastapi", "starlette", "litestar", "django", "plain")
"""What each app answers, and what its place is named after."""

FILES = {
    "services/quart_site/__init__.py": "",
    "services/quart_site/app.py": """
        from quart import Quart

        def create_app() -> Quart:
            app = Quart(__name__)

            @app.get("/")
            async def home() -> str:
                return "quart"

            return app
    """,
    "services/sanic_site/__init__.py": "",
    "services/sanic_site/server.py": """
        import sanic
        from sanic.response import text

        app = sanic.Sanic("site")

        @app.get("/")
        async def home(request):
            return text("sanic")
    """,
    "falcon_site/app.py": """
        import falcon.asgi

        class Home:
            async def on_get(self, request, response):
                response.text = "falcon"

        app = application = falcon.asgi.App()
        app.add_route("/", Home())
    """,
    "blacksheep_site/main.py": """
        from blacksheep import Application, get

        app = Application()

        @get("/")
        async def home() -> str:
            return "blacksheep"
    """,
    "fastapi_site/src/core/web.py": """
        from fastapi import FastAPI

        class Service(FastAPI):
            pass
    """,
    "fastapi_site/src/core/__init__.py": "",
    "fastapi_site/src/shop/__init__.py": "",
    "fastapi_site/pyproject.toml": "",
    "fastapi_site/src/shop/main.py": """
        from core.web import Service
        from fastapi.responses import PlainTextResponse
        from shop.admin import admin

        api: Service = Service()
        api.mount("/admin", admin)

        @api.get("/", response_class=PlainTextResponse)
        async def home() -> str:
            return "fastapi"
    """,
    "fastapi_site/src/shop/admin.py": "from core.web import Service\nadmin = Service()\n",
    "starlette_site/main.py": """
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        async def home(request):
            return PlainTextResponse("starlette")

        try:
            app = Starlette(routes=[Route("/", home)])
        except Exception:
            raise
    """,
    "litestar_site/app.py": """
        from litestar import Litestar, get

        @get("/", media_type="text/plain", sync_to_thread=False)
        def home() -> str:
            return "litestar"

        app = Litestar([home])
    """,
    "django_site/manage.py": "",
    "django_site/mysite/__init__.py": "",
    "django_site/mysite/settings.py": """
        SECRET_KEY = "x"
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "mysite.urls"
    """,
    "django_site/mysite/urls.py": """
        from django.http import HttpResponse
        from django.urls import path

        urlpatterns = [path("", lambda request: HttpResponse("django"))]
    """,
    "django_site/mysite/asgi.py": """
        import os

        from django.core.asgi import get_asgi_application

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
        application = get_asgi_application()
    """,
    "plain/asgi.py": """
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                while True:
                    kind = (await receive())["type"]
                    await send({"type": f"{kind}.complete"})
                    if kind == "lifespan.shutdown":
                        return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"plain"})
    """,
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that has the frameworks, besides what the tests are run with."""
    folder = tmp_path_factory.mktemp("frameworks") / ".venv"
    environment = Environment(folder)
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment.python),
        "install",
        "-q",
        "--no-compile",
        *OTHERS,
    ]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, timeout=150)
    if done.returncode != 0:
        pytest.skip(f"{', '.join(OTHERS)} cannot be installed: {done.stderr[-300:]}")
    return folder


@pytest.mark.timeout(240)
def test_every_framework_is_found_and_runs(tmp_path: Path, packages: Path, up: StackStarter) -> None:
    folder = write_files(tmp_path / "zoo", FILES)
    (folder / ".venv").symlink_to(packages)
    for command in ("init", "check"):
        done = subprocess.run(
            [sys.executable, "-m", "devrun", command], cwd=folder, env=clean_environ(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    apps = tomllib.loads((folder / "devrun.toml").read_text())["apps"]
    frameworks = {
        name: next(word for word in WORDS if word in f"{app['app']} {app.get('cwd', '')}") for name, app in apps.items()
    }
    assert sorted(frameworks.values()) == sorted(WORDS)
    stack: Stack = up(folder)
    stack.wait_ready(timeout=60)
    assert {name: stack.get(name).text for name in frameworks} == frameworks
    assert stack.stop() == 0


def test_the_schema_beside_the_state_is_that_of_the_running_version(tmp_path: Path, up: StackStarter) -> None:
    folder = write_files(tmp_path, {"devrun.toml": '[apps.api]\napp = "main:app"\n', "main.py": FILES["plain/asgi.py"]})
    schema = folder / ".devrun/devrun.schema.json"
    write_files(folder, {".devrun/devrun.schema.json": "of an older version"})
    stack = up(folder)
    wait_until(lambda: schema.read_text() == schema_text(), "no new schema")
    assert stack.stop() == 0
    before = schema.stat().st_mtime_ns, schema.stat().st_ino

    again = up(folder)
    again.wait_ready()
    assert again.stop() == 0
    assert (schema.stat().st_mtime_ns, schema.stat().st_ino) == before

from __future__ import annotations

import pytest

from devrun.asgi import FRAMEWORKS, OTHERS, Found, Refused, Sources
from devrun.sources import read


def sources(**files: str) -> Sources:
    """A project: ``shop__main`` stands for shop/main.py, ``shop__init`` for shop/__init__.py."""
    paths = {name: name.replace("__", "/").replace("/init", "/__init__") + ".py" for name in files}
    return Sources({paths[name]: read(text.encode()) for name, text in files.items()})


def apps(**files: str) -> list[str]:
    return [f"{one.file}:{one.attribute}{'()' if one.factory else ''}" for one in sources(**files).apps()]


def test_a_found_app_says_what_made_it() -> None:
    assert sources(main="from fastapi import FastAPI\napp = FastAPI()").apps() == [Found("main.py", "app", "FastAPI")]


@pytest.mark.parametrize("origin", FRAMEWORKS)
def test_every_framework_under_each_of_its_names(origin: str) -> None:
    module, _, name = origin.rpartition(".")
    for text in (
        f"from {module} import {name}\napp = {name}('x')",
        f"from {module} import {name} as Web\napp = Web()",
        f"import {module} as lib\napp = lib.{name}()",
        f"import {module}\napp = {origin}()",
        f"from {module} import {name}\napp: {name} = {name}()",
        f"from {module} import {name}\ndef create():\n    app = {name}()\n    return app",
        f"def create():\n    from {module} import {name}\n    return {name}()",
    ):
        (found,) = sources(main=text).apps()
        assert (found.framework, found.factory) == (FRAMEWORKS[origin], "def" in text), text


@pytest.mark.parametrize(
    "text",
    [
        "async def app(scope, receive, send): ...",
        "async def admin_app(scope, receive, send): ...",
        "class App:\n    async def __call__(self, scope, receive, send): ...\napp = App()",
        "class App:\n    x = 1\n    async def __call__(self, scope, receive, send): ...\napplication = App()",
        "class App(Unknown):\n    async def __call__(self, scope, receive, send): ...\napp = App(1)",
    ],
)
def test_plain_asgi(text: str) -> None:
    (found,) = sources(main=text).apps()
    assert found.framework == "ASGI" and not found.factory


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app = 3",
        "app = FastAPI()",
        "app = make()[0]()",
        "from other import FastAPI\napp = FastAPI()",
        "from fastapi import APIRouter\napp = APIRouter()",
        "async def endpoint(scope, receive, send): ...",
        "async def app(request): ...",
        "def app(scope, receive, send): ...",
        "class M:\n    async def __call__(self, scope, receive, send): ...\nmiddleware = M()",
        "class M:\n    def __call__(self, scope, receive, send): ...\napp = M()",
        "class M:\n    async def __call__(self, request): ...\napp = M()",
        "from fastapi import FastAPI\nif __name__ == '__main__':\n    app = FastAPI()",
        "from fastapi import FastAPI\napp: FastAPI\n",
        "from fastapi import FastAPI\nx.app = FastAPI()",
        "from fastapi import FastAPI\n(app, b) = FastAPI(), 1",
        "from fastapi import FastAPI\ndef create(settings): return FastAPI()",
        "from fastapi import FastAPI\ndef create(*, settings): return FastAPI()",
        "from fastapi import FastAPI\nasync def create(): return FastAPI()",
        "from fastapi import FastAPI\ndef _create(): return FastAPI()",
        "from fastapi import FastAPI\ndef create_test_app(): return FastAPI()",
        "from fastapi import FastAPI\ndef create():\n    def inner(): return FastAPI()\n    return inner",
        "def create(): return",
        "from fastapi import FastAPI\ndef create() -> 'FastAPI | None': ...",
        "def create() -> None: return None",
        "class A(B): ...\nclass B(A): ...\napp = A()",
        "from main import app",
        "from . import app",
        "from main import Web\napp = Web()",
    ],
)
def test_what_is_no_app(text: str) -> None:
    assert apps(main=text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("try:\n    x = 1\nexcept E:\n    pass\nelse:\n    app = FastAPI()", ["main.py:app"]),
        ("try:\n    pass\nexcept E:\n    app = FastAPI()", ["main.py:app"]),
        ("if DEBUG:\n    app = FastAPI(debug=True)\nelse:\n    app = FastAPI()", ["main.py:app"]),
        ("with x:\n    app = FastAPI()", ["main.py:app"]),
        ("if __name__ == '__main__':\n    run()\nelse:\n    app = FastAPI()", ["main.py:app"]),
        ("app = FastAPI()\napp = CORSMiddleware(app)", ["main.py:app"]),
        ("app = api = FastAPI()", ["main.py:app"]),
        ("app = FastAPI()\nadmin = FastAPI()", ["main.py:app", "main.py:admin"]),
        ("app = FastAPI()\nadmin = FastAPI()\napp.mount('/admin', admin)", ["main.py:app"]),
        ("app = FastAPI()\nadmin = FastAPI()\napp.mount('/admin', app=admin)", ["main.py:app"]),
        ("app = FastAPI()\nm[0](1)", ["main.py:app"]),
        ("app = FastAPI()\nsite = FastAPI()\nsite.mount('/', files, name='app')", ["main.py:app", "main.py:site"]),
        ("app = FastAPI()\napp.mount('/files', StaticFiles(directory='x'))", ["main.py:app"]),
        ("api = FastAPI()\napp = Starlette(routes=[Mount('/api', api)])", ["main.py:app"]),
        ("api = FastAPI()\napp = Starlette(routes=[x('/api', api)])", ["main.py:app"]),
        ("inner = FastAPI()\ndef create(): return Starlette(inner)", ["main.py:create()"]),
        ("def create() -> FastAPI: ...", ["main.py:create()"]),
        ("def create() -> 'FastAPI': ...", ["main.py:create()"]),
        ("def create(settings=None, *, debug=False) -> FastAPI: ...", ["main.py:create()"]),
        ("def create():\n    if x:\n        return FastAPI()\n    return None", ["main.py:create()"]),
        ("def create() -> FastAPI: ...\napp = create()", ["main.py:app"]),
        ("app = FastAPI()\ndef get() -> FastAPI:\n    return app", ["main.py:app"]),
        ("def admin() -> FastAPI: ...\ndef create() -> FastAPI:\n    x.mount('/', admin())", ["main.py:create()"]),
        ("def admin() -> FastAPI: ...\ndef create() -> FastAPI:\n    return admin()", ["main.py:create()"]),
        ("class Web(FastAPI): ...\napp = Web()", ["main.py:app"]),
        ("class Web(FastAPI[int]): ...\nclass Shop(Mixin, Web): ...\napp = Shop()", ["main.py:app"]),
        ("def main():\n    run(create())\ndef create() -> FastAPI: ...", ["main.py:create()"]),
    ],
)
def test_what_belongs_to_which_app(text: str, found: list[str]) -> None:
    head = "from fastapi import FastAPI\nfrom starlette.applications import Starlette\n"
    assert apps(main=head + text) == found


WEB = "from fastapi import FastAPI\nclass Web(FastAPI): ...\n"
FACTORY = WEB + "def create() -> Web: ...\n"


@pytest.mark.parametrize(
    "text",
    [
        "from shop.factory import create\napp = create()",
        "from .factory import create as make\napp = make()",
        "from . import factory\napp = factory.create()",
        "import shop.factory\napp = shop.factory.create()",
        "import shop.factory as f\napp = f.create()",
        "from shop import create\napp = create()",
    ],
)
def test_factories_of_other_files(text: str) -> None:
    package = {"shop__init": "from .factory import create", "shop__factory": FACTORY}
    assert apps(**package, shop__main=text) == ["shop/main.py:app"]


@pytest.mark.parametrize("text", ["app = Web()", "class Own(Web): ...\napp = Own()"])
def test_classes_of_other_files(text: str) -> None:
    assert apps(shop__web=WEB, shop__main=f"from shop.web import Web\n{text}") == ["shop/main.py:app"]


def test_of_two_packages_of_one_name_the_nearer_is_meant() -> None:
    flask = "from flask import Flask\ndef create(): return Flask()"
    main = "from core.factory import create\napp = create()"
    assert apps(a__core__factory=FACTORY, a__main=main, b__core__factory=flask, b__main=main) == ["a/main.py:app"]


def test_parts_of_an_app_in_other_files() -> None:
    admin = "from fastapi import FastAPI\nadmin = FastAPI()\ndef reports() -> FastAPI: ..."
    main = "from fastapi import FastAPI\nfrom shop.admin import admin, reports\napp = FastAPI()\n"
    main += "app.mount('/a', admin)\napp.mount('/r', reports())"
    assert apps(shop__admin=admin, shop__main=main) == ["shop/main.py:app"]


def test_imports_that_lead_nowhere_or_in_a_circle() -> None:
    assert apps(a="from b import app as app2\nfrom b import x\napp = x()", b="from a import x") == []
    assert apps(shop__main="from ....far import create\napp = create()") == []
    assert apps(a="def f(): return g()\ndef g(): return f()\napp = f()") == []


def test_makers_are_what_other_files_may_call() -> None:
    assert sources(a=FACTORY + "class Other: ...\ndef nothing(): ...\ndef add(): return 1 + 1").makers() == {
        "Web",
        "create",
    }


@pytest.mark.parametrize("origin", OTHERS)
def test_what_cannot_be_served_is_said(origin: str) -> None:
    module, _, name = origin.rpartition(".")
    text = f"from {module} import {name}\napp = {name}()\nx = 3\ny = None"
    assert sources(main=text).refused() == [Refused("main.py", "app", *OTHERS[origin])]
    assert sources(main=text).apps() == []
    wrapped = f"{text}\nfrom asgiref.wsgi import WsgiToAsgi\nasgi = WsgiToAsgi(app)"
    assert sources(main=wrapped).refused() == []
    assert apps(main=wrapped) == ["main.py:asgi"]


@pytest.mark.parametrize(
    "content",
    [
        b"def",
        b"x = '\0'",
        b"# coding: nonsense\n",
        b"# coding: utf-8\nx = '\xff'",
        b"(" * 9000,
        b"x = a" + b".a" * 9000,
    ],
)
def test_what_is_not_python(content: bytes) -> None:
    with pytest.raises(SyntaxError):
        read(content)


def test_encodings_and_doubtful_escapes() -> None:
    latin = "# coding: latin-1\nfrom fastapi import FastAPI\ntitle = 'é'\napp = FastAPI()".encode("latin-1")
    assert Sources({"a.py": read(latin)}).apps() != []
    assert read(b"\xef\xbb\xbfx = 1").defines("x")
    assert read(b"x = '\\d'").defines("x")  # a SyntaxWarning, which is an error in this suite

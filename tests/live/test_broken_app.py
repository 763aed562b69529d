"""A broken app answers 503 with its traceback, and is mended by the next save."""

from __future__ import annotations

import importlib.util
import shutil
import venv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import Stack
from tests.live.apps import RESPOND, TOML, answering

GOOD = answering("'good'")

# What stands in main.py, the line that says so, and what the page says.
BREAKS = {
    "syntax error": ("def app(:\n", r"broken api: main\.py:1: SyntaxError: ", "def app(:"),
    "import error": (
        "import nowhere\n",
        r"broken api: main\.py:1: ModuleNotFoundError: No module named 'nowhere'",
        "nowhere",
    ),
    "exception": ("x = 1\n\n1 / 0\n", r"broken api: main\.py:3: ZeroDivisionError: division by zero", "1 / 0"),
    "exit": (
        "import sys\nsys.exit('no database')\n",
        r"broken api: main\.py:2: SystemExit: no database",
        "no database",
    ),
    "no attribute": ("other = 1\n", r'broken api: Attribute "app" not found in module "main"', "main"),
    "not callable": ("app = {}\n", r"broken api: main:app is not an ASGI application: found builtins\.dict", "called"),
    "wsgi function": (
        "def app(environ, start_response):\n    return []\n",
        r"broken api: main:app is a WSGI application \(builtins\.function\), not ASGI; .*interface = \"wsgi\"",
        "a2wsgi",
    ),
    "wsgi object": (
        "class Flask:\n    def wsgi_app(self, e, s): ...\n    __call__ = wsgi_app\napp = Flask()\n",
        r"broken api: main:app is a WSGI application \(main\.Flask\)",
        "a2wsgi",
    ),
    "failing lifespan": (
        f"""
{RESPOND}
async def startup():
    raise RuntimeError("no database")
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        try:
            await lifespan(receive, send, startup)
        except RuntimeError:
            import traceback
            await send({{"type": "lifespan.startup.failed", "message": traceback.format_exc()}})
            raise
""",
        r"broken api: main\.py:\d+: RuntimeError: no database",
        "no database",
    ),
    "refusing lifespan": (
        'async def app(scope, receive, send):\n    await receive()\n    await send({"type": "lifespan.startup.failed", '
        '"message": "migrations are missing"})\n',
        r"broken api: migrations are missing",
        "migrations are missing",
    ),
}


def expect_broken(stack: Stack, line: str, text: str) -> None:
    stack.wait_line(line)
    answer = stack.get("api", headers={"accept": "application/json"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert text in answer.text
    assert "text/html" in stack.get("api", headers={"accept": "text/html"}).headers["content-type"]


@pytest.mark.parametrize("what", BREAKS)
def test_it_answers_503_and_comes_back(project: ProjectBuilder, up: StackStarter, what: str) -> None:
    source, line, text = BREAKS[what]
    folder = project({"devrun.toml": TOML, "main.py": source})
    stack = up(folder)
    expect_broken(stack, line, text)
    (folder / "main.py").write_text(GOOD)
    stack.wait_ready()
    assert stack.get("api").text == "good"
    (folder / "main.py").write_text(source)
    expect_broken(stack, line, text)
    (folder / "main.py").write_text(GOOD + "\n")
    stack.wait_line(r"\] ready api")
    assert stack.get("api").text == "good"
    cycles = [line.split()[1] for line in stack.lines if line.startswith("[devrun]")][2:]
    mended = ["broken", "waiting", "reloading", "ready"]
    assert cycles == [*mended, "stack", "reloading", *mended]


def test_the_file_that_broke_it_is_watched_though_it_never_imported(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(
        {
            "devrun.toml": TOML,
            "main.py": answering("routes.VALUE", "import shop.routes as routes"),
            "shop/routes.py": "x =",
        }
    )
    stack = up(folder)
    stack.wait_line(r"broken api: shop/routes\.py:1: SyntaxError: invalid syntax$")
    (folder / "shop/routes.py").write_text("VALUE = 'mended'")
    stack.wait_text("api", "mended")


def test_a_missing_module_is_waited_for(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML})
    stack = up(folder)
    stack.wait_line(r'broken api: Could not import module "main"\.')
    (folder / "main.py").write_text(GOOD)
    stack.wait_text("api", "good")


def test_one_broken_app_leaves_the_others_alone(project: ProjectBuilder, up: StackStarter) -> None:
    toml = TOML + '[apps.bad]\napp = "bad:app"\n'
    stack = up(project({"devrun.toml": toml, "main.py": GOOD, "bad.py": "1 / 0"}))
    stack.wait_line("broken bad")
    stack.wait_line("ready api", since=0)
    assert stack.get("api").text == "good"
    assert stack.stop() == 0


def test_an_app_that_ends_its_process_at_import(project: ProjectBuilder, up: StackStarter) -> None:
    source = "import os\nprint('last words', flush=True)\nos._exit(7)\n"
    folder = project({"devrun.toml": TOML, "main.py": source})
    stack = up(folder)
    stack.wait_line(r"exited api: exit code 7")
    expect_broken(stack, "broken api: the worker ended with exit code 7", "last words")
    (folder / "main.py").write_text(GOOD)
    stack.wait_text("api", "good")


def test_an_interpreter_without_uvicorn(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": GOOD})
    venv.create(folder / ".venv", symlinks=True)
    python = folder / ".venv/bin/python"
    stack = up(folder)
    stack.wait_line(
        f"broken api: uvicorn is not installed for {python}; install it with: {python} -m pip install uvicorn"
    )
    assert stack.get("api").status_code == 503


def test_uvicorn_that_gets_installed_mends_the_app(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": GOOD})
    venv.create(folder / ".venv", symlinks=True)
    stack = up(folder)
    stack.wait_line("broken api: uvicorn is not installed")
    (site_packages,) = (folder / ".venv").glob("lib/python*/site-packages")
    for name in ("typing_extensions", "h11", "click", "uvicorn"):  # as pip would, without asking for a network
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        origin = Path(spec.origin)
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, site_packages / name)
        else:
            shutil.copy(origin, site_packages)
    stack.wait_ready()
    assert stack.get("api").text == "good"


def test_an_interpreter_that_vanishes_while_the_stack_is_up(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML, "main.py": GOOD})
    venv.create(folder / ".venv", symlinks=True)
    stack = up(folder)
    stack.wait_line("broken api: uvicorn is not installed")
    (folder / ".venv/bin/python").unlink()
    (folder / "main.py").write_text(GOOD + "\n")
    stack.wait_line("broken api: the worker ended with exit code 127")
    assert "cannot be started" in stack.get("api").text


def test_the_page_names_the_line(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({"devrun.toml": TOML, "main.py": "before = 1\nbroken = undefined\nafter = 2\n"}))
    stack.wait_line(r"broken api: main\.py:2: NameError: name 'undefined' is not defined$")
    page = stack.get("api", headers={"accept": "text/html"}).text
    assert "broken = undefined" in page
    failure = stack.get("api", headers={"accept": "application/json"}).json()
    assert failure["line"] == 2
    assert Path(failure["file"]).name == "main.py"
    assert "devrun" not in failure["text"], "only the user's frames"


def test_a_frontend_of_the_stack_may_read_it(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({"devrun.toml": TOML, "main.py": "1 / 0"}))
    stack.wait_line("broken")
    mine = stack.get("api", headers={"origin": "http://localhost:5173"})
    assert mine.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert "access-control-allow-origin" not in stack.get("api", headers={"origin": "https://evil.example"}).headers


def test_a_folder_that_vanishes_while_the_stack_is_up(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": TOML + 'cwd = "gone"\n', "gone/main.py": GOOD})
    stack = up(folder)
    stack.wait_ready()
    (folder / "gone").rename(folder / "elsewhere")
    stack.wait_line("broken api: the worker ended with exit code 127")
    assert stack.get("api").status_code == 503
    (folder / "elsewhere").rename(folder / "gone")
    stack.wait_text("api", "good")


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_the_browser_tab_comes_back_by_itself(project: ProjectBuilder, up: StackStarter, browser_page: Page) -> None:
    folder = project({"devrun.toml": TOML, "main.py": GOOD})
    stack = up(folder)
    stack.wait_ready()
    (folder / "main.py").write_text("def app(:\n")
    stack.wait_line("broken api")
    browser_page.goto(stack.url("api"))
    expect(browser_page.locator("body")).to_contain_text("SyntaxError: invalid syntax")
    expect(browser_page.locator("body")).to_contain_text("def app(:")
    (folder / "main.py").write_text("import nowhere\n")
    expect(browser_page.locator("body")).to_contain_text("No module named 'nowhere'")
    (folder / "main.py").write_text(GOOD)
    expect(browser_page.locator("body")).to_have_text("good")


def test_who_waits_for_a_broken_app_says_so_instead_of_hanging(project: ProjectBuilder, up: StackStarter) -> None:
    toml = TOML + '[apps.web]\napp = "web:app"\ndepends_on = ["api"]\n'
    folder = project({"devrun.toml": toml, "main.py": "1 / 0", "web.py": answering("'web'")})
    stack = up(folder)
    stack.wait_line("broken api")
    answer = stack.get("web")
    assert answer.status_code == 503
    assert "web waits for api, which is broken" in answer.text
    (folder / "main.py").write_text(GOOD)
    stack.wait_ready()
    assert stack.get("web").text == "web"

"""The env files of a real stack, exactly as the config asks for them."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import ProjectBuilder, StackStarter
from tests.live.apps import answering

BEGIN = "# >>> devrun >>> written by devrun while the stack is up; edits inside are lost\n"
END = "# <<< devrun <<<\n"

CONFIG = """
[apps.api]
app = "main:app"
[apps.auth-server]
app = "main:app"

[[dotenv]]
path = ".env"
[[dotenv]]
path = "frontend/.env.local"
prefix = "VITE_"
only = ["api"]
vars = { VITE_API_BASE = "${api.url}/v1", SOCKET = "${auth-server.ws_url}/live", OUTER = "${env:OUTER}" }
keep = true
"""
FILES: dict[str, str | bytes] = {"devrun.toml": CONFIG, "main.py": answering("'x'"), "frontend/.env.local": b"MINE=1"}


def ports(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text().splitlines()
    return {key: value for key, _, value in (line.partition("=") for line in lines) if key.endswith("_PORT")}


def endpoint(prefix: str, port: str) -> str:
    return f"{prefix}_URL=http://127.0.0.1:{port}\n{prefix}_HOST=127.0.0.1\n{prefix}_PORT={port}\n"


def test_every_key_of_dotenv(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project(FILES)
    for _ in range(2):  # the second time over the block that was kept
        running = up(folder, env={"OUTER": "x y"}, check_env_files=False)
        running.wait_line(r"wrote frontend/\.env\.local")
        assert [line for line in running.lines if "wrote" in line] == [
            "[devrun] wrote .env",
            "[devrun] wrote frontend/.env.local",
        ]
        found = ports(folder)
        api, auth = found["API_PORT"], found["AUTH_SERVER_PORT"]
        assert (folder / ".env").read_text() == (BEGIN + endpoint("API", api) + endpoint("AUTH_SERVER", auth) + END)
        kept = (
            BEGIN
            + endpoint("VITE_API", api)
            + f"VITE_API_BASE=http://127.0.0.1:{api}/v1\nSOCKET=ws://127.0.0.1:{auth}/live\nOUTER='x y'\n"
            + END
            + "MINE=1"
        )
        assert (folder / "frontend" / ".env.local").read_text() == kept
        running.wait_ready()
        assert running.stop() == 0
        # Created by devrun: gone. `keep`: as it was while the stack was up.
        assert not (folder / ".env").exists()
        assert (folder / "frontend" / ".env.local").read_text() == kept


def test_without_dotenv_there_is_one_file_with_every_endpoint(project: ProjectBuilder, up: StackStarter) -> None:
    config = CONFIG.partition("[[dotenv]]")[0]
    folder = project({"devrun.toml": config, "main.py": answering("'x'")})
    running = up(folder)
    running.wait_line("wrote .env")
    found = ports(folder)
    text = BEGIN + endpoint("API", found["API_PORT"]) + endpoint("AUTH_SERVER", found["AUTH_SERVER_PORT"]) + END
    assert (folder / ".env").read_text() == text
    assert running.stop() in (0, 130)
    assert not (folder / ".env").exists()


def test_a_variable_of_an_app_that_is_not_started_is_left_out(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({**FILES, "devrun.toml": CONFIG.replace("keep = true", "")})
    running = up(folder, "api", env={"OUTER": "1"})
    running.wait_line(r"wrote frontend/\.env\.local")
    assert "SOCKET" not in (folder / "frontend" / ".env.local").read_text()
    assert "AUTH_SERVER" not in (folder / ".env").read_text()

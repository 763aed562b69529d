"""devrun.toml and env files, saved while the stack is up: the difference is applied, and nothing else is touched."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import httpx
import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import DEADLINE, Stack, wait_until
from tests.live.servers import APP, PYTHON, SHOW, toml

BASE = """
[apps.api]
app = "main:app"
[apps.auth]
app = "main:app"
env_file = "auth.env"
"""
FILES: Mapping[str, str | bytes] = {"main.py": APP, "show.py": SHOW, "auth.env": "MODE=one\n"}


@pytest.fixture
def stack(project: ProjectBuilder, up: StackStarter) -> Stack:
    started = up(project({**FILES, "devrun.toml": BASE}))
    started.wait_ready()
    return started


def save(stack: Stack, text: str, name: str = "devrun.toml") -> None:
    (stack.folder / name).write_text(text)


def pid(stack: Stack, app: str) -> int:
    return int(stack.get(app).json()["pid"])


def test_a_new_app_starts_and_the_others_are_not_touched(stack: Stack) -> None:
    before = pid(stack, "api"), pid(stack, "auth"), stack.url("api")
    save(stack, BASE + '[apps.new]\napp = "main:app"\nenv.PAY = "${pay.url}"\n[external.pay]\nurl = "https://pay.io"\n')
    url = stack.wait_line(r"^\[devrun\] ready new (\S+) in")[1]
    wait_until(lambda: stack.variables().get("NEW_URL") == url, "the env file does not know it")
    assert stack.variables()["PAY_URL"] == "https://pay.io"
    assert stack.get("new").json()["environ"]["PAY"] == "https://pay.io"
    assert (pid(stack, "api"), pid(stack, "auth"), stack.url("api")) == before


def test_who_is_restarted_later_knows_the_new_addresses(stack: Stack) -> None:
    save(stack, BASE + '[apps.new]\napp = "main:app"\n')
    stack.wait_line(r"^\[devrun\] ready new")
    assert "NEW_URL" not in stack.get("api").json()["environ"]
    (stack.folder / "main.py").write_text((stack.folder / "main.py").read_text() + "\n# edited\n")
    stack.wait_line(r"^\[devrun\] ready api")
    assert stack.get("api").json()["environ"]["NEW_URL"] == stack.url("new")


def test_a_removed_app_ends_and_its_address_goes(stack: Stack) -> None:
    before, url = pid(stack, "api"), stack.url("auth")
    save(stack, BASE.partition("[apps.auth]")[0])
    stack.wait_line(r"^\[devrun\] stopped auth$")
    wait_until(lambda: "AUTH_URL" not in stack.variables(), "the env file still has it")
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, timeout=DEADLINE, trust_env=False)
    assert pid(stack, "api") == before


def test_a_changed_app_restarts_at_the_same_address_while_requests_run(stack: Stack) -> None:
    before, url, other = pid(stack, "api"), stack.url("api"), pid(stack, "auth")
    with asking(url) as answers:
        save(stack, BASE.replace("[apps.auth]", 'env.A = "1"\n[apps.auth]'))
        stack.wait_line(r"^\[devrun\] reloading api: devrun.toml$")
        stack.wait_line(r"^\[devrun\] ready api")
    assert stack.get("api").json()["environ"]["A"] == "1"
    assert answers and set(answers) == {200}, "no request was refused, reset or answered with an error"
    assert (stack.url("api"), pid(stack, "auth")) == (url, other)
    assert pid(stack, "api") != before


@contextmanager
def asking(url: str) -> Iterator[list[int]]:
    """Ask all the time; the statuses, 0 for no answer."""
    answers: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(httpx.get(url, timeout=DEADLINE, trust_env=False).status_code)
            except httpx.HTTPError:
                answers.append(0)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def test_a_saved_env_file_restarts_its_app_alone(stack: Stack) -> None:
    before = pid(stack, "api")
    save(stack, "MODE=two\n", "auth.env")
    stack.wait_line(r"^\[devrun\] reloading auth: auth.env$")
    stack.wait_line(r"^\[devrun\] ready auth")
    assert stack.get("auth").json()["environ"]["MODE"] == "two"
    assert pid(stack, "api") == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE.replace("app =", "ap ="), r"devrun.toml:3: apps.api.ap: unknown key; expected a key of an app"),
        (BASE + "[apps", r"devrun.toml:\d+: not TOML"),
        (BASE.replace("auth.env", "gone.env"), r"devrun.toml:6: apps.auth.env_file: gone.env cannot be read"),
    ],
)
def test_a_broken_config_is_told_and_nothing_changes(text: str, said: str, stack: Stack) -> None:
    before = pid(stack, "api"), pid(stack, "auth")
    save(stack, text)
    stack.wait_line(rf"^\[devrun\] warning: {said}")
    assert (pid(stack, "api"), pid(stack, "auth")) == before
    save(stack, BASE + '[apps.new]\napp = "main:app"\n')
    stack.wait_line(r"^\[devrun\] ready new")
    assert (pid(stack, "api"), pid(stack, "auth")) == before
    warnings = [line for line in stack.lines if "warning" in line]
    assert len(warnings) == len(set(warnings)), "each mistake is told once"


def test_a_save_in_several_writes_is_one(stack: Stack) -> None:
    """Half of a config is a valid one, in which an app is missing."""
    before = pid(stack, "api"), pid(stack, "auth")
    whole = BASE + '[apps.new]\napp = "main:app"\n'
    with open(stack.folder / "devrun.toml", "w", buffering=1) as file:
        for line in whole.splitlines(keepends=True):
            file.write(line)
            file.flush()
            time.sleep(0.01)  # an editor that is slow
    stack.wait_line(r"^\[devrun\] ready new")
    assert (pid(stack, "api"), pid(stack, "auth")) == before
    assert not [line for line in stack.lines if "warning" in line or "stopped" in line]


def test_a_changed_port_moves_the_app_and_a_taken_one_is_told(stack: Stack) -> None:
    before, other = stack.url("api"), pid(stack, "auth")
    taken = int(stack.variables()["AUTH_PORT"])
    save(stack, BASE.replace("[apps.auth]", f"port = {taken}\n[apps.auth]"))
    stack.wait_line(rf"^\[devrun\] warning: port {taken} of app 'api' is taken on 127.0.0.1 by process \d+")
    assert (stack.url("api"), pid(stack, "auth")) == (before, other)
    save(stack, BASE.replace("[apps.auth]", 'host = "0.0.0.0"\n[apps.auth]'))
    stack.wait_line(r"^\[devrun\] ready api")
    assert stack.url("api") != before
    assert stack.get("api").status_code == 200


def test_two_apps_change_their_ports(project: ProjectBuilder, up: StackStarter) -> None:
    """The one listens where the other did without a gap."""
    stack = up(project({**FILES, "devrun.toml": BASE}))
    one, two = (int(stack.variables()[f"{name}_PORT"]) for name in ("API", "AUTH"))
    save(stack, BASE.replace("[apps.auth]", f"port = {two}\n[apps.auth]\nport = {one}"))
    stack.wait_line(r"^\[devrun\] reloading a")
    for _ in range(2):
        stack.wait_line(r"^\[devrun\] ready a")
    assert (stack.variables()["API_PORT"], stack.variables()["AUTH_PORT"]) == (str(two), str(one))
    assert stack.get("api").json()["environ"]["DEVRUN_APP"] == "api"
    assert stack.get("auth").json()["environ"]["DEVRUN_APP"] == "auth"


def test_env_files_come_and_go(stack: Stack) -> None:
    extra = '[[dotenv]]\npath = "web.env"\nprefix = "VITE_"\nonly = ["api"]\n'
    save(stack, BASE + extra)
    stack.wait_line(r"^\[devrun\] wrote web.env$")
    assert stack.variables("web.env")["VITE_API_URL"].startswith("http://127.0.0.1:")
    wait_until(lambda: not (stack.folder / ".env").exists(), ".env is not restored")
    save(stack, BASE)
    stack.wait_line(r"^\[devrun\] wrote .env$")
    wait_until(lambda: not (stack.folder / "web.env").exists(), "web.env is not restored")


def test_commands_come_change_and_go(stack: Stack) -> None:
    before = pid(stack, "api")
    words = [PYTHON, "show.py", "--port", "${web.port}"]
    save(stack, BASE + f"[commands.web]\nrun = {toml(words)}\nport = 0\n")
    url = stack.wait_line(r"^\[devrun\] ready web (\S+) in")[1]
    first = httpx.get(url, timeout=DEADLINE, trust_env=False).json()["pid"]
    save(stack, BASE + f'[commands.web]\nrun = {toml(words)}\nport = "sticky"\nenv.A = "1"\n')
    stack.wait_line(rf"^\[devrun\] ready web {url} in")
    second = httpx.get(url, timeout=DEADLINE, trust_env=False).json()
    assert second["pid"] != first and second["environ"]["A"] == "1"
    save(stack, BASE)
    stack.wait_line(r"^\[devrun\] stopped web$")
    assert pid(stack, "api") == before


def test_what_counts_only_next_time_is_told(stack: Stack) -> None:
    save(stack, 'name = "other"\n' + BASE)
    stack.wait_line(r"^\[devrun\] warning: devrun.toml: another name counts when the stack is started anew$")


def test_nothing_is_followed_without_reload(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project({**FILES, "devrun.toml": BASE}), "--no-reload")
    stack.wait_ready()
    save(stack, BASE + '[apps.new]\napp = "main:app"\n')
    with pytest.raises(AssertionError):
        stack.wait_line(r"new", timeout=1.0)


# --- random edits ---------------------------------------------------------------------------------------------------


def random_config(chance: random.Random) -> dict[str, dict[str, object]]:
    """Some apps and commands, each with a value that says what it is to be."""
    names = [name for name in ("api", "auth", "shop", "web") if chance.random() < 0.7] or ["api"]
    return {name: {"value": chance.randrange(3), "command": name == "web"} for name in names}


def written(config: Mapping[str, Mapping[str, object]]) -> str:
    text = "" if any(not part["command"] for part in config.values()) else '[apps.last]\napp = "main:app"\n'
    for name, part in config.items():
        if part["command"]:
            run = toml([PYTHON, "show.py", "--port", "${" + name + ".port}"])
            text += f"[commands.{name}]\nrun = {run}\nport = 0\nenv.VALUE = '{part['value']}'\n"
        else:
            text += f"[apps.{name}]\napp = 'main:app'\nenv.VALUE = '{part['value']}'\n"
    return text


def is_so(stack: Stack, config: Mapping[str, Mapping[str, object]]) -> bool:
    variables = stack.variables()
    running = {key.removesuffix("_URL").lower() for key in variables if key.endswith("_URL")} - {"last"}
    if running != set(config):
        return False
    try:
        return all(stack.get(name).json()["environ"]["VALUE"] == str(part["value"]) for name, part in config.items())
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(2))
def test_random_edits_end_in_what_the_file_says(seed: int, project: ProjectBuilder, up: StackStarter) -> None:
    chance = random.Random(seed)
    config = random_config(chance)
    stack = up(project({**FILES, "devrun.toml": written(config)}))
    wait_until(partial(is_so, stack, config), f"not as the file says: {config}")
    for _ in range(20):
        before = {name: (part, pid(stack, name)) for name, part in config.items()}
        saves = chance.choice((1, 1, 1, 3))
        for _ in range(saves):
            config = random_config(chance)
            if chance.random() < 0.2:
                save(stack, written(config) + "[broken")
            if chance.random() < 0.5:
                save(stack, written(config), "devrun.toml.new")
                os.replace(stack.folder / "devrun.toml.new", stack.folder / "devrun.toml")
            else:
                save(stack, written(config))
        wait_until(partial(is_so, stack, config), f"not as the file says: {config}")
        untouched = {name for name, part in config.items() if saves == 1 and before.get(name, (None,))[0] == part}
        assert {name: pid(stack, name) for name in untouched} == {name: before[name][1] for name in untouched}
    assert stack.stop() in (0, 130)

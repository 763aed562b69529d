"""``devrun.running``: blocking and in loops, and nothing left however its block ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import assert_type

import anyio
import httpx
import pytest

import devrun
from tests.conftest import ProjectBuilder
from tests.driver import wait_until, write_files
from tests.live.apps import RESPOND
from tests.live.suites import Suites

CONFIG = """
name = "shop"
[apps.api]
app = "main:app"
port = 8000
[apps.chat-room]
app = "main:app"
[commands.queue]
run = "sh -c 'echo queue at $API_URL; exec sleep 60'"
[external.payments]
url = "https://payments.example.com/v1"
[[dotenv]]
path = ".env.local"
prefix = "VITE_"
vars = { BASE = "${api.url}/v1" }
"""
MAIN = f"""
import os
{RESPOND}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["path"] == "/flood":
        print(("x" * 99 + "\\n") * 20_000)
        await respond(send, "flooded")
    else:
        await respond(send, os.environ.get(scope["path"][1:], "unset") if scope["path"] != "/pid" else os.getpid())
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("shop"), {"devrun.toml": CONFIG, "main.py": MAIN})


@pytest.fixture(autouse=True)
def nothing_left(shop: Path) -> Iterator[None]:
    """Neither descriptor nor thread nor state; the processes are ``no_process_left``'s."""

    def held() -> tuple[int, list[str]]:
        gc.collect()
        return len(os.listdir("/proc/self/fd")), [t.name for t in threading.enumerate() if t.name.startswith("devrun")]

    before = held()
    yield
    assert held() == before
    runs = shop / ".devrun" / "run"
    assert not runs.is_dir() or os.listdir(runs) == []


def get(url: str) -> str:
    return httpx.get(url, trust_env=False, timeout=20).text


# --- what a stack tells ---------------------------------------------------------------------------------------------


def test_the_blocking_form(shop: Path) -> None:
    with devrun.running(cwd=shop, env={"MORE": "more", "HOME": None}) as stack:
        assert_type(stack, devrun.Stack)
        api = stack["api"]
        assert_type(api, devrun.App)
        assert list(stack) == ["api", "chat-room", "queue", "payments"] and "api" in stack and "apy" not in stack
        assert api.url == f"http://127.0.0.1:{api.port}" and api.ws_url == f"ws://{api.host}:{api.port}"
        assert api.port != 8000 and stack["payments"].url == "https://payments.example.com/v1"
        assert {name: get(f"{api.url}/{name}") for name in ("MORE", "HOME", "DEVRUN_APP", "VITE_API_URL")} == {
            "MORE": "more",
            "HOME": "unset",
            "DEVRUN_APP": "api",
            "VITE_API_URL": "unset",
        }
        assert stack.env["CHAT_ROOM_URL"] == stack["chat-room"].url == get(f"{api.url}/CHAT_ROOM_URL")
        assert stack.env["BASE"] == f"{stack.env['VITE_API_URL']}/v1" == f"{api.url}/v1"
        assert stack.env["DEVRUN_STACK"] == get(f"{api.url}/DEVRUN_STACK")
        before = get(f"{api.url}/pid")
        api.restart()
        assert get(f"{api.url}/pid") != before
        stack.wait_ready("api", "queue")
        assert stack["queue"].logs() == [f"queue at {api.url}"]
        assert len(stack.logs(last=3)) == 3 and f"[queue] queue at {api.url}" in stack.logs()
        assert any(line.startswith("[devrun] ready api") for line in stack.logs())
    assert not (shop / ".env.local").exists()
    for ask in (stack.logs, stack.restart, stack.wait_ready):
        with pytest.raises(devrun.NoStackError):
            ask()


def test_the_form_for_loops(shop: Path) -> None:
    async def use() -> None:
        async with devrun.running("api", cwd=shop) as stack:
            assert_type(stack, devrun.AsyncStack)
            api = stack["api"]
            assert_type(api, devrun.AsyncApp)
            assert list(stack) == ["api", "payments"] and stack.env["API_URL"] == api.url
            before = get(f"{api.url}/pid")
            await asyncio.gather(api.restart(), api.wait_ready())
            await stack.wait_ready()
            assert get(f"{api.url}/pid") != before
            assert "INFO:     Application startup complete." in await api.logs()
            assert len(await stack.logs(last=2)) == 2
        with pytest.raises(devrun.NoStackError):
            await api.logs()

    asyncio.run(use())


def test_names_that_a_stack_does_not_have(shop: Path) -> None:
    with pytest.raises(devrun.UsageError, match="named 'apy'") as unknown, devrun.running("apy", cwd=shop):
        pass
    assert "did you mean 'api'?" in unknown.value.__notes__, "Python and pytest show notes"
    with devrun.running("api", cwd=shop) as stack:
        with pytest.raises(KeyError, match="^the stack has no app 'apy'; did you mean 'api'\\?$"):
            stack["apy"]
        with pytest.raises(devrun.UnknownNameError, match="no app 'queue'; it has api, payments"):
            stack["queue"]
        with pytest.raises(devrun.UnknownNameError, match="no app 'queue'"):
            stack.restart("queue")


def test_what_is_wrong_with_a_project_is_said_as_ever(tmp_path: Path) -> None:
    with pytest.raises(devrun.NoProjectError, match="there is no devrun.toml in "), devrun.running(cwd=tmp_path):
        pass
    (tmp_path / "other.toml").write_text("[apps.api]\nap = 'main:app'\n")
    with pytest.raises(devrun.ConfigError) as error, devrun.running(config=tmp_path / "other.toml"):
        pass
    assert "other.toml:2: apps.api.ap" in str(error.value) and len(error.traceback) <= 4


# --- broken apps ----------------------------------------------------------------------------------------------------


def test_a_broken_app_is_an_error_with_its_traceback(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG, "main.py": "x = 1\nx.y\n"})
    began = time.monotonic()
    with pytest.raises(devrun.BrokenAppError) as error, devrun.running(cwd=folder):
        pass
    assert time.monotonic() - began < 20, "it is not waited for"
    assert error.value.message.endswith(
        "cannot be started: main.py:2: AttributeError: 'int' object has no attribute 'y'"
    )
    assert error.value.traceback.startswith("Traceback (most recent call last):")
    assert error.value.traceback in str(error.value) and "/devrun/" not in str(error.value)


def test_an_app_that_is_broken_by_a_restart_or_a_save(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG, "main.py": MAIN})

    async def use() -> None:
        async with devrun.running("api", cwd=folder, reload=True) as stack:
            for attempt in (stack.restart, stack["api"].restart, stack.wait_ready):
                (folder / "main.py").write_text("def broken(:\n")
                with pytest.raises(devrun.BrokenAppError, match=r"api is broken: main.py:1: SyntaxError") as error:
                    await attempt()
                assert "def broken(:" in error.value.traceback
            (folder / "main.py").write_text(MAIN)
            await until_mended(stack)
            assert get(f"{stack['api'].url}/DEVRUN_APP") == "api"

    asyncio.run(asyncio.wait_for(use(), 30))


async def until_mended(stack: devrun.AsyncStack) -> None:
    """Until the save is noticed the app is as broken as before."""
    while True:
        try:
            return await stack.wait_ready()
        except devrun.BrokenAppError:
            await asyncio.sleep(0.01)


SLOW = "import time, pathlib\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)\n"


def test_what_is_not_ready_in_time_is_named(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG, "main.py": SLOW + MAIN})
    said = r"not ready within 2 s: api is importing, chat-room is importing"
    with pytest.raises(devrun.NotReadyError, match=said), devrun.running("api", "chat-room", cwd=folder, timeout=2):
        pass
    (folder / "go").touch()
    with devrun.running("api", cwd=folder) as stack:
        (folder / "go").unlink()
        with pytest.raises(devrun.NotReadyError, match=r"not ready within 0.3 s: api is reloading"):
            stack.restart(timeout=0.3)
        with pytest.raises(devrun.NotReadyError, match=r"not ready within 0.1 s: api is reloading"):
            stack["api"].wait_ready(timeout=0.1)
        (folder / "go").touch()
        stack.wait_ready()


# --- where it runs --------------------------------------------------------------------------------------------------


def test_in_threads_and_beside_each_other(shop: Path) -> None:
    def use(number: int) -> tuple[str, str]:
        with devrun.running("api", cwd=shop) as stack:
            stack.restart()
            return stack["api"].url, get(f"{stack['api'].url}/API_URL")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(use, range(4)))
    assert len(set(found)) == 4 and all(url == told for url, told in found)


def test_a_program_that_blocks_its_loop_does_not_hold_up_the_stack(shop: Path) -> None:
    async def use() -> None:
        with devrun.running("api", cwd=shop) as blocking:  # in a running loop, too
            assert get(f"{blocking['api'].url}/DEVRUN_APP") == "api"
        async with devrun.running("api", cwd=shop) as stack:
            for _ in range(3):  # 2 MB each: more than a pipe holds
                assert get(f"{stack['api'].url}/flood") == "flooded"

    asyncio.run(use())


def test_elsewhere_than_in_asyncio_the_blocking_form_is_named(shop: Path) -> None:
    async def use() -> None:
        with pytest.raises(devrun.UsageError, match="needs a loop of asyncio") as error:
            async with devrun.running(cwd=shop):
                pass
        assert error.value.hint is not None and "`with devrun.running() as stack`" in error.value.hint
        with devrun.running("api", cwd=shop) as stack:
            await anyio.to_thread.run_sync(stack.restart)
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"{stack['api'].url}/DEVRUN_APP")).text == "api"

    anyio.run(use, backend="trio")


def test_one_object_may_be_used_again_but_not_twice_at_once(shop: Path) -> None:
    running = devrun.running("api", cwd=shop)
    with running, pytest.raises(devrun.UsageError, match="up already"), running:
        pass
    with running as second:
        assert get(second["api"].url + "/DEVRUN_APP") == "api"


# --- how it ends ----------------------------------------------------------------------------------------------------


async def times_out(shop: Path, seconds: float) -> None:
    async with asyncio.timeout(seconds), devrun.running("api", cwd=shop):
        await asyncio.sleep(60)


async def is_cancelled_by_anyio(shop: Path, seconds: float) -> None:
    with anyio.fail_after(seconds):
        async with devrun.running("api", cwd=shop):
            await anyio.sleep(60)


async def is_cancelled_twice(shop: Path, seconds: float) -> None:
    async def use() -> None:
        async with devrun.running("api", cwd=shop):
            await asyncio.sleep(60)

    task = asyncio.create_task(use())
    await asyncio.sleep(seconds)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.001)
    assert task.cancelled()
    raise TimeoutError


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.5])
@pytest.mark.parametrize("way", [times_out, is_cancelled_by_anyio, is_cancelled_twice])
def test_nothing_is_left_of_a_block_that_is_cancelled(
    shop: Path, way: Callable[[Path, float], Awaitable[None]], seconds: float
) -> None:
    async def use() -> None:
        await way(shop, seconds)

    with pytest.raises(TimeoutError):
        asyncio.run(use())


def test_nothing_is_left_of_a_block_that_fails(shop: Path) -> None:
    async def use() -> None:
        async with devrun.running("api", cwd=shop):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(use())
    with pytest.raises(ZeroDivisionError), devrun.running("api", cwd=shop):
        raise ZeroDivisionError


PROGRAMS = {
    "with": """
with devrun.running('api'):
    (here / 'up').touch()
    while True: time.sleep(0.01)  # not one long one: with threads about, a signal just before it is not heard
""",
    "async with": """
async def main():
    async with devrun.running('api'): (here / 'up').touch(); await asyncio.sleep(60)
asyncio.run(main())
""",
}
HEAD = "import asyncio, devrun, pathlib, signal, time\nhere = pathlib.Path.cwd()\n(here / 'begun').touch()\n"


@pytest.mark.parametrize(("signum", "when"), [(signal.SIGINT, "begun"), (signal.SIGINT, "up"), (signal.SIGKILL, "up")])
@pytest.mark.parametrize("form", PROGRAMS)
def test_a_program_that_is_ended(project: ProjectBuilder, form: str, signum: signal.Signals, when: str) -> None:
    programs = Suites(project({"devrun.toml": CONFIG, "main.py": MAIN}))
    process = programs.start(command=(sys.executable, "-c", HEAD + PROGRAMS[form]))
    wait_until((programs.folder / when).exists)
    process.send_signal(signum)
    code, out = programs.finish(process)
    programs.check_gone()
    assert code == -signum, "as of any program"
    if signum == signal.SIGINT:
        assert out.count("KeyboardInterrupt") >= 1 and programs.states() == []


def test_a_program_that_forgets_the_end(project: ProjectBuilder) -> None:
    programs = Suites(project({"devrun.toml": CONFIG, "main.py": MAIN}))
    code, out = programs.run(command=(sys.executable, "-c", HEAD + "devrun.running('api').__enter__()"))
    assert (code, out) == (0, "")
    programs.check_gone()


FORKING = """
import multiprocessing
with devrun.running('api'):
    child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
    child.start()
    (here / 'up').touch()
    {then}
print('ended', flush=True)
child.kill()
"""


@pytest.mark.parametrize("then", ["os.kill(os.getpid(), signal.SIGKILL)", "began = time.monotonic()"])
def test_a_process_that_a_program_has_forked_keeps_nothing_up(project: ProjectBuilder, then: str) -> None:
    """It has a copy of every descriptor, also of the pipe by whose end the guard knows the launcher's."""
    programs = Suites(project({"devrun.toml": CONFIG, "main.py": MAIN}))
    process = programs.start(command=(sys.executable, "-c", HEAD + "import os\n" + FORKING.format(then=then)))
    wait_until((programs.folder / "up").exists)
    wait_until(lambda: process.poll() is not None)
    wait_until(lambda: len(programs.processes()) <= 1, timeout=2.0)
    for left in programs.processes():
        program, first, *_ = left.cmdline()
        assert (Path(program).name, first) == (Path(sys.executable).name, "-c"), "neither a worker nor a guard"
        left.kill()
    assert process.returncode == (0 if "began" in then else -signal.SIGKILL)
    programs.finish(process)

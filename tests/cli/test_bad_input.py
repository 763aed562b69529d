"""Bad input ends in a clear message and a documented exit code: nothing is started and no file is lost.

Import strings that lead nowhere are in ``tests/live/test_broken_app.py``: such an app starts, and answers 503.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devrun.cli.commands import COMMANDS
from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import clean_environ, small_file_system, write_files
from tests.live.apps import TOML, answering
from tests.live.ports import free_port, in_own_network, own_network

needs_network = pytest.mark.skipif(not own_network(), reason="needs a network namespace of its own")

APP = answering("'x'", "open('started', 'w').close()")
GOOD = {"devrun.toml": TOML, "main.py": APP}
OUTSIDE = {**GOOD, "devrun.toml": f"{TOML}[[dotenv]]\noutside = true\n"}
NAMED = '[apps.api]\napp = "main:app"\n'

EXAMPLE = 'hint: write a devrun.toml in the project folder, for example:\n\n[apps.api]\napp = "main:app"\n'
CWD = "expected a folder, relative to the project"
PYTHON = "expected a path relative to the app's cwd or the project, or a command on PATH"
ENV_FILE = "expected a file, relative to cwd"


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said; ``FOLDER`` stands for the project's folder."""

    code: int
    out: str
    err: str


def devrun(folder: Path, *args: str, shell: str = "", **environ: str) -> Done:
    """Run a command to its end. ``shell`` is a line of sh that runs it as ``"$@"``. Never is there a traceback."""
    argv = [sys.executable, "-m", "devrun", *args]
    if shell:
        argv = ["sh", "-c", shell, "sh", *argv]
    done = subprocess.run(
        argv, cwd=folder, env={**clean_environ(), **environ}, stdin=subprocess.DEVNULL, capture_output=True, timeout=30
    )
    place = os.fsencode(folder.resolve())
    out, err = (
        text.replace(place, b"FOLDER").decode("utf-8", "backslashreplace") for text in (done.stdout, done.stderr)
    )
    assert "Traceback" not in out + err
    return Done(done.returncode, out, err)


def contents(folder: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Mode and content, or the target of a link, of all that is in a folder; ``.devrun`` without what belongs there."""
    found: dict[str, tuple[int, bytes | str | None]] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if name not in (".devrun", ".devrun/.gitignore", ".devrun/lock", ".devrun/devrun.log"):
            found[name] = (path.lstat().st_mode, _content(path))
    return found


def _content(path: Path) -> bytes | str | None:
    if path.is_symlink():
        return os.readlink(path)
    return path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else None


def refused(folder: Path, *args: str, code: int = 2, **options: str) -> str:
    """Run ``up --plain``, which must start nothing and change nothing; returns what is on standard error."""
    before = contents(folder)
    done = devrun(folder, "up", "--plain", *args, **options)
    assert done.code == code, done
    assert re.fullmatch(r"(\[devrun\] starting .*\n)?", done.out)
    assert contents(folder) == before
    if code == 2:
        assert not (folder / ".devrun").exists()
        assert not done.out
    return done.err


def refused_by_both(folder: Path) -> str:
    """The same from ``up`` and ``check``."""
    said = refused(folder)
    assert devrun(folder, "check") == Done(2, "", said)
    return said


# --- the config file ----------------------------------------------------------------------------------------------


def test_no_config_file(project: ProjectBuilder) -> None:
    said = refused_by_both(project({"main.py": APP}))
    assert said == "error: there is no devrun.toml in FOLDER or any folder above it\n" + EXAMPLE


def test_a_config_file_that_was_named_and_is_not_there(project: ProjectBuilder) -> None:
    assert refused(project(GOOD), "--config", "other.toml") == "error: there is no file FOLDER/other.toml\n" + EXAMPLE


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (b"apps = [", r"devrun\.toml:1: not TOML: .+\n"),
        (b'[apps.api]\n\napp = "main:app', r"devrun\.toml:3: not TOML: .+\n"),
        (b'[apps.api]\napp = "m\xff:app"', r"devrun\.toml:2: not UTF-8: byte 0xff; expected a file in UTF-8\n"),
        ('[apps.api]\napp = "main:app"'.encode("utf-16"), r"devrun\.toml:1: not UTF-8: byte 0xff; .*\n"),
        (b"\0", r"devrun\.toml:1: not TOML: .+\n"),
        (b"", r"devrun\.toml:1: apps: missing; expected at least one table \[apps\.NAME\]\n"),
    ],
)
def test_a_config_file_that_cannot_be_understood(project: ProjectBuilder, toml: bytes, expected: str) -> None:
    assert re.fullmatch(expected, refused_by_both(project({"devrun.toml": toml, "main.py": APP})))


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("folder", "is a folder"),
        ("dangling link", "is a link to 'nowhere', which is not there"),
        ("circular link", "is a link to 'devrun.toml', which is not there"),
        ("pipe", "is not a regular file"),
    ],
)
def test_a_config_file_that_is_none(project: ProjectBuilder, kind: str, found: str) -> None:
    folder = project({"main.py": APP})
    path = folder / "devrun.toml"
    match kind:
        case "folder":
            path.mkdir()
        case "dangling link":
            path.symlink_to("nowhere")
        case "circular link":
            path.symlink_to("devrun.toml")
        case _:
            os.mkfifo(path)
    assert refused_by_both(folder) == f"FOLDER/devrun.toml: {found}; expected a file\n" + EXAMPLE


def test_an_unreadable_config_file(project: ProjectBuilder) -> None:
    folder = project(GOOD)
    (folder / "devrun.toml").chmod(0)
    before = contents(folder)
    # No permission stops root, unless it gives away what makes it so.
    root = os.geteuid() == 0
    if root and shutil.which("setpriv") is None:
        pytest.skip("no setpriv")
    shell = 'exec setpriv --bounding-set=-dac_override,-dac_read_search "$@"' if root else ""
    for command in ("up", "check"):
        said = "FOLDER/devrun.toml: cannot be read: Permission denied; expected a file in TOML\n"
        assert devrun(folder, command, shell=shell) == Done(2, "", said)
    assert contents(folder) == before


def test_values_out_of_range(project: ProjectBuilder) -> None:
    values = ["65536", "-1", "'8000'", "80.0", "true"]
    toml = "".join(f'[apps.a{n}]\napp = "main:app"\nport = {value}\n' for n, value in enumerate(values))
    assert refused_by_both(project({**GOOD, "devrun.toml": toml})).splitlines() == [
        f"devrun.toml:{3 * n + 3}: apps.a{n}.port: {value}; expected a whole number from 0 to 65535 or 'sticky'"
        for n, value in enumerate(values)
    ]


def test_all_that_is_not_there_is_told_at_once(project: ProjectBuilder) -> None:
    wrong = [
        ('cwd = "nowhere"', f"no such folder: nowhere; {CWD}"),
        ('cwd = "main.py"', f"no such folder: main.py; {CWD}"),
        ('python = "python-of-nobody"', f"no such interpreter: python-of-nobody; {PYTHON}"),
        ('python = ".venv/bin/python"', f"no such interpreter: .venv/bin/python; {PYTHON}"),
        ('python = "./folder"', f"no such interpreter: ./folder; {PYTHON}"),
        ('env_file = "no.env"', f"no.env cannot be read: No such file or directory; {ENV_FILE}"),
        ('env_file = "folder"', f"folder cannot be read: Is a directory; {ENV_FILE}"),
        ('env_file = ["latin.env"]', f"latin.env cannot be read: it is not UTF-8; {ENV_FILE}"),
    ]
    toml = "".join(f'[apps.a{n}]\napp = "main:app"\n{line}\n' for n, (line, _) in enumerate(wrong))
    folder = project({**GOOD, "devrun.toml": toml, "latin.env": "A=\xe4".encode("latin-1"), "folder/x": ""})
    assert refused_by_both(folder).splitlines() == [
        f"devrun.toml:{3 * n + 3}: apps.a{n}.{line.split()[0]}: {said}" for n, (line, said) in enumerate(wrong)
    ]


def test_two_apps_on_one_port(project: ProjectBuilder) -> None:
    toml = f'{NAMED}port = 8000\n[apps.web]\napp = "main:app"\nport = 8000\n'
    said = refused_by_both(project({**GOOD, "devrun.toml": toml}))
    assert said == "devrun.toml:6: apps.web.port: 8000 is the port of 'api' already; expected a port of its own, or 0\n"


def test_names_that_are_one_variable(project: ProjectBuilder) -> None:
    toml = '[apps.my-api]\napp = "main:app"\n[apps.my_api]\napp = "main:app"\n'
    said = refused_by_both(project({**GOOD, "devrun.toml": toml}))
    expected = "MY_API_URL and the like are variables of 'my-api' already; expected another name"
    assert said == f"devrun.toml:3: apps.my_api: {expected}\n"


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [("apo", "did you mean 'api'?"), ("backnd", "did you mean 'backend'?"), ("x", "known names: api, backend")],
)
def test_a_name_that_nothing_has(project: ProjectBuilder, name: str, hint: str) -> None:
    folder = project({**GOOD, "devrun.toml": NAMED + '[compounds]\nbackend = ["api"]\n'})
    assert refused(folder, name) == f"error: no app, command or compound is named {name!r}\nhint: {hint}\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("upp",), "no command is named 'upp'; did you mean 'up'?"),
        (("launch",), f"no command is named 'launch'; known commands: {', '.join(COMMANDS)}"),
        (("--colour",), "No such option"),
        (("up", "--jso"), "--json"),
        (("up", "--json", "--plain"), "--json and --plain exclude each other"),
        (("check", "api"), "unexpected extra argument (api)"),
        (("up", "--config"), "requires an argument"),
    ],
)
def test_a_command_line_that_is_wrong(project: ProjectBuilder, args: tuple[str, ...], said: str) -> None:
    folder = project(GOOD)
    before = contents(folder)
    done = devrun(folder, *args)
    assert (done.code, done.out) == (2, "")
    assert said in done.err.splitlines()[-1]
    assert contents(folder) == before
    assert not (folder / ".devrun").exists()


# --- ports --------------------------------------------------------------------------------------------------------


def test_a_taken_port(project: ProjectBuilder) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        said = refused(project({**GOOD, "devrun.toml": f"{NAMED}port = {port}\n", ".env": "A=1"}), code=1)
    error, hint = said.splitlines()
    assert error.startswith(f"error: port {port} of app 'api' is taken on 127.0.0.1 by process {os.getpid()} (")
    assert error.endswith(f" in {os.getcwd()}")
    assert hint == "hint: end it, or give 'api' another port"


UNPRIVILEGED = """
import ctypes, subprocess, sys
PR_CAPBSET_DROP, NET_BIND_SERVICE = 24, 10
assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, NET_BIND_SERVICE, 0, 0, 0) == 0
done = subprocess.run([sys.executable, "-m", "devrun", "up", "--plain"], cwd={folder!r}, capture_output=True, text=True)
print(done.returncode, done.stdout + done.stderr, sep="\\n", end="")
"""


@needs_network
def test_a_privileged_port(project: ProjectBuilder) -> None:
    folder = project({**GOOD, "devrun.toml": f"{NAMED}port = 80\n"})
    before = contents(folder)
    assert in_own_network(UNPRIVILEGED.format(folder=str(folder))).splitlines() == [
        "1",
        "error: port 80 of app 'api' is privileged: without root, ports below 1024 are refused",
        "hint: use a port from 1024 up",
    ]
    assert contents(folder) == before


WHOLE_LIFE = """
from pathlib import Path
from tests.driver import Stack
with Stack(Path({folder!r})) as stack:
    stack.wait_ready()
    answer = stack.get("api").text
    code = stack.stop()
    said = [line for line in stack.lines if "warning" in line]
print(code, answer, stack.errors, said)
"""


@needs_network
def test_without_ipv6(project: ProjectBuilder) -> None:
    said = in_own_network(WHOLE_LIFE.format(folder=str(project(GOOD))), ipv6=False)
    warned = "[devrun] warning: no IPv6 loopback on this machine: apps listen on 127.0.0.1 only"
    assert said.splitlines()[-1] == f"0 x [] {[warned]}"


# --- the env file -------------------------------------------------------------------------------------------------


def test_an_env_file_that_is_a_folder(project: ProjectBuilder) -> None:
    folder = project({**GOOD, ".env/mine": "kept"})
    said = "error: cannot write FOLDER/.env: it is a folder\nhint: move it away, or name another file\n"
    assert refused(folder, code=1) == said


def test_a_read_only_env_file(project: ProjectBuilder) -> None:
    folder = project({**GOOD, ".env": "MINE=1"})
    (folder / ".env").chmod(0o444)
    said = "error: cannot write FOLDER/.env: it is read-only\nhint: chmod u+w lets devrun write it\n"
    assert refused(folder, code=1) == said


def test_an_env_file_that_is_a_dangling_link(project: ProjectBuilder) -> None:
    folder = project(GOOD)
    (folder / ".env").symlink_to("shared/.env")
    said = "error: cannot write FOLDER/.env: it is a link to 'shared/.env', which is not there\n"
    assert refused(folder, code=1) == said + "hint: make the file that it points to, or remove the link\n"


def test_the_second_env_file_cannot_be_written(project: ProjectBuilder) -> None:
    toml = NAMED + '[[dotenv]]\npath = ".env"\n[[dotenv]]\npath = "web/.env"\n'
    folder = project({**GOOD, "devrun.toml": toml, ".env": "MINE=1\r\n", "web/.env/in the way": ""})
    said = refused(folder, code=1)
    assert said.startswith("error: cannot write FOLDER/web/.env: ")
    assert "a folder\nhint: move it away, or name another file\n" in said


def test_an_env_file_in_a_folder_that_is_not_there(project: ProjectBuilder) -> None:
    toml = NAMED + '[[dotenv]]\npath = "web/.env"\n'
    said = refused(project({**GOOD, "devrun.toml": toml}))
    assert "dotenv.0.path: no such folder: FOLDER/web; expected a file in a folder that is there" in said


@pytest.mark.parametrize("path", ["../web/.env", "shop/../../web/.env", "linked.env", "linked/.env", "{tmp}/web/.env"])
def test_an_env_file_outside_the_project(tmp_path: Path, path: str) -> None:
    path = path.format(tmp=tmp_path)
    toml = NAMED + f'[[dotenv]]\npath = "{path}"\n'
    folder = write_files(tmp_path / "shop", {"devrun.toml": toml, "main.py": APP})
    (tmp_path / "web").mkdir()
    (folder / "linked").symlink_to("../web")
    (folder / "linked.env").symlink_to("../web/.env")
    said = refused_by_both(folder)
    assert said == (
        f"devrun.toml:4: dotenv.0.path: {path!r} is outside the project folder: {tmp_path}/web/.env; "
        "expected a file in the project folder, or outside = true beside it\n"
    ).replace(str(folder), "FOLDER")
    assert os.listdir(tmp_path / "web") == []
    (folder / "devrun.toml").write_text(toml + "outside = true\n")
    assert devrun(folder, "check").code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    with small_file_system(tmp_path / "disk", "64k") as disk:
        yield disk


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    junk = disk / "junk"
    free = os.statvfs(disk)
    junk.write_bytes(bytes(free.f_bavail * free.f_frsize))
    return junk


def test_a_project_on_a_full_disk(small_disk: Path) -> None:
    write_files(small_disk, {**GOOD, ".env": "MINE=1"})
    fill(small_disk)
    assert re.fullmatch(r"error: cannot write FOLDER/\.devrun/[\w.]+: the disk is full\n", refused(small_disk, code=1))


def test_an_env_file_on_a_full_disk(project: ProjectBuilder, small_disk: Path) -> None:
    mine = small_disk / "env"
    mine.write_bytes(b"MINE=1\n")
    fill(small_disk)
    folder = project(OUTSIDE)
    (folder / ".env").symlink_to(mine)
    assert refused(folder, code=1) == "error: cannot write FOLDER/.env: the disk is full\n"
    assert mine.read_bytes() == b"MINE=1\n"
    assert sorted(os.listdir(small_disk)) == ["env", "junk"]


def test_a_disk_that_fills_while_the_stack_is_up(project: ProjectBuilder, small_disk: Path, up: StackStarter) -> None:
    mine = small_disk / "env"
    mine.write_bytes(b"MINE=1\n")
    folder = project(OUTSIDE)
    (folder / ".env").symlink_to(mine)
    stack = up(folder, check_env_files=False)
    stack.wait_ready()
    junk = fill(small_disk)
    assert stack.stop() == 1
    assert stack.errors == [
        f"error: cannot write {mine}: the disk is full",
        "hint: the next devrun command in this project tries again",
    ]
    junk.unlink()
    assert devrun(folder, "check").code == 0
    assert mine.read_bytes() == b"MINE=1\n"
    kept = {"cache", "devrun.schema.json", "devrun.log", "logs"}
    assert set(os.listdir(folder / ".devrun")) - kept == {".gitignore", "lock"}


# --- machines that lack something ---------------------------------------------------------------------------------


WITHOUT_WATCHES = """
import os, subprocess, sys
shell = 'echo 0 > /proc/sys/user/max_inotify_watches || exit 77; exec "$@"'
os.execvp("unshare", ["unshare", "-Ur", "sh", "-c", shell, "sh", sys.executable, "-m", "devrun", "up", "--plain"])
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("unshare") is None, reason="needs Linux's namespaces")
def test_without_inotify_watches(project: ProjectBuilder, up: StackStarter) -> None:
    if not own_network():
        pytest.skip("no user namespaces here")
    folder = project({"devrun.toml": TOML, "main.py": answering("'old'")})
    stack = up(folder, command=("-c", WITHOUT_WATCHES))
    stack.wait_ready()
    warned = stack.wait_line(r"^\[devrun\] warning: .*poll", since=0)
    assert "fs.inotify.max_user_watches" in warned.string
    (folder / "main.py").write_text(answering("'new'"))
    stack.wait_line(r"^\[devrun\] reloading api: main\.py$")
    stack.wait_text("api", "new")
    assert stack.stop() == 0
    assert len([line for line in stack.lines if "warning" in line]) == 1


def test_too_few_descriptors(project: ProjectBuilder) -> None:
    folder = project({**GOOD, "devrun.toml": "".join(f"[apps.a{n}]\napp = 'main:app'\n" for n in range(3))})
    assert refused(folder, code=1, shell='ulimit -n 80; exec "$@"') == (
        "error: 3 apps need 112 file descriptors; the limit is 80 and may be raised to 80 at most\n"
        "hint: start fewer apps, or raise the hard limit first, then `ulimit -n 112`\n"
    )


def test_just_enough_descriptors(project: ProjectBuilder, up: StackStarter) -> None:
    """What is asked for is enough, for starts and reloads of all apps at once, too."""
    count = 6
    script = (
        "import os, resource, sys; limit = int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))"
        "; os.execv(sys.executable, [sys.executable, '-m', 'devrun', 'up', '--plain'])"
    )
    toml = "".join(f"[apps.a{n}]\napp = 'main:app'\n" for n in range(count))
    folder = project({"devrun.toml": toml, "main.py": answering("'old'")})
    stack = up(folder, str(64 + 16 * count), command=("-c", script))
    stack.wait_ready()
    (folder / "main.py").write_text(answering("'new'"))
    for n in range(count):
        stack.wait_text(f"a{n}", "new")
    assert stack.stop() == 0
    assert not any("Errno" in line or "Traceback" in line for line in stack.lines + stack.errors)


# --- odd places ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [b"a 'b' \"c\" #$%{}[]\\", b"new\nline", b"x" * 200, "größe ".encode() + b"\xff\xfe"],
    ids=["spaces, quotes, signs", "newline", "long", "bytes"],
)
def test_an_odd_project_path(tmp_path: Path, up: StackStarter, name: bytes) -> None:
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    write_files(folder, {"devrun.toml": TOML, "main.py": answering("'good'"), ".env": b"MINE=1"})
    stack = up(folder)
    stack.wait_ready()
    assert stack.lines[0].startswith("[devrun] starting ")
    assert stack.lines[1] == "[devrun] wrote .env"
    (folder / "main.py").write_text("\n1 / 0\n")
    stack.wait_line(r"^\[devrun\] broken api: main\.py:2: ZeroDivisionError: division by zero$")
    assert stack.get("api", headers={"accept": "application/json"}).json()["line"] == 2
    assert stack.get("api", headers={"accept": "text/html"}).status_code == 503
    (folder / "main.py").write_text(answering("'mended'"))
    stack.wait_text("api", "mended")
    second = devrun(folder, "up", "--plain")
    assert second.code == 4
    assert f"(pid {stack.process.pid}): api {stack.url('api')}\n" in second.err
    assert len(second.err.splitlines()) == 2
    assert stack.stop() == 0
    assert (folder / ".env").read_bytes() == b"MINE=1"


def test_the_locale_c(project: ProjectBuilder, up: StackStarter) -> None:
    folder = project({"devrun.toml": f'name = "größe"\n{NAMED}', "main.py": answering("'x'", "print('grün')")})
    # PYTHONCOERCECLOCALE: or Python would choose a UTF-8 locale by itself.
    stack = up(folder, env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"})
    stack.wait_ready()
    assert stack.stop() == 0
    assert not any("Traceback" in line for line in stack.lines + stack.errors)


# --- standard streams that are closed, full or left ---------------------------------------------------------------


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=["stdin", "stdout", "stderr", "all"])
def test_closed_standard_streams(project: ProjectBuilder, up: StackStarter, closed: tuple[int, ...]) -> None:
    """No socket takes their numbers, which every worker gives to streams of its own."""
    closing = "".join(f"os.close({number}); " for number in closed)
    script = f"import os, sys; {closing}os.execv(sys.executable, [sys.executable, '-m', 'devrun', 'up', '--plain'])"
    stack = up(project({"devrun.toml": TOML, "main.py": answering("'x'")}), command=("-c", script))
    assert stack.get("api").text == "x"
    assert stack.stop() == (0 if 1 not in closed else stack.process.returncode)
    assert not stack.errors
    assert bool(stack.lines) == (1 not in closed)


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_mistake_that_nobody_can_be_told(project: ProjectBuilder, streams: str) -> None:
    folder = project({**GOOD, "devrun.toml": NAMED + "port = -1\n"})
    for args in (["up", "--plain"], ["up", "--nope"]):
        assert devrun(folder, *args, shell=f'exec "$@" {streams}').code == 2
    assert not (folder / ".devrun").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written(project: ProjectBuilder) -> None:
    for command in ("check", "schema"):
        done = devrun(project(GOOD), command, shell='exec "$@" > /dev/full')
        assert (done.code, done.err) == (1, "error: cannot write the output: No space left on device\n")


def test_a_reader_that_leaves(project: ProjectBuilder, up: StackStarter) -> None:
    """``devrun up --plain | head -1``: the stack stays up, and ends as asked."""
    folder = project({"devrun.toml": TOML, "main.py": answering("'old'", "print('x' * 100_000)")})
    script = (
        'import os; os.execvp("bash", ["bash", "-c", \'exec "$0" -m devrun up --plain > >(head -1)\', sys.executable])'
    )
    stack = up(folder, command=("-c", f"import sys; {script}"))
    assert stack.get("api").text == "old"
    (folder / "main.py").write_text(answering("'new'", "print('x' * 100_000)"))
    stack.wait_text("api", "new")
    assert stack.stop() == 0
    assert stack.lines == ["[devrun] starting project: 1 app"]
    assert not stack.errors


def test_the_reader_of_the_schema_leaves(project: ProjectBuilder) -> None:
    shell = 'set -o pipefail; "$@" | head -1; exec 2>&-'
    done = devrun(project(GOOD), "schema", shell=f"exec bash -c '{shell}' bash \"$@\"")
    assert (done.out, done.err) == ("{\n", "")


# --- many apps ----------------------------------------------------------------------------------------------------


def many(count: int) -> dict[str, str]:
    toml = "".join(f'[apps.app{n}]\napp = "main:app"\n' for n in range(count))
    return {"devrun.toml": toml, "main.py": answering("os.environ['DEVRUN_APP']", "import os")}


def test_30_apps_serve(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(many(30)))
    stack.wait_ready(50)
    assert [stack.get(f"app{n}").text for n in range(30)] == [f"app{n}" for n in range(30)]
    start = time.monotonic()
    assert stack.stop() == 0
    assert time.monotonic() - start < 10


def test_500_apps_are_bound_written_and_ended(project: ProjectBuilder, up: StackStarter) -> None:
    """An interrupt is heard between two starts: nobody waits until hundreds of processes are made."""
    folder = project({**many(500), ".env": "MINE=1"})
    stack = up(folder)
    stack.wait_line(r"^\[devrun\] wrote \.env$")
    values = stack.variables()
    assert len(values) == 1 + 3 * 500
    assert len({values[f"APP{n}_PORT"] for n in range(500)}) == 500
    stack.wait_line(r"^\[app\d+\] INFO: +Started server process")
    start = time.monotonic()
    assert stack.stop() == 130
    assert time.monotonic() - start < 10

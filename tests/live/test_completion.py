"""Completion in the real shells, with the line that README says to add: commands, options, and names of what runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder, StackStarter
from tests.driver import clean_environ, wait_until
from tests.live.apps import TOML, answering
from tests.live.terminals import Terminal

ROOT = Path(__file__).parents[2]
CONFIG = TOML + "[apps.auth]\napp = 'main:app'\n[compounds]\nbackend = ['api', 'auth']\n"
FILES = {"devrun.toml": CONFIG, "main.py": answering("'x'"), "sub/x": ""}


def line_for(shell: str) -> str:
    """The line that README has for a shell."""
    (line,) = [
        line.strip()
        for line in (ROOT / "README.md").read_text().splitlines()
        if f"_DEVRUN_COMPLETE={shell}_source" in line
    ]
    return line.partition("#")[0].strip()


def environ(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return {**clean_environ(), "PATH": path, "HOME": str(folder), "ZDOTDIR": str(folder), "TERM": "xterm", "PS1": "$ "}


def needs(shell: str) -> str:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell}")
    return path


@contextmanager
def interactive(shell: str, start: list[str], folder: Path, home: Path) -> Iterator[Terminal]:
    env = {**environ(home), "PYTHON": sys.executable}
    with Terminal(100, 40) as terminal:
        shell_process = terminal.run("/bin/sh", "-c", f"cd '{folder}' && exec {' '.join(start)}", env=env)
        terminal.type("echo o''k\r")
        terminal.wait_text("\nok\n")
        try:
            yield terminal
        finally:
            terminal.type("\x15exit\r")
            shell_process.wait(10)


def check_typing(terminal: Terminal) -> None:
    terminal.type("devrun rest\t")
    terminal.wait_text("devrun restart")
    terminal.type("aut\t")
    terminal.wait_text("devrun restart auth")
    terminal.type("\x15devrun up backe\t")
    terminal.wait_text("devrun up backend")
    terminal.type("\x15devrun status --verb\t")
    terminal.wait_text("devrun status --verbose")
    terminal.type("\x15devrun url \t\t\t")
    terminal.wait(lambda lines: any("api" in line and "auth" in line for line in lines), "no names are offered")


def test_bash(project: ProjectBuilder, up: StackStarter, tmp_path: Path) -> None:
    bash = needs("bash")
    stack = up(project(FILES))
    stack.wait_ready()
    rc = tmp_path / "rc"
    rc.write_text(line_for("bash") + "\n")
    with interactive(
        "bash", [bash, "--noprofile", "--rcfile", str(rc), "-i"], stack.folder / "sub", tmp_path
    ) as terminal:
        check_typing(terminal)


def test_zsh(project: ProjectBuilder, up: StackStarter, tmp_path: Path) -> None:
    zsh = needs("zsh")
    stack = up(project(FILES))
    stack.wait_ready()
    (tmp_path / ".zshrc").write_text(f"autoload -Uz compinit && compinit -u\n{line_for('zsh')}\n")
    with interactive("zsh", [zsh, "-i"], stack.folder / "sub", tmp_path) as terminal:
        check_typing(terminal)


def offered_by_fish(fish: str, folder: Path, home: Path, words: str) -> list[str]:
    script = f'{line_for("fish")}; complete -C "{words}"'
    done = subprocess.run(
        [fish, "-c", script], cwd=folder, env=environ(home), capture_output=True, text=True, timeout=30
    )
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


def test_fish(project: ProjectBuilder, up: StackStarter, tmp_path: Path) -> None:
    fish = needs("fish")
    stack = up(project(FILES))
    stack.wait_ready()
    folder = stack.folder / "sub"
    assert offered_by_fish(fish, folder, tmp_path, "devrun rest") == ["restart"]
    assert offered_by_fish(fish, folder, tmp_path, "devrun restart ") == ["api", "auth"]
    assert offered_by_fish(fish, folder, tmp_path, "devrun restart api ") == ["auth"]
    assert offered_by_fish(fish, folder, tmp_path, "devrun up b") == ["backend"]
    assert offered_by_fish(fish, folder, tmp_path, "devrun status --verb") == ["--verbose"]


def complete(folder: Path, words: str) -> list[str]:
    """What bash is told."""
    env = {
        **environ(folder),
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_DEVRUN_COMPLETE": "bash_complete",
    }
    command = [str(Path(sys.executable).parent / "devrun")]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_names_of_the_config_where_nothing_runs_and_none_where_all_is_wrong(project: ProjectBuilder) -> None:
    folder = project({**FILES, "broken/devrun.toml": "[apps", "list/devrun.toml": "apps = 3"})
    assert complete(folder / "sub", "devrun stop a") == ["api", "auth"]
    assert complete(folder / "sub", "devrun up ") == ["api", "auth", "backend"]
    assert complete(folder / "sub", "devrun up --config ../broken/devrun.toml ") == []
    assert complete(folder / "broken", "devrun stop a") == complete(folder / "list", "devrun up ") == []


def test_names_of_what_runs(project: ProjectBuilder, up: StackStarter) -> None:
    stack = up(project(FILES), "api")
    stack.wait_ready()
    assert complete(stack.folder, "devrun wait ") == ["api"]
    assert complete(stack.folder, "devrun up ") == ["api", "auth", "backend"]
    assert stack.stop() == 0
    wait_until(lambda: complete(stack.folder, "devrun wait ") == ["api", "auth"])

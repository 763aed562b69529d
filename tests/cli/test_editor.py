"""``devrun editor`` as a user runs it: what it writes, says and refuses."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ProjectBuilder
from tests.driver import clean_environ

CONFIG = "[apps.api]\napp = 'main:app'\n[apps.web]\napp = 'main:app'\n[compounds]\nback = ['api']\n"
FILES = {
    "vscode": [".vscode/tasks.json", ".vscode/launch.json", ".vscode/settings.json"],
    "zed": [".zed/tasks.json", ".zed/debug.json"],
    "jetbrains": [".run/devrun_up.run.xml", ".run/devrun_up_back.run.xml", ".run/devrun_api.run.xml"]
    + [".run/devrun_web.run.xml", ".run/devrun_down.run.xml"],
}


def editor(folder: Path, *args: str, env: dict[str, str] | None = None) -> tuple[int, list[str], list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "devrun", "editor", *args],
        cwd=folder,
        env={**clean_environ(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.mark.parametrize("name", FILES)
def test_it_writes_once_and_checks(project: ProjectBuilder, name: str) -> None:
    folder = project({"devrun.toml": CONFIG, "sub/x": ""})
    stale = [f"{path} is out of date" for path in FILES[name]]
    assert editor(folder, name, "--check") == (1, stale, [])
    assert not any((folder / path).exists() for path in FILES[name])
    assert editor(folder / "sub", name) == (0, [f"wrote {path}" for path in FILES[name]], [])
    before = {path: (folder / path).stat() for path in FILES[name]}
    assert editor(folder, name) == (0, ["nothing to do: all is as it should be"], [])
    assert {path: (folder / path).stat().st_mtime_ns for path in FILES[name]} == {
        path: stat.st_mtime_ns for path, stat in before.items()
    }
    assert editor(folder, name, "--check") == (0, [], [])
    (folder / FILES[name][0]).unlink()
    assert editor(folder, name, "--check") == (1, stale[:1], [])


def test_vscode_gets_the_schema(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG})
    editor(folder, "vscode")
    settings = json.loads((folder / ".vscode/settings.json").read_text())
    (path,) = settings["evenBetterToml.schema.associations"].values()
    assert json.loads((folder / path).read_text())["title"] == "devrun.toml"


def test_one_file_that_cannot_be_read_keeps_all_from_being_written(project: ProjectBuilder) -> None:
    broken = '{\n  "configurations": [\n    {"name": }\n]}'
    folder = project({"devrun.toml": CONFIG, ".vscode/launch.json": broken})
    for args in (["vscode"], ["vscode", "--check"]):
        code, said, complaints = editor(folder, *args)
        assert (code, said) == (2, [])
        assert complaints == ["error: .vscode/launch.json:3:14: expected a value", "hint: nothing was written"]
    assert os.listdir(folder / ".vscode") == ["launch.json"]
    assert (folder / ".vscode/launch.json").read_text() == broken


def test_files_that_cannot_be_written(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG, ".vscode": "a file"})
    code, _, complaints = editor(folder, "vscode")
    assert (code, "Traceback" in "".join(complaints)) == (1, False)
    assert complaints[0].startswith("error: cannot ") and ".vscode" in complaints[0]
    folder = project({".zed/tasks.json/x": ""})
    code, _, complaints = editor(folder, "zed")
    assert (code, complaints[0]) == (1, "error: cannot read .zed/tasks.json: Is a directory")


def test_somebody_elses_run_configuration_stays(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG, ".run/devrun_api.run.xml": "<mine/>"})
    code, _, complaints = editor(folder, "jetbrains")
    assert (code, complaints[0]) == (
        1,
        "error: .run/devrun_api.run.xml is there and holds something else than 'devrun: api'",
    )
    assert os.listdir(folder / ".run") == ["devrun_api.run.xml"]


def test_usage(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG})
    code, _, complaints = editor(folder, "emacs")
    assert code == 2 and "'emacs' is not one of 'vscode', 'zed', 'jetbrains'" in " ".join(complaints)
    code, _, complaints = editor(folder, "zed", "--on-open")
    assert (code, complaints) == (
        2,
        ["error: --on-open is for vscode: zed cannot start a task when a folder is opened"],
    )
    assert editor(folder, "vscode", "--on-open")[0] == 0
    assert editor(folder, "vscode") == (0, ["nothing to do: all is as it should be"], [])
    assert editor(folder, "vscode", "--no-on-open") == (0, ["wrote .vscode/tasks.json"], [])
    (folder / "devrun.toml").write_text("[apps.api]\nprot = 1\n")
    assert editor(folder, "vscode")[0] == 2


def test_which_devrun_a_task_runs(project: ProjectBuilder, tmp_path: Path) -> None:
    def command() -> list[str]:
        up = json.loads((folder / ".vscode/tasks.json").read_text())["tasks"][0]
        return [up["command"], *up["args"][: up["args"].index("up")]]

    folder = project({"devrun.toml": CONFIG})
    editor(folder, "vscode")
    assert command() == [sys.executable, "-m", "devrun"]

    # A tool installer has put a link to it on PATH.
    tools = tmp_path / "tools"
    tools.mkdir()
    os.symlink(Path(sys.executable).parent / "devrun", tools / "devrun")
    editor(folder, "vscode", env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert command() == ["devrun"]

    # It lives in the project's own environment.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / ".venv")], check=True, timeout=60)
    python = folder / ".venv/bin/python"
    site = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = [str(python), "-m", "devrun", "editor", "vscode"]
    subprocess.run(run, cwd=folder, env={**clean_environ(), **site}, check=True, capture_output=True, timeout=60)
    assert command() == ["${workspaceFolder}/.venv/bin/python", "-m", "devrun"]


# --- debug ports ----------------------------------------------------------------------------------------------------


def ports(folder: Path) -> dict[str, int]:
    """Where launch.json attaches."""
    configurations = json.loads((folder / ".vscode/launch.json").read_text())["configurations"]
    attaching = [one for one in configurations if one["request"] == "attach"]
    return {one["name"].removeprefix("devrun: attach "): one["connect"]["port"] for one in attaching}


def test_debug_ports_are_chosen_once_and_are_the_same_for_every_editor(project: ProjectBuilder) -> None:
    folder = project({"devrun.toml": CONFIG})
    assert editor(folder, "vscode")[0] == editor(folder, "zed")[0] == 0
    chosen = ports(folder)
    assert list(chosen) == ["api", "web"] and len(set(chosen.values())) == 2
    zed = json.loads((folder / ".zed/debug.json").read_text())
    assert [one["connect"]["port"] for one in zed if one["request"] == "attach"] == list(chosen.values())
    assert (folder / ".devrun/cache/debug.toml").stat().st_mode & 0o777 == 0o600
    for path in (".vscode/launch.json", ".zed/debug.json"):
        (folder / path).unlink()
    editor(folder, "vscode")
    assert ports(folder) == chosen, "they are remembered"


def test_debug_ports_of_a_file_under_version_control_stay(project: ProjectBuilder, tmp_path: Path) -> None:
    """Everybody who has checked it out has it; nobody's run may change it for the others."""
    folder = project({"devrun.toml": CONFIG})
    editor(folder, "vscode")
    chosen = ports(folder)
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns(".devrun"))
    assert editor(other, "vscode", "--check") == (0, [], [])
    assert not (other / ".devrun").exists(), "--check writes nothing"
    assert editor(other, "vscode")[0] == 0
    assert ports(other) == chosen
    # A checkout that has had to take another port keeps it while the first one is taken.
    remembered = other / ".devrun/cache/debug.toml"
    remembered.write_text(f"api = {chosen['web']}\nweb = 7\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", chosen["web"]))
        taken.listen()
        editor(other, "vscode")
        assert ports(other) == {"api": chosen["api"], "web": 7}
    editor(folder, "vscode")
    assert ports(folder) == chosen

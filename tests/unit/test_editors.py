"""What devrun writes for each editor, as data."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from devrun.editors import jetbrains, vscode, zed
from devrun.editors.jsonc import JsoncError, decode, parse, value
from devrun.editors.setup import FOLDER, Files, Setup
from devrun.errors import FileError

PYTHON = f"{FOLDER}/.venv/bin/python"
SETUP = Setup(("api", "web"), ("backend",), (PYTHON, "-m", "devrun"), PYTHON)
EMPTY = replace(SETUP, apps=("api",), compounds=())


def meant(content: bytes) -> Any:
    node = parse(decode(content))
    assert node is not None
    return value(node)


def written(files: Files, path: str, before: bytes | None = None) -> bytes:
    after = files[path](before)
    assert files[path](after) == after, "a second run changes something"
    return after


def tasks(before: bytes | None = None, setup: Setup = SETUP) -> list[Any]:
    found: list[Any] = meant(written(vscode.files(setup), ".vscode/tasks.json", before))["tasks"]
    return found


# --- VS Code ----------------------------------------------------------------------------------------------------------


def test_vscode_has_three_files() -> None:
    assert list(vscode.files(SETUP)) == [".vscode/tasks.json", ".vscode/launch.json", ".vscode/settings.json"]


def test_the_tasks_of_vscode() -> None:
    up, backend, down = tasks()
    assert [task["label"] for task in (up, backend, down)] == ["devrun: up", "devrun: up backend", "devrun: down"]
    python = "${workspaceFolder}/.venv/bin/python"
    assert (up["type"], up["command"], up["args"]) == ("process", python, ["-m", "devrun", "up", "--plain"])
    assert backend["args"] == [*up["args"], "backend"]
    assert down["args"] == ["-m", "devrun", "down"]
    assert up["isBackground"] is backend["isBackground"] is True
    assert down["problemMatcher"] == [], "without it, VS Code asks for one"
    assert up["problemMatcher"] == backend["problemMatcher"]
    assert "runOptions" not in up


def test_every_background_matcher_is_whole() -> None:
    matchers = tasks()[0]["problemMatcher"]
    assert {matcher["owner"] for matcher in matchers} == {"devrun", "devrun api", "devrun web"}
    with_cycles = [matcher["owner"] for matcher in matchers if "background" in matcher]
    assert with_cycles == ["devrun", "devrun api", "devrun web"]
    assert [matcher["owner"] for matcher in matchers if matcher.get("background", {}).get("activeOnStart")] == [
        "devrun"
    ]


def test_an_own_config_file_is_named_everywhere() -> None:
    setup = replace(SETUP, config="other.toml", devrun=("devrun",))
    up, _, down = tasks(setup=setup)
    assert (up["command"], up["args"]) == ("devrun", ["up", "--plain", "--config", "other.toml"])
    assert down["args"] == ["down", "--config", "other.toml"]
    assert up["problemMatcher"][0]["pattern"]["regexp"] == r"^(other\.toml):(\d+): (.+)$"
    settings = meant(written(vscode.files(setup), ".vscode/settings.json"))
    assert list(settings["evenBetterToml.schema.associations"]) == [r"(^|/)other\.toml$"]


def test_starting_with_the_folder_is_a_choice_that_stays() -> None:
    on = written(vscode.files(replace(SETUP, on_open=True)), ".vscode/tasks.json")
    assert [task.get("runOptions") for task in meant(on)["tasks"]] == [{"runOn": "folderOpen"}, None, None]
    assert vscode.files(SETUP)[".vscode/tasks.json"](on) == on
    assert "runOptions" not in tasks(on, replace(SETUP, on_open=False))[0]


def test_the_configurations_of_vscode() -> None:
    document = meant(written(vscode.files(SETUP), ".vscode/launch.json"))
    names = [one["name"] for one in document["configurations"]]
    assert (document["version"], names) == ("0.2.0", ["devrun: all apps", "devrun: api", "devrun: web"])
    every, api, _ = document["configurations"]
    assert (every["args"], api["args"]) == (["up", "--plain"], ["up", "--plain", "api"])
    for one in document["configurations"]:
        assert (one["type"], one["module"], one["subProcess"]) == ("debugpy", "devrun", True)
        assert one["python"] == "${workspaceFolder}/.venv/bin/python"


ATTACHING = replace(SETUP, debug_ports={"api": 41741, "web": 41742})


def test_vscode_attaches_at_the_debug_ports() -> None:
    content = written(vscode.files(ATTACHING), ".vscode/launch.json")
    *_, api, web = meant(content)["configurations"]
    assert (api["name"], web["name"]) == ("devrun: attach api", "devrun: attach web")
    assert (api["type"], api["request"], api["connect"]) == ("debugpy", "attach", {"host": "127.0.0.1", "port": 41741})
    assert type(api["connect"]["port"]) is int, "VS Code takes no text there"
    assert vscode.ports_in(content) == ATTACHING.debug_ports
    assert written(vscode.files(SETUP), ".vscode/launch.json", content) == written(
        vscode.files(SETUP), ".vscode/launch.json"
    )


def test_zed_attaches_at_the_debug_ports() -> None:
    content = written(zed.files(ATTACHING), ".zed/debug.json")
    *_, api, web = meant(content)
    assert (api["label"], web["label"]) == ("devrun: attach api", "devrun: attach web")
    assert (api["adapter"], api["request"], api["connect"]["port"]) == ("Debugpy", "attach", 41741)
    assert zed.ports_in(content) == ATTACHING.debug_ports
    assert meant(written(zed.files(SETUP), ".zed/debug.json", content)) == meant(
        written(zed.files(SETUP), ".zed/debug.json")
    )


def test_only_ports_that_devrun_has_written_count() -> None:
    mine = {"name": "devrun: attach api", "type": "debugpy", "request": "attach", "connect": {"port": 5678}}
    sign = {"presentation": {"group": "devrun"}}
    entries = [mine, {**mine, **sign, "name": "devrun: attach web", "connect": {"port": "5678"}}, {**sign, "name": 7}]
    assert vscode.ports_in(json.dumps({"configurations": entries}).encode()) == {}
    assert vscode.ports_in(json.dumps({"configurations": [{**mine, **sign}]}).encode()) == {"api": 5678}
    assert vscode.ports_in(None) == zed.ports_in(None) == {}


def test_what_is_gone_from_the_config_goes_from_the_files() -> None:
    for path, names in (
        (".vscode/tasks.json", ("tasks", "label")),
        (".vscode/launch.json", ("configurations", "name")),
    ):
        mine = {names[1]: "devrun: mine", "type": "shell"}
        full = written(vscode.files(SETUP), path)
        document = meant(full)
        document[names[0]].insert(0, mine)
        less = meant(written(vscode.files(EMPTY), path, json.dumps(document).encode()))
        assert less[names[0]][0] == mine
        assert less == {**meant(written(vscode.files(EMPTY), path)), names[0]: less[names[0]]}
        assert len(less[names[0]]) == 3


def test_what_the_user_has_stays() -> None:
    before = b'\xef\xbb\xbf{\r\n\t// mine\r\n\t"version": "2.0.1",\r\n\t"tasks": [ {"label": "a"}, ],\r\n}\r\n'
    after = written(vscode.files(SETUP), ".vscode/tasks.json", before)
    assert after.startswith(before[: before.index(b" ],")])
    assert b"\n" not in after.replace(b"\r\n", b"")
    assert meant(after)["version"] == "2.0.1"
    settings = b'{\n  "evenBetterToml.schema.associations": {"x": "y"}, // mine\n}'
    associations = meant(written(vscode.files(SETUP), ".vscode/settings.json", settings))
    assert associations["evenBetterToml.schema.associations"] == {
        "x": "y",
        r"(^|/)devrun\.toml$": "./.devrun/devrun.schema.json",
    }


@pytest.mark.parametrize("editor", [vscode, zed])
def test_what_cannot_be_read_is_refused(editor: Any) -> None:
    for change in editor.files(SETUP).values():
        for content in (b"[{", b"3", b"\xff"):
            with pytest.raises(JsoncError, match=r"^1:\d: "):
                change(content)


# --- Zed --------------------------------------------------------------------------------------------------------------


def test_the_files_of_zed() -> None:
    files = zed.files(SETUP)
    found = meant(written(files, ".zed/tasks.json"))
    assert [task["label"] for task in found] == ["devrun: up", "devrun: up backend", "devrun: down"]
    assert found[0]["command"] == "$ZED_WORKTREE_ROOT/.venv/bin/python"
    assert found[1]["args"] == ["-m", "devrun", "up", "--plain", "backend"]
    debug = meant(written(files, ".zed/debug.json"))
    assert [one["label"] for one in debug] == ["devrun: all apps", "devrun: api", "devrun: web"]
    assert {(one["adapter"], one["request"], one["module"]) for one in debug} == {("Debugpy", "launch", "devrun")}


def test_zed_keeps_the_users_entries_and_drops_its_own_old_ones() -> None:
    for path in (".zed/tasks.json", ".zed/debug.json"):
        mine = {"label": "devrun: mine", "module": "devrun"}
        before = json.dumps([mine, *meant(written(zed.files(SETUP), path))]).encode()
        after = meant(written(zed.files(EMPTY), path, before))
        assert after == [mine, *meant(written(zed.files(EMPTY), path))]


# --- JetBrains --------------------------------------------------------------------------------------------------------


def test_the_files_of_jetbrains() -> None:
    files = jetbrains.files(SETUP)
    assert list(files) == [
        ".run/devrun_up.run.xml",
        ".run/devrun_up_backend.run.xml",
        ".run/devrun_api.run.xml",
        ".run/devrun_web.run.xml",
        ".run/devrun_down.run.xml",
    ]
    root = ElementTree.fromstring(written(files, ".run/devrun_api.run.xml"))
    assert (root.tag, root.attrib) == ("component", {"name": "ProjectRunConfigurationManager"})
    (configuration,) = root
    assert (configuration.get("name"), configuration.get("type")) == ("devrun: api", "PythonConfigurationType")
    options = {option.get("name"): option.get("value") for option in configuration.iter("option")}
    assert (options["MODULE_MODE"], options["SCRIPT_NAME"]) == ("true", "devrun")
    assert options["PARAMETERS"] == "up --plain api"
    assert options["SDK_HOME"] == "$PROJECT_DIR$/.venv/bin/python"
    assert options["WORKING_DIRECTORY"] == "$PROJECT_DIR$"


def test_odd_names_survive_xml_and_the_command_line() -> None:
    files = jetbrains.files(replace(SETUP, config='a "b" & <c>.toml', python="/opt/a & b/python"))
    root = ElementTree.fromstring(written(files, ".run/devrun_down.run.xml"))
    options = {option.get("name"): option.get("value") for option in root.iter("option")}
    assert options["PARAMETERS"] == 'down --config "a \\"b\\" & <c>.toml"'
    assert options["SDK_HOME"] == "/opt/a & b/python"


def test_a_run_configuration_of_somebody_else_is_refused() -> None:
    change = jetbrains.files(SETUP)[".run/devrun_up.run.xml"]
    with pytest.raises(FileError, match=re.escape(".run/devrun_up.run.xml is there and holds something else")):
        change(b'<component><configuration name="mine" /></component>')
    assert change(b'<component><configuration name="devrun: up" x="1" /></component>') == change(None)

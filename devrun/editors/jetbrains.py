"""What devrun writes into ``.run``: run configurations of PyCharm and IntelliJ IDEA, a file each.

Pure. Form: https://www.jetbrains.com/help/pycharm/run-debug-configuration.html#share-configurations; the options are
those that PyCharm itself writes for a Python configuration that runs a module.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import quoteattr

from devrun.editors.setup import DOWN, FOLDER, PREFIX, UP, Change, Files, Setup
from devrun.errors import FileError

_TEMPLATE = """\
<component name="ProjectRunConfigurationManager">
  <configuration default="false" name={name} type="PythonConfigurationType" factoryName="Python" folderName="devrun">
    <module name="" />
    <option name="INTERPRETER_OPTIONS" value="" />
    <option name="PARENT_ENVS" value="true" />
    <envs>
      <env name="PYTHONUNBUFFERED" value="1" />
    </envs>
    <option name="SDK_HOME" value={python} />
    <option name="WORKING_DIRECTORY" value="$PROJECT_DIR$" />
    <option name="IS_MODULE_SDK" value="false" />
    <option name="ADD_CONTENT_ROOTS" value="false" />
    <option name="ADD_SOURCE_ROOTS" value="false" />
    <option name="SCRIPT_NAME" value="devrun" />
    <option name="PARAMETERS" value={arguments} />
    <option name="SHOW_COMMAND_LINE" value="false" />
    <option name="EMULATE_TERMINAL" value="false" />
    <option name="MODULE_MODE" value="true" />
    <option name="REDIRECT_INPUT" value="false" />
    <option name="INPUT_FILE" value="" />
    <method v="2" />
  </configuration>
</component>
"""
_SAFE = re.compile(r"[A-Za-z0-9_./-]+")


def files(setup: Setup) -> Files:
    """Return what to do to which file. What can be run here can be debugged, too."""
    configurations = {
        UP: setup.up(),
        **{f"{UP} {name}": setup.up(name) for name in setup.compounds},
        **{PREFIX + app: setup.up(app) for app in setup.apps},
        DOWN: setup.down(),
    }
    return {_path(name): _whole(name, setup, arguments) for name, arguments in configurations.items()}


def _path(name: str) -> str:
    return f".run/{name.replace(': ', '_').replace(' ', '_')}.run.xml"


def _whole(name: str, setup: Setup, arguments: list[str]) -> Change:
    text = _TEMPLATE.format(
        name=quoteattr(name),
        python=quoteattr(setup.python.replace(FOLDER, "$PROJECT_DIR$")),
        arguments=quoteattr(" ".join(map(_quoted, arguments))),
    )

    def change(content: bytes | None) -> bytes:
        if content is not None and f" name={quoteattr(name)}".encode() not in content:
            raise FileError(
                f"{_path(name)} is there and holds something else than {name!r}", hint="move it away, or rename it"
            )
        return text.encode()

    return change


def _quoted(argument: str) -> str:
    """An argument as PyCharm splits it: double quotes, with a backslash before a double quote."""
    return argument if _SAFE.fullmatch(argument) else '"' + argument.replace('"', '\\"') + '"'

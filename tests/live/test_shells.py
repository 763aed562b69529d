"""What ``devrun env`` prints for a shell sets just these values there, and executes none of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devrun.outputs.shells import Format, render
from tests.driver import clean_environ
from tests.readers.values import HOSTILE, PORTABLE, values

# The text is handed over as a person does it. A shell keeps no NUL, and takes off only the line feeds at the very end.
POSIX = 'eval "$(cat "$1")"; exec env -0'
SHELLS: list[tuple[Format, list[str]]] = [
    ("shell", ["sh", "-c", POSIX, "sh"]),
    ("shell", ["dash", "-c", POSIX, "sh"]),
    ("shell", ["bash", "-c", POSIX, "sh"]),
    ("shell", ["bash", "--posix", "-c", POSIX, "sh"]),
    ("shell", ["zsh", "-fc", POSIX, "sh"]),
    ("shell", ["zsh", "-fc", f"setopt rc_quotes; {POSIX}", "sh"]),
    ("fish", ["fish", "-N", "-c", "cat $argv[1] | source; exec env -0"]),
    (
        "powershell",
        [
            *("pwsh", "-NoProfile", "-Command"),
            "Get-Content $args[0] | Out-String | Invoke-Expression; [Console]::Out.Write(([Environment]::"
            "GetEnvironmentVariables() | ConvertTo-Json -Compress))",
        ],
    ),
]

some = st.lists(values | st.sampled_from([*PORTABLE, *HOSTILE]), min_size=150, max_size=300)


def ids(case: object) -> str | None:
    return " ".join(case[:2]) if isinstance(case, list) else None


@pytest.mark.parametrize(("form", "command"), SHELLS, ids=ids)
@settings(
    deadline=None,
    max_examples=4,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(taken=some)
def test_a_shell_sets_every_value_as_it_is(form: Format, command: list[str], tmp_path: Path, taken: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    wanted = {f"DEVRUN_{index}": value for index, value in enumerate(taken) if "\0" not in value}
    wanted = {name: value for name, value in wanted.items() if len(value) < 100_000}
    file = tmp_path / "variables"
    file.write_bytes(render(wanted, form).encode("utf-8", "surrogateescape"))
    environ = {**clean_environ(), "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    done = subprocess.run([*command, str(file)], cwd=tmp_path, env=environ, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    assert {name: found(done.stdout, form).get(name) for name in wanted} == wanted
    assert [path.name for path in tmp_path.iterdir() if path.name not in (".config", ".local", ".cache")] == [
        "variables"
    ]


def found(output: bytes, form: Format) -> dict[str, str]:
    if form == "powershell":
        return dict(json.loads(output))
    pairs = (entry.partition(b"=") for entry in output.split(b"\0"))
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "surrogateescape") for name, _, value in pairs}

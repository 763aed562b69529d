"""What the project promises about its own files: versions, dependencies, sizes, and one set of gates for everybody."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import devrun

TOP = Path(__file__).parents[2]
SOURCES = sorted((TOP / "devrun").rglob("*.py"))
PYPROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
IMPORTED_AS = {"python-dotenv": "dotenv"}
"""Where the module of a distribution has another name than the distribution."""


def imported(path: Path) -> Iterator[str]:
    """The top-level modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def distribution(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return name[0]


def test_the_newest_heading_of_the_changelog_fits_the_version() -> None:
    headings = re.findall(
        r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings, "CHANGELOG.md has no release heading"
    assert headings[0] == ("Unreleased", ""), "the top of CHANGELOG.md takes what the next release brings"
    released = [(version, date) for version, date in headings if version != "Unreleased"]
    assert all(date for _, date in released), "a release heading is `## [1.2.3] - 2026-01-31`"
    if released:
        assert released[0][0] == devrun.__version__


def test_every_dependency_is_imported_and_every_import_is_a_dependency() -> None:
    declared = {distribution(text) for text in PYPROJECT["project"]["dependencies"]}
    modules = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in declared}
    used = {name for path in SOURCES for name in imported(path)}
    own = {path.stem for path in (TOP / "devrun" / "child").glob("*.py")}
    foreign = used - set(sys.stdlib_module_names) - own - {"devrun"}
    assert foreign == modules | {"pytest"}, "the plugin is loaded where pytest is"


def test_child_imports_the_standard_library_and_uvicorn_only() -> None:
    child = sorted((TOP / "devrun" / "child").glob("*.py"))
    own = {path.stem for path in child}
    foreign = {(path.name, name) for path in child for name in imported(path)}
    allowed = set(sys.stdlib_module_names) | own | {"uvicorn"}
    assert [pair for pair in foreign if pair[1] not in allowed] == []


def test_up_imports_only_what_every_stack_needs() -> None:
    """Most of the time until the env file is there goes into imports."""
    code = "import devrun.cli.up, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, check=True, capture_output=True, text=True)
    modules = set(done.stdout.split())
    assert "devrun.supervisor" in modules
    assert modules & {"anyio", "devrun.debugport", "psutil", "rich", "uvicorn", "watchfiles"} == set()


def test_data_is_defined_as_structs() -> None:
    """A dataclass takes ten times as long to define: the launcher would start a third later."""
    slow = {path.name for path in SOURCES if path.parent.name != "child" and "dataclass" in imported_names(path)}
    assert slow == {
        "errors.py",  # a client of the control socket has no msgspec
        "table.py",  # with a cached property
    }


def imported_names(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names}


def test_nothing_is_left_unfinished() -> None:
    unfinished = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [str(path) for path in SOURCES if unfinished.search(path.read_text())] == []


def test_no_module_is_long() -> None:
    lengths = {str(path.relative_to(TOP)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def test_every_module_says_what_it_owns() -> None:
    silent = [
        path for path in SOURCES if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert [str(path) for path in silent] == []


def ci_steps() -> set[str]:
    return set(re.findall(r'^step "[^"]+" (.+)$', (TOP / ".ci" / "run").read_text(), re.MULTILINE))


def test_a_pure_module_is_kept_pure_and_fully_covered() -> None:
    contracts = {contract["id"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}
    pure = {*contracts["pure-core"]["source_modules"], *contracts["render-only"]["source_modules"]}
    listed = re.search(r'^pure="([^"]+)"', (TOP / ".ci" / "run").read_text(), re.MULTILINE)
    assert listed is not None
    covered = {path.removesuffix(".py").replace("/", ".") for path in listed[1].split()}
    assert {name for name in covered if ".child." not in name} == pure


def test_the_test_command_of_the_readme_is_that_of_ci() -> None:
    command = re.search(r"\.venv/bin/(python -m pytest.*)$", (TOP / "README.md").read_text(), re.MULTILINE)
    assert command is not None
    assert command[1] in ci_steps()


def test_hooks_run_the_commands_of_ci() -> None:
    hooks = re.findall(r"^ +entry: (.+)$", (TOP / ".pre-commit-config.yaml").read_text(), re.MULTILINE)
    assert hooks
    assert set(hooks) <= ci_steps()


def test_the_workflow_runs_ci_on_every_supported_python() -> None:
    workflow = (TOP / ".github" / "workflows" / "ci.yml").read_text()
    assert "- run: .ci/run" in workflow
    versions = [text.rpartition(" ")[2] for text in PYPROJECT["project"]["classifiers"] if ":: 3." in text]
    assert f"python: {versions}".replace("'", '"') in workflow

"""README shows what the examples have, and YAML that GitHub can read."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.readme import block

E2E = Path(__file__).parents[2] / "examples" / "e2e"


def test_the_configs_of_playwright_are_those_of_the_example() -> None:
    assert block("Playwright", "ts") == (E2E / "playwright.config.ts").read_text()
    assert block("Playwright", "python") in (E2E / "tests" / "conftest.py").read_text()


def test_the_workflow_has_the_form_that_github_wants() -> None:
    workflow = yaml.load(block("CI (GitHub Actions)", "yaml"), yaml.BaseLoader)  # `on` is no boolean to GitHub
    assert workflow.keys() == {"name", "on", "jobs"}
    for job in workflow["jobs"].values():
        assert job.keys() == {"runs-on", "timeout-minutes", "steps"}
        for step in job["steps"]:
            assert step.keys() in ({"run"}, {"uses"}, {"uses", "with"})

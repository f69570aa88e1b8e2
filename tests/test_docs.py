"""The README cannot drift: its links, its config groups, its commands and its Python are checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sweeper.errors import Interrupted, LaunchError, StorageError, SweeperError, TrialsFailed

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("group", ["sampler", "pruner"])
def test_every_config_group_is_listed(group: str) -> None:
    (listed,) = re.findall(rf"\(`hydra/sweeper/{group}=`\): ([a-z, _\n]+)\.", README)
    shipped = {path.stem for path in (ROOT / "sweeper" / "conf" / "hydra" / "sweeper" / group).glob("*.yaml")}

    assert {name.strip() for name in listed.split(",")} == shipped


def test_python_of_the_readme_runs() -> None:
    for block in re.findall(r"```python\n(.*?)```", README, re.S):
        exec(compile(block, "README.md", "exec"), {})


def test_every_fault_names_tests_that_there_are() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!what happens|---)(.*) \|$", page, re.M)
    named = re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", page)

    assert len(rows) >= 20
    for name, path in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path} has no {name}"
    for row in rows:
        assert "test_" in row or "`OF_" in row or row.endswith("| the same"), row


def test_every_address_of_the_site_is_listed() -> None:
    from sweeper.web.site import ROUTES

    page = (ROOT / "docs" / "ui.md").read_text(encoding="utf-8")
    paths = {route.path for route in ROUTES if route.path.startswith(("/api/", "/file"))}
    assert set(re.findall(r"`(/(?:api|file)[a-z/]*)", page)) == paths


def test_exit_statuses_are_as_said() -> None:
    assert (SweeperError.exit_status, StorageError.exit_status) == (2, 3)
    assert (LaunchError.exit_status, TrialsFailed.exit_status) == (4, 5)
    assert (Interrupted(2).exit_status, Interrupted(15).exit_status) == (130, 143)

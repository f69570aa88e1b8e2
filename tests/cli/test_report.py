from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Sweeper


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals rest on many forests; how good they are is importance's own test."""
    monkeypatch.setattr("sweeper.document.importance_section.RESAMPLES", 2)


@pytest.mark.slow
def test_one_file_and_its_figures_on_request(sweeper: Sweeper, digits_url: str, tmp_path: Path) -> None:
    found = sweeper("report", "digits", "--pdf-figures", "a/pdf", "--png-figures", "png", "--storage", digits_url)
    assert found.status == 0
    page, *figures = (Path(line) for line in found.out.splitlines())
    assert page == tmp_path / "report.html" and page.read_text().startswith("<!DOCTYPE html>")
    assert {path.parent for path in figures} == {tmp_path / "a" / "pdf", tmp_path / "png"}
    starts = {".pdf": b"%PDF", ".png": b"\x89PNG"}
    assert all(path.read_bytes().startswith(starts[path.suffix]) for path in figures)
    assert {"progress.pdf", "importance.pdf", "timeline.pdf"} <= {path.name for path in figures}


@pytest.mark.slow
def test_the_file_can_be_named(sweeper: Sweeper, digits_url: str, tmp_path: Path) -> None:
    assert sweeper("report", "digits", "-o", "digits.html", "--storage", digits_url).status == 0
    assert (tmp_path / "digits.html").exists() and not (tmp_path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "-o", "."], "'.' is a folder: name a file in it, as 'report.html'"),
        (["digits", "-o", "no/report.html"], "there is no folder 'no' to write 'report.html' into"),
        (["digit"], "there is no study 'digit'"),
        (["digits", "--pdf-figures", "/dev/null/x"], "cannot be written"),
    ],
)
def test_what_cannot_be(sweeper: Sweeper, digits_url: str, arguments: list[str], message: str) -> None:
    found = sweeper("report", *arguments, "--storage", digits_url)
    assert found.status == 2 and message in found.err

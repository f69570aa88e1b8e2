"""`sweeper artifacts`, `get`, `verify`, `gc`; test metrics and files on the pages of `show`."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from sweeper.record import Record
from sweeper.trial import Looked, Saved, Used
from tests.archive.conftest import Shelf, shelf
from tests.cli.conftest import Sweeper

__all__ = ["shelf"]


@pytest.fixture
def filled(shelf: Shelf) -> Shelf:
    shelf.keep(0, "model.pt", b"weights")
    shelf.keep(0, "plots/loss.png", b"ink")
    run = "0" * 32
    events = (
        Saved(run, 2, 1.0, "lost.pt", "model", 0, None, "no space left on device"),
        Used(run, 3, 1.0, "train", "s3://bucket/train", 3, 2048, "d" * 64, False),
        Looked(run, 4, 1.0, None, {"accuracy": 0.875}),
        Looked(run, 5, 1.0, None, {"accuracy": 0.75}),
        Looked("1" * 32, 5, 1.0, None, {"accuracy": 0.5}),
    )
    Record(shelf.storage).heard(events).result()
    return shelf


@pytest.mark.usefixtures("filled")
class TestArtifacts:
    def test_the_page_lists_files_what_was_not_kept_and_data(self, sweeper: Sweeper) -> None:
        found = sweeper("artifacts", "digits/0")
        lines = [" ".join(line.split()[:4]) for line in found.out.splitlines()]
        assert "model.pt model 7 B" in lines
        assert "lost.pt no space left" in lines
        assert "train 3 2 KiB" in " ".join(lines)
        assert found.status == 0

    def test_json_has_all(self, sweeper: Sweeper) -> None:
        found = sweeper("artifacts", "digits/0", "--json").json
        assert [row["name"] for row in found["artifacts"]] == ["lost.pt", "model.pt", "plots/loss.png"]
        assert found["data"][0]["url"] == "s3://bucket/train"

    def test_csv_has_the_files(self, sweeper: Sweeper) -> None:
        rows = list(csv.DictReader(io.StringIO(sweeper("artifacts", "digits/0", "--csv").out)))
        assert [row["name"] for row in rows] == ["lost.pt", "model.pt", "plots/loss.png"]

    def test_a_trial_that_keeps_nothing(self, sweeper: Sweeper) -> None:
        assert sweeper("artifacts", "digits/1").out == "This run keeps no file.\n"

    def test_a_study_is_no_trial(self, sweeper: Sweeper) -> None:
        found = sweeper("artifacts", "digits")
        assert (found.status, "write STUDY/NUMBER" in found.err) == (2, True)


@pytest.mark.usefixtures("filled")
class TestGet:
    def test_files_are_written_here(self, sweeper: Sweeper, tmp_path: Path) -> None:
        assert sweeper("get", "digits/0", "model.pt", "plots").out == "model.pt\nplots/loss.png\n"
        assert (tmp_path / "model.pt").read_bytes() == b"weights"

    def test_all_that_was_kept_goes_elsewhere(self, sweeper: Sweeper, tmp_path: Path) -> None:
        assert sweeper("get", "digits/0", "--to", "out").out == "out/model.pt\nout/plots/loss.png\n"

    def test_one_file_can_be_printed(self, sweeper: Sweeper) -> None:
        assert sweeper("get", "digits/0", "model.pt", "--to", "-").out == "weights"
        found = sweeper("get", "digits/0", "--to", "-")
        assert (found.status, "name one" in found.err) == (2, True)

    def test_what_is_not_there(self, sweeper: Sweeper) -> None:
        found = sweeper("get", "digits/0", "../../etc/passwd")
        assert found.status == 2
        assert found.err == (
            "sweeper: digits/0 keeps no '../../etc/passwd': it keeps lost.pt, model.pt, plots/loss.png\n"
        )

    def test_what_was_not_kept(self, sweeper: Sweeper) -> None:
        found = sweeper("get", "digits/0", "lost.pt")
        assert (found.status, "no space left on device" in found.err) == (2, True)


class TestVerify:
    def test_all_is_whole(self, sweeper: Sweeper, filled: Shelf) -> None:
        found = sweeper("verify")
        assert (found.status, found.out) == (0, "2 stored files (10 B) checked: all are whole.\n")

    def test_damage_is_said_with_whose_it_is_and_by_the_exit_status(self, sweeper: Sweeper, filled: Shelf) -> None:
        sha256 = filled.keep(1, "copy.pt", b"weights")
        (filled.store.root / "sha256" / sha256[:2] / sha256).unlink()
        found = sweeper("verify")
        assert found.status == 1
        assert "missing  digits/0 model.pt, digits/1 copy.pt" in found.out
        assert sweeper("verify", "digits/1").status == 1
        assert sweeper("verify", "--json").json["damaged"][0]["state"] == "missing"

    def test_what_is_asked_for_is_checked(self, sweeper: Sweeper, filled: Shelf) -> None:
        sha256 = filled.keep(1, "other.pt", b"other")
        (filled.store.root / "sha256" / sha256[:2] / sha256).unlink()
        assert sweeper("verify", "digits/0").status == 0
        assert sweeper("verify", "digits").status == 1

    def test_a_trial_that_does_not_exist(self, sweeper: Sweeper, filled: Shelf) -> None:
        assert sweeper("verify", "digits/7").status == 2


class TestGc:
    @pytest.fixture
    def old(self, filled: Shelf) -> str:
        sha256 = filled.store.put(io.BytesIO(b"forgotten")).sha256
        os.utime(filled.store.root / "sha256" / sha256[:2] / sha256, (0, 0))
        return sha256

    def test_it_tells_first(self, sweeper: Sweeper, filled: Shelf, old: str) -> None:
        found = sweeper("gc")
        assert "1 file (9 B) that nothing on record points to; 2 files on record are kept" in found.out
        assert "Nothing was removed: `sweeper gc --yes` removes it." in found.out
        assert old in {blob.sha256 for blob in filled.store.blobs()}

    def test_then_it_removes(self, sweeper: Sweeper, filled: Shelf, old: str) -> None:
        assert "1 file removed (9 B)" in sweeper("gc", "--yes").out
        assert len(list(filled.store.blobs())) == 2
        assert "no garbage" in sweeper("gc").out

    def test_json(self, sweeper: Sweeper, filled: Shelf, old: str) -> None:
        (found,) = sweeper("gc", "--yes", "--json").json
        assert (found["removed"], found["kept"]) == ([old], 2)

    def test_a_duration_that_is_none(self, sweeper: Sweeper, filled: Shelf) -> None:
        found = sweeper("gc", "--older-than", "soon")
        assert (found.status, "--older-than is 'soon'" in found.err) == (2, True)


@pytest.mark.usefixtures("filled")
class TestShow:
    def test_a_trial_shows_its_test_metrics_apart_and_its_files(self, sweeper: Sweeper) -> None:
        page = sweeper("show", "digits/0").out
        tests = page[page.index("test metrics") :].splitlines()
        assert tests[1].split() == ["metric", "last", "looks"]
        assert tests[2].split() == ["accuracy", "0.75", "2"]
        assert "lost.pt         model  not kept" in page
        assert sweeper("show", "digits/0", "--json").json["runs"][0]["test_metrics"]["accuracy"]["looks"] == 2

    def test_a_study_counts_looks(self, sweeper: Sweeper) -> None:
        assert "test data  3 looks by 2 trials; choosing among them" in sweeper("show", "digits").out

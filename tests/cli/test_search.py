"""`sweeper search`, `tag`, `note`, `export` as they are typed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import optuna
import pyarrow.parquet
import pytest

from sweeper.record import Storage
from tests.cli.conftest import Sweeper
from tests.history.database import Written, add


@pytest.fixture
def database(written: Written, digits_url: str, tmp_path: Path) -> Written:
    """The study digits, to be written to."""
    written.close()
    shutil.copy(digits_url.removeprefix("sqlite:///"), tmp_path / "sweeper.db")
    return written


@pytest.mark.usefixtures("database")
class TestSearch:
    def test_a_table_with_what_was_asked_for(self, sweeper: Sweeper) -> None:
        lines = sweeper("search", "metrics.loss < 0.25 and value > 0.9").out.splitlines()
        assert lines[0].split()[:4] == ["trial", "state", "value", "loss"]
        assert [line.split()[:3] for line in lines[1:]] == [
            ["digits/1", "complete", "0.91"],
            ["digits/2", "complete", "0.92"],
        ]

    def test_json_and_csv(self, sweeper: Sweeper) -> None:
        assert [hit["number"] for hit in sweeper("search", "state = fail", "--json").json] == [7, 8]
        rows = list(csv.DictReader(io.StringIO(sweeper("search", "state = fail", "--csv").out)))
        assert [row["number"] for row in rows] == ["7", "8"]

    def test_nothing_is_said_plainly(self, sweeper: Sweeper) -> None:
        found = sweeper("search", "value > 1")
        assert (found.status, "No trial in" in found.out) == (0, True)

    def test_a_name_that_no_trial_has_is_told_with_those_that_are_near(self, sweeper: Sweeper) -> None:
        found = sweeper(
            "search", "metrics.los > 5 or params.lr > 1 or not params.model.depht = 0 and params.optimizer.lr > 9"
        )
        assert found.out.splitlines()[1:] == [
            "no trial has metrics.los: did you mean loss?",
            "no trial has params.lr: did you mean optimizer.lr?",
            "no trial has params.model.depht: did you mean model.depth?",
        ]
        assert sweeper("search", "tests.acc > 1").out.splitlines()[1:] == [
            "no trial has tests.acc: there is none on record"
        ]

    def test_a_limit_is_said(self, sweeper: Sweeper) -> None:
        assert "these are the first 2; --limit shows more" in sweeper("search", "value > 0", "--limit", "2").out

    def test_a_query_that_means_nothing_is_marked(self, sweeper: Sweeper) -> None:
        found = sweeper("search", "value >")
        assert found.status == 2
        assert found.err.splitlines()[0].startswith("sweeper: the query cannot be understood at its end")


class TestTag:
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        storage = Storage(sqlite_url)
        study = optuna.create_study(study_name="digits", storage=storage)
        study.tell(study.ask(), 1.0)
        storage.close()
        return sqlite_url

    def test_a_tag_is_given_listed_found_and_taken(self, sweeper: Sweeper, url: str) -> None:
        assert sweeper("tag", "digits/0", "paper", "to publish").out == "paper\nto publish\n"
        assert sweeper("tag", "digits/0").out == "paper\nto publish\n"
        assert sweeper("search", "tag = paper", "--json").json[0]["tags"] == ["paper", "to publish"]
        assert sweeper("tag", "digits/0", "paper", "--remove").out == "to publish\n"
        assert sweeper("tag", "digits", "v1", "--json").json == {"study": "digits", "number": None, "tags": ["v1"]}

    def test_a_note_is_written_and_shown(self, sweeper: Sweeper, url: str) -> None:
        assert sweeper("note", "digits/0").out == ""
        assert sweeper("note", "digits/0", "it *diverged*\nsee the log").status == 0
        assert sweeper("note", "digits/0").out == "it *diverged*\nsee the log\n"

    @pytest.mark.parametrize("name", ["digits/7", "digts", "digts/0"])
    def test_what_is_not_there_is_not_tagged(self, sweeper: Sweeper, url: str, name: str) -> None:
        assert sweeper("tag", name, "paper").status == 2
        assert sweeper("note", name, "x").status == 2

    @pytest.mark.parametrize("tag", ["", " x", "a\x1b[2J", "x" * 101])
    def test_what_is_no_tag(self, sweeper: Sweeper, url: str, tag: str) -> None:
        found = sweeper("tag", "digits/0", tag)
        assert (found.status, "is no tag" in found.err) == (2, True)

    def test_nothing_is_created_where_nothing_is(self, sweeper: Sweeper, tmp_path: Path) -> None:
        assert sweeper("tag", "digits/0", "x").status == 3
        assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("database")
class TestExport:
    def test_csv_is_one_table(self, sweeper: Sweeper) -> None:
        rows = list(csv.DictReader(io.StringIO(sweeper("export", "digits").out)))
        assert len(rows) == 10
        assert (rows[5]["value.val/accuracy"], rows[5]["params.model.depth"], rows[5]["config.seed"]) == (
            "0.9500000000000001",
            "3",
            "5",
        )
        assert (rows[6]["metrics.loss"], rows[7]["failure"]) == ("NaN", "error")

    def test_columns_of_a_kind_stand_together(self, sweeper: Sweeper) -> None:
        header = sweeper("export", "digits").out.splitlines()[0].split(",")
        kinds = [name.partition(".")[0] for name in header]
        assert kinds.index("value") < kinds.index("params") < kinds.index("metrics") < kinds.index("config")
        assert [kind for i, kind in enumerate(kinds) if kind in kinds[:i] and kinds[i - 1] != kind] == []

    def test_json_and_a_file(self, sweeper: Sweeper, tmp_path: Path) -> None:
        assert sweeper("export", "digits", "--to", "json", "-o", "out.json").out.startswith("10 trials in ")
        found = json.loads((tmp_path / "out.json").read_text())
        assert found[6]["metrics.loss"] == "NaN"
        assert found[0]["started_at"].endswith("+00:00")

    def test_parquet_has_types(self, sweeper: Sweeper, tmp_path: Path) -> None:
        assert sweeper("export", "digits", "--to", "parquet", "-o", "out.parquet").status == 0
        table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
        assert (table.num_rows, str(table.schema.field("value.val/accuracy").type)) == (10, "double")
        assert str(table.schema.field("started_at").type).startswith("timestamp")
        assert table.column("number").to_pylist() == list(range(10))

    def test_parquet_cannot_be_printed(self, sweeper: Sweeper) -> None:
        found = sweeper("export", "digits", "--to", "parquet")
        assert (found.status, "-o FILE" in found.err) == (2, True)

    def test_a_study_that_is_not_there(self, sweeper: Sweeper) -> None:
        assert sweeper("export", "digit").status == 2


def test_a_value_cannot_become_a_formula(sweeper: Sweeper, written: Written) -> None:
    add(written.study('=HYPERLINK("http://x")'), 0.5)
    out = sweeper("export", '=HYPERLINK("http://x")').out
    cells = list(csv.reader(io.StringIO(out)))[1]
    assert cells[0] == '\'=HYPERLINK("http://x")'
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]

from __future__ import annotations

import csv
import io

import pytest

from tests.cli.conftest import Sweeper
from tests.history.database import Written, add


@pytest.fixture(autouse=True)
def _studies(written: Written) -> None:
    add(written.study("digits", metric_names=("val/accuracy",)), 0.912345678912)
    add(written.study("team/front", ("maximize", "minimize")), 1.0, 2.0)
    written.study("=HYPERLINK(\x1b]0;evil\x07)")


def test_text_in_a_pipe_is_plain_whole_and_escaped(sweeper: Sweeper) -> None:
    found = sweeper("ls")
    assert found.status == 0 and "\x1b" not in found.out
    lines = found.out.splitlines()
    assert " ".join(lines[0].split()) == (
        "study goal best best trial trials complete pruned failed running last activity"
    )
    assert r"=HYPERLINK(\x1b]0;evil\x07)" in lines[1]
    assert lines[2].split()[:7] == ["digits", "max", "val/accuracy", "0.912345678912", "0", "1", "1"]
    assert lines[3].startswith("team/front")


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_a_terminal_is_never_overrun(sweeper: Sweeper, columns: int) -> None:
    from rich.text import Text

    lines = [Text.from_ansi(line).plain for line in sweeper("ls", columns=columns).out.splitlines()]
    assert max(len(line) for line in lines) <= columns
    assert any(line.startswith("digits") and "0.912346" in line for line in lines)
    assert any("no room here for" in line for line in lines) == (columns < 200)


def test_json_and_csv(sweeper: Sweeper) -> None:
    studies = {study["name"]: study for study in sweeper("ls", "--json").json}
    assert studies["digits"]["best_value"] == 0.912345678912
    assert studies["digits"]["counts"]["COMPLETE"] == 1
    assert studies["digits"]["last_activity_at"].endswith("Z")
    rows = list(csv.DictReader(io.StringIO(sweeper("ls", "--csv").out)))
    assert rows[0]["name"] == "'=HYPERLINK(\x1b]0;evil\x07)"
    assert (rows[1]["name"], rows[1]["counts.COMPLETE"], rows[1]["directions"]) == ("digits", "1", '["maximize"]')


def test_no_study_yet(sweeper: Sweeper, written: Written) -> None:
    for name in ("digits", "team/front", "=HYPERLINK(\x1b]0;evil\x07)"):
        written.storage.delete_study(written.storage.get_study_id_from_name(name))
    assert sweeper("ls").out.startswith("There is no study yet in sqlite:///")
    assert sweeper("ls", "--json").json == []

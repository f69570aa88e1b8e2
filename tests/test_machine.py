from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper import machine

RECORDS = st.dictionaries(
    st.text(max_size=4), st.none() | st.integers() | st.floats() | st.text(max_size=4), max_size=3
)


def _refused(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


@settings(max_examples=40)
@given(RECORDS)
def test_json_is_strict_and_ascii(found: object) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        machine.print_json(found)
    assert out.getvalue().isascii()
    assert json.loads(out.getvalue(), parse_constant=_refused) == machine.plain(found)


def test_what_is_not_finite_is_a_string() -> None:
    assert machine.plain({"a": [math.nan, math.inf, -math.inf]}) == {"a": ["NaN", "Infinity", "-Infinity"]}


@given(st.text() | st.floats() | st.integers() | st.booleans() | st.none())
def test_no_cell_is_a_formula_and_numbers_stay_numbers(found: object) -> None:
    shown = machine.cell(found)
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        assert type(found)(shown) == found or math.isnan(found)
    elif shown[:1] in ("=", "+", "-", "@", "\t", "\r"):
        float(shown)


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("-5", "-5"),
        ("-1e3", "-1e3"),
        ("-inf", "-inf"),
        ("-5+cmd|'/c calc'!A0", "'-5+cmd|'/c calc'!A0"),
        ("+1 ", "'+1 "),
        ("-1_000", "'-1_000"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("a=1", "a=1"),
        (True, "true"),
        (None, ""),
    ],
)
def test_cells(found: object, shown: str) -> None:
    assert machine.cell(found) == shown


def test_csv_joins_the_columns_of_all_records(capsys: pytest.CaptureFixture[str]) -> None:
    machine.print_csv(
        [{"n": 0, "params": {"a": 1}}, {"n": 1, "params": {"b": 'x"\n,'}, "tags": ["u", 1]}], columns=("n", "state")
    )
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [
        ["n", "state", "params.a", "params.b", "tags"],
        ["0", "", "1", "", ""],
        ["1", "", "", 'x"\n,', '["u", 1]'],
    ]


def test_csv_of_nothing_has_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    machine.print_csv([], columns=("number", "state"))
    assert capsys.readouterr().out == "number,state\n"


TABLES = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b", "when"]),
        st.text() | st.floats() | st.integers() | st.booleans() | st.none() | st.datetimes(),
    ),
    max_size=4,
)


@given(TABLES)
def test_a_table_reads_as_its_cells_do(rows: list[dict[str, object]]) -> None:
    """Most cells take a quicker way, which must not show."""
    dated = [
        {key: cell.isoformat() if isinstance(cell, datetime) else cell for key, cell in row.items()} for row in rows
    ]
    columns = ("a", "b", "when")
    told = list(csv.reader(io.StringIO(machine.table_csv(rows, columns), newline="")))
    assert told == [list(columns), *([machine.cell(machine.plain(row.get(key))) for key in columns] for row in dated)]
    assert json.loads(machine.table_json(rows), parse_constant=_refused) == machine.plain(dated)

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sweeper.cli.table import MISSING, Column, Table, fit, plain, rich_table

COLUMNS = (
    Column("trial"),
    Column("value", is_number=True),
    Column("lr", is_param=True),
    Column("model", is_param=True),
    Column("loss", is_number=True, gives_way=1),
    Column("took", gives_way=2),
)
ROWS = (("digits/1", "0.5", "0.001", "mlp", "1.25", "3 s"), ("digits/12", "0.25", MISSING, "日本語", "2", "10 min"))
TABLE = Table(COLUMNS, ROWS)


def test_plain_text_is_aligned_by_cells_and_whole() -> None:
    assert list(plain(TABLE)) == [
        "trial      value  lr     model   loss  took",
        "digits/1     0.5  0.001  mlp     1.25  3 s",
        "digits/12   0.25  –      日本語     2  10 min",
    ]


def test_columns_give_way_in_their_order_then_parameters_are_joined() -> None:
    assert fit(TABLE, 100) == TABLE
    narrower = fit(TABLE, TABLE.width - 1)
    assert narrower.left_out == ("took",) and len(narrower.columns) == 5
    assert fit(TABLE, narrower.width - 1).left_out == ("took", "loss")
    long = Table(COLUMNS, (("digits/1", "0.5", "0" * 30, "m" * 20, "1", "3 s"), ROWS[1]))
    joined = fit(long, 60)
    assert [column.title for column in joined.columns] == ["trial", "value", "params"]
    assert joined.rows[0][2] == f"lr={'0' * 30} model={'m' * 20}"
    assert joined.rows[1][2] == "model=日本語"
    assert [column.title for column in fit(long, 40).columns] == ["trial", "value"]
    assert fit(long, 40).left_out == ("took", "loss", "lr", "model")


@given(st.lists(st.tuples(*[st.text(alphabet="ab日 ", max_size=30)] * 6), max_size=5), st.integers(20, 120))
def test_a_terminal_of_any_width_holds_the_table(rows: list[tuple[str, ...]], width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(rich_table(fit(Table(COLUMNS, tuple(rows)), width)))
    assert isinstance(console.file, io.StringIO)
    assert all(cell_len(line) <= width for line in console.file.getvalue().splitlines())

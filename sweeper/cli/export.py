"""`sweeper export digits --to csv`: a study as one table."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Storage


class Target(enum.Enum):
    """What a study can be exported to."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def export(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study, as `sweeper ls` names it.")],
    to: Annotated[Target, typer.Option("--to", help="The format.")] = Target.CSV,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where; by default it is printed.", show_default=False),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write every trial with parameters, metrics, config, environment and cost as one table.

    CSV is safe to open in a spreadsheet: what could be taken for a formula gets a ' before it.
    """
    from sweeper.archive.parquet import write_parquet
    from sweeper.archive.table import columns, flat
    from sweeper.errors import ConfigError
    from sweeper.history import History

    rows = [flat(record) for record in History(storage).records(study)]
    names = columns(rows)
    if to is Target.PARQUET:
        if output is None:
            raise ConfigError("a Parquet file cannot be printed: name it with -o FILE")
        write_parquet(rows, names, output)
    else:
        content = machine.table_json(rows) if to is Target.JSON else machine.table_csv(rows, names)
        if output is None:
            print(content, end="")
            return
        output.write_text(content, encoding="utf-8")
    print(f"{text.count(len(rows), 'trial')} in {text.count(len(names), 'column')}: {text.printable(str(output))}")

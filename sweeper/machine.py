"""Output for programs: strict JSON, and CSV that a spreadsheet cannot take for formulas."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.text import iso

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def print_json(found: object) -> None:
    """One JSON value, with what is not finite as a string ("NaN", "Infinity", "-Infinity").

    Everything beyond ASCII is escaped, so that no terminal sequence gets through.
    """
    print(json.dumps(plain(found), indent=2, allow_nan=False))


def print_csv(records: Sequence[Mapping[str, object]], columns: Iterable[str] = ()) -> None:
    """Records as CSV, as `records_csv` gives it."""
    print(records_csv(records, columns), end="")


def records_csv(records: Sequence[Mapping[str, object]], columns: Iterable[str] = ()) -> str:
    """Records as CSV: `columns` first, then further keys as they come, those of mappings dotted."""
    flat = [flattened(record) for record in records]
    header = list(dict.fromkeys([*columns, *(key for record in flat for key in record)]))
    rows: Iterable[Iterable[object]] = (header, *([record.get(title) for title in header] for record in flat))
    return "".join(row_csv(row) for row in rows)


def row_csv(found: Iterable[object]) -> str:
    """One row of CSV, every cell safe in a spreadsheet."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([cell(value) for value in found])
    return text.getvalue()


def table_csv(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Flat rows as CSV, every cell safe in a spreadsheet; times as ISO 8601."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([cell(title) for title in columns])
    for row in rows:  # of millions of cells most are numbers, which the writer itself is quicker at
        values = map(row.get, columns)
        writer.writerow([value if _is_finite(value) else cell(_dated(plain(value))) for value in values])
    return text.getvalue()


def _is_finite(value: object) -> bool:
    kind = type(value)
    return kind is int or (kind is float and math.isfinite(value))  # type: ignore[arg-type]


def table_json(rows: Sequence[Mapping[str, object]]) -> str:
    """Flat rows as a list of JSON objects, one a line; times as ISO 8601."""
    return "[\n" + ",\n".join(map(_row_json, rows)) + "\n]\n"


def _row_json(row: Mapping[str, object]) -> str:
    try:
        return json.dumps(row, allow_nan=False, default=_dated)
    except ValueError:  # something is not finite
        return json.dumps(plain(row), allow_nan=False, default=_dated)


def _dated(found: object) -> object:
    return found.isoformat() if isinstance(found, datetime.datetime) else found


def record(row: DataclassInstance) -> dict[str, Any]:
    """A row of `history` as a mapping; its times, the fields that end in `_at`, as ISO 8601."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        if field.name.endswith("_at"):
            value = iso(value)
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            value = [record(inner) for inner in value]
        found[field.name] = value
    return found


def plain(found: object) -> Any:
    """`found` in the types of strict JSON."""
    if isinstance(found, Mapping):
        return {str(name): plain(inner) for name, inner in found.items()}
    if isinstance(found, (list, tuple)):
        return [plain(inner) for inner in found]
    if isinstance(found, float) and not math.isfinite(found):
        return "NaN" if math.isnan(found) else "Infinity" if found > 0 else "-Infinity"
    return found


def flattened(record: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A record without mappings inside: their keys are joined by dots; lists become JSON."""
    flat: dict[str, object] = {}
    for key, found in record.items():
        name = f"{prefix}{key}"
        if isinstance(found, Mapping):
            flat |= flattened(found, f"{name}.")
        elif isinstance(found, (list, tuple)):
            flat[name] = json.dumps(plain(found))
        else:
            flat[name] = plain(found)
    return flat


def cell(found: object) -> str:
    """One cell: empty for None, and a ' before what a spreadsheet could take for a formula.

    A carriage return becomes a line's end: the writer does not quote it, and readers take it for the end of a row.
    """
    if found is None:
        return ""
    if isinstance(found, bool):
        return json.dumps(found)
    text = str(found)
    if text.startswith(_FORMULA) and not _is_number(text):
        text = f"'{text}"
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_number(text: str) -> bool:
    # float() forgives white space and underscores, a spreadsheet does not.
    if text != text.strip() or "_" in text:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True

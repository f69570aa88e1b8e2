"""The leaderboard: a study's trials as a table that is sorted, filtered, paged and whose columns are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweeper import text
from sweeper.history import StudyRow
from sweeper.history.leaderboard import Line, Page
from sweeper.history.query import Field, field
from sweeper.web.address import SIZES, USUAL_SIZE, View, trial_address
from sweeper.web.table import Cell, Column, Table, column, state, under, value, words

MOST_PARAMS = 6  # columns of parameters where nobody chose
COSTS = ("peak_rss_bytes", "peak_gpu_memory_bytes", "gpu_seconds", "energy_j")
ALWAYS_OFFERED = ("state", "runtime_s", "failure", "error", "tag", "seed", "node", "attempt", *COSTS)
_NUMBERS = ("value", "values", "metrics", "tests", "runtime_s", "seed", "attempt", *COSTS)


_TITLES = {
    "number": "trial",
    "runtime_s": "took",
    "peak_rss_bytes": "peak memory",
    "peak_gpu_memory_bytes": "peak GPU memory",
    "gpu_seconds": "GPU-seconds",
    "energy_j": "energy (J)",
}


@dataclass(frozen=True)
class Choice:
    """A column that may be shown."""

    name: str
    is_shown: bool


@dataclass(frozen=True)
class Board:
    """The leaderboard of a view, with all that its controls need."""

    view: View
    table: Table
    choices: Sequence[Choice]
    total: int  # trials that match
    first: int  # the first that is shown, counted from 1; 0 where none is
    last: int
    pages: int
    sizes: tuple[int, ...] = SIZES


def default_columns(study: StudyRow, params: Sequence[str]) -> tuple[str, ...]:
    """What is shown where nobody chose: state, objectives, the first parameters, how long it took."""
    return ("state", *_objectives(study), *(f"params.{name}" for name in params[:MOST_PARAMS]), "runtime_s")


def offered(study: StudyRow, params: Iterable[str], metrics: Iterable[str]) -> list[str]:
    """Every column that can be chosen."""
    of_params, of_metrics = (f"params.{name}" for name in params), (f"metrics.{name}" for name in metrics)
    return list(dict.fromkeys(["state", *_objectives(study), *of_params, *of_metrics, *ALWAYS_OFFERED]))


def board(study: StudyRow, view: View, shown_columns: Sequence[str], found: Page, choices: Iterable[str]) -> Board:
    """The table of a page that was read with these columns: the view's, or the default ones."""
    fields = [field(name) for name in shown_columns]
    columns = [_head(view, study, name) for name in ("number", *shown_columns)]
    rows = [_row(study, line, fields) for line in found.lines]
    shown = found.offset + len(rows)
    return Board(
        view=view,
        table=Table(
            "Trials",
            columns,
            rows,
            _nothing(study, view),
            csv=view.address("/api/trials", page=1, size=USUAL_SIZE) + "&format=csv",
            json=view.address("/api/trials", page=1, size=USUAL_SIZE),
        ),
        choices=[Choice(name, name in shown_columns) for name in dict.fromkeys([*choices, *shown_columns])],
        total=found.total,
        first=found.offset + 1 if rows else 0,
        last=shown if rows else 0,
        pages=max(1, -(-found.total // view.size)),
    )


def _objectives(study: StudyRow) -> list[str]:
    return ["value"] if len(study.objectives) == 1 else [f"values.{name}" for name in study.objectives]


def _head(view: View, study: StudyRow, name: str) -> Column:
    """A column's head, which sorts by it: the other way round where the table is sorted by it already."""
    now = view.sort
    if not now and name == "value":
        now = "-value" if study.directions[0] == "maximize" else "value"
    sorted_as = "descending" if now == f"-{name}" else "ascending" if now == name else ""
    following = (
        name if sorted_as == "descending" else f"-{name}" if sorted_as == "ascending" else _first_sort(study, name)
    )
    kind, _, key = name.partition(".")
    title = _TITLES.get(name, name)
    if name == "value":
        title = study.objectives[0]
    elif kind in ("params", "metrics", "values", "tests"):
        title = key
    href = view.address(sort=following, page=1)
    return column(title, is_number=kind in _NUMBERS, href=href, sorted_as=sorted_as)


def _first_sort(study: StudyRow, name: str) -> str:
    """How a column is sorted when it is first asked to: objectives with the best first."""
    if name == "value" and study.directions[0] == "maximize":
        return "-value"
    kind, _, key = name.partition(".")
    if kind == "values" and key in study.objectives:
        return f"-{name}" if study.directions[study.objectives.index(key)] == "maximize" else name
    return name


def _row(study: StudyRow, line: Line, fields: Sequence[Field]) -> list[Cell]:
    name = f"{study.name}/{line.number}"
    first = Cell(str(line.number), trial_address(study.name, line.number), pick=name)
    return [first, *(_cell(study, line, one) for one in fields)]


def _cell(study: StudyRow, line: Line, field: Field) -> Cell:
    found = line.of(field, study.objectives)
    match str(field):
        case "state":
            return state(line.state, line.failure)
        case "runtime_s":
            took = found if isinstance(found, float) else _took(line)
            return Cell(text.duration(took)) if took is not None else value(None)
        case "peak_rss_bytes" | "peak_gpu_memory_bytes":
            return Cell(text.size(found)) if isinstance(found, int) else value(None)
    if field.kind == "params":
        return under(line.params, field.key or "")
    if isinstance(found, str):
        return words(found)
    return value(found)


def _took(line: Line) -> float | None:
    if line.started_at is None or line.ended_at is None:
        return None
    return line.ended_at - line.started_at


def _nothing(study: StudyRow, view: View) -> str:
    if view.where:
        return "No trial matches this filter."
    return "No trial yet." if not study.total else "This page is beyond the last trial."

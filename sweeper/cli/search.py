"""`sweeper search 'metrics.val/accuracy > 0.97 and params.model = "cnn"'`: trials over all studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen, state
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.history import Hit


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Comparisons joined by and, or, not; see below.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Find trials over all studies by what is on record of them.

    A field, an operator (=, !=, <, <=, >, >=, ~ for contains, in) and a value; = null for what a trial does not have.

    Fields: metrics.NAME, params.NAME, config.KEY, value, values.NAME, tests.NAME, state, study, number, tag, artifact,
    seed, node, failure, error, runtime_s, peak_rss_bytes, peak_gpu_memory_bytes, gpu_seconds, energy_j, user, host,
    sampler, data.NAME, code.commit, code.branch, code.dirty, env.package("torch"), env.python, env.gpu, env.driver,
    env.cuda, env.os, env.cpu.
    """
    from sweeper.history import History

    asked = form(json, csv)
    history = History(storage)
    hits = history.search(query, limit)
    if asked is Form.JSON:
        machine.print_json([machine.record(hit) for hit in hits])
    elif asked is Form.CSV:
        machine.print_csv([machine.record(hit) for hit in hits], columns=("study", "number", "state"))
    elif hits:
        screen = Screen()
        screen.table(_table(hits, query, screen))
        if len(hits) == limit:
            screen.line(f"these are the first {limit}; --limit shows more")
    else:
        screen = Screen()
        screen.line(f"No trial in {text.printable(history.where)} matches.")
        for sentence in history.misspelt(query):
            screen.line(text.printable(sentence))


def _table(hits: Sequence[Hit], query: str, screen: Screen) -> Table:
    objectives = max(len(hit.values or ()) for hit in hits)
    metrics = [name for name in dict.fromkeys(name for hit in hits for name in hit.metrics) if name in query]
    params = list(dict.fromkeys(name for hit in hits for name in hit.params))
    has_tags = any(hit.tags for hit in hits)
    columns = (
        Column("trial"),
        Column("state"),
        *(Column("value" if objectives == 1 else f"value_{i}", is_number=True) for i in range(objectives)),
        *(Column(text.printable(name), is_number=True) for name in metrics),
        *(Column(text.printable(name), is_param=True) for name in params),
        *((Column("tags"),) if has_tags else ()),
    )
    rows = []
    for hit in hits:
        values = [screen.value(value) for value in hit.values or ()]
        tags = (", ".join(map(text.printable, hit.tags)),) if has_tags else ()
        rows.append(
            (
                f"{text.printable(hit.study)}/{hit.number}",
                state(hit.state),
                *(values + [MISSING] * (objectives - len(values))),
                *(screen.value(hit.metrics[name]) if name in hit.metrics else MISSING for name in metrics),
                *(screen.value(hit.params[name]) if name in hit.params else MISSING for name in params),
                *tags,
            )
        )
    return Table(columns, tuple(rows))

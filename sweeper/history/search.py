"""Finds trials over all studies by a query, in SQL with bound parameters.

What SQL cannot compare (versions, the JSON of configs and environments) is compared here first, once for each distinct
document, and goes into the statement as the list of those that match.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
)

from sweeper.errors import QueryError
from sweeper.history import decode, label, studies
from sweeper.history import runs as run_rows
from sweeper.history import trials as trial_rows
from sweeper.history.lookup import has_our_tables
from sweeper.history.match import OPERATORS, at, holds, holds_version, is_number, of_environment
from sweeper.history.query import Among, Both, Condition, Either, Field, Not, Value
from sweeper.history.rows import STATES, Hit
from sweeper.history.schema import studies as study_table
from sweeper.history.schema import trial_params, trial_values, trials
from sweeper.record.tables import artifacts, code, data, environments, metrics, runs, sweeps, tags, test_metrics

TEXTS = {
    "study": study_table.c.study_name,
    "failure": runs.c.failure,
    "error": runs.c.error,
    "node": runs.c.node,
    "user": sweeps.c.user,
    "host": sweeps.c.host,
    "sampler": sweeps.c.sampler,
    "code.commit": code.c.commit,
    "code.branch": code.c.branch,
}
NUMBERS = {
    "number": trials.c.number,
    "seed": runs.c.seed,
    "attempt": runs.c.attempt,
    "runtime_s": runs.c.runtime_s,
    "peak_rss_bytes": runs.c.peak_rss_bytes,
    "peak_gpu_memory_bytes": runs.c.peak_gpu_memory_bytes,
    "gpu_seconds": runs.c.gpu_seconds,
    "energy_j": runs.c.energy_j,
}


def find(connection: Connection, condition: Condition, limit: int) -> list[tuple[str, int, int, int | None]]:
    """Matching trials by study and number: study, number, trial id, and the id of the newest run."""
    search = Search(connection)
    query = search.base().where(search.sql(condition)).order_by(study_table.c.study_name, trials.c.number).limit(limit)
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]


def hits(connection: Connection, condition: Condition, limit: int) -> list[Hit]:
    """Matching trials with what lists show of them."""
    found = find(connection, condition, limit)
    gathered = trial_rows.gather_ids(connection, [trial_id for _, _, trial_id, _ in found])
    metrics_of = run_rows.last_metrics(connection, [run_id for *_, run_id in found if run_id is not None])
    names = run_rows.names_of(connection, list(metrics_of))
    tags_of = {study: label.tags_in(connection, study) for study in {study for study, *_ in found}}
    return [
        Hit(
            study=study,
            number=number,
            state=gathered[trial_id].state,
            values=tuple(gathered[trial_id].values) or None,
            params=gathered[trial_id].params,
            metrics=metrics_of.get(run_id, {}) if run_id is not None else {},
            tags=tags_of[study].get(number, ()),
            run=names.get(run_id) if run_id is not None else None,
        )
        for study, number, trial_id, run_id in found
    ]


class Search:
    """Conditions and columns of one database as SQL, over trials with their newest run."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.has_ours = has_our_tables(connection)

    def base(self) -> Select[Any]:
        source = trials.join(study_table, study_table.c.study_id == trials.c.study_id)
        columns = (study_table.c.study_name, trials.c.number, trials.c.trial_id)
        if not self.has_ours:
            return select(*columns, null()).select_from(source)
        later = runs.alias("later")
        is_later = (later.c.study == runs.c.study) & (later.c.number == runs.c.number)
        newest = ~exists().where(is_later, later.c.attempt > runs.c.attempt)
        of_trial = (runs.c.study == study_table.c.study_name) & (runs.c.number == trials.c.number) & newest
        source = source.join(runs, of_trial, isouter=True)
        source = source.join(sweeps, sweeps.c.sweep == runs.c.sweep, isouter=True)
        source = source.join(code, code.c.code == runs.c.code, isouter=True)
        return select(*columns, runs.c.id).select_from(source)

    def sql(self, condition: Condition) -> ColumnElement[bool]:
        match condition:
            case Both(parts):
                return and_(*(self.sql(part) for part in parts))
            case Either(parts):
                return or_(*(self.sql(part) for part in parts))
            case Not(part):
                return not_(self.sql(part))
            case Among(field, values):
                return or_(*(self._compare(field, "=", value) for value in values))
        return self._compare(condition.field, condition.operator, condition.value)

    def _compare(self, field: Field, sign: str, value: Value) -> ColumnElement[bool]:
        name = str(field)
        if field.kind == "state":
            return _state(sign, value)
        if field.kind == "params":
            return self._param(field.key or "", sign, value)
        if not self.has_ours and field.kind not in ("study", "number", "value", "values"):
            return literal(True) if (sign, value) == ("=", None) else false()
        if name in TEXTS:
            return _text(TEXTS[name], sign, value)
        if name in NUMBERS:
            return _number(name, NUMBERS[name], sign, value)
        return self._further(field, sign, value)

    def _further(self, field: Field, sign: str, value: Value) -> ColumnElement[bool]:
        match field.kind:
            case "value" | "values":
                return _number(str(field), self.objective(field.key), sign, value)
            case "metrics":
                return _number(str(field), last(metrics, field.key, metrics.c.step), sign, value)
            case "tests":
                return _number(str(field), last(test_metrics, field.key, test_metrics.c.seq), sign, value)
            case "data":
                found = select(data.c.sha256).where(data.c.run_id == runs.c.id, data.c.name == field.key)
                return _text(found.scalar_subquery(), sign, value)
            case "tag":
                here = (tags.c.study == study_table.c.study_name) & (tags.c.number == trials.c.number)
                return _one_of(tags.c.tag, here, sign, value)
            case "artifact":
                return _one_of(artifacts.c.name, artifacts.c.run_id == runs.c.id, sign, value)
            case "config":
                return self._config(field.key or "", sign, value)
            case "env":
                return self._environment(field.key or "", sign, value)
        return _boolean(str(field), code.c.is_dirty, sign, value)

    def objective(self, name: str | None) -> ColumnElement[Any]:
        """The value of an objective, the first where no name is given; each study has names of its own."""
        of_trial = trial_values.c.trial_id == trials.c.trial_id
        which = trial_values.c.objective == 0
        if name is not None:
            named = studies.metric_names(self._connection)
            places = [(study, names.index(name)) for study, names in named.items() if name in names]
            at = [(trials.c.study_id == study) & (trial_values.c.objective == i) for study, i in places]
            which = or_(false(), *at)
        infinite = [(trial_values.c.value_type == kind, literal(bound)) for kind, bound in _INFINITE.items()]
        return select(case(*infinite, else_=trial_values.c.value)).where(of_trial, which).scalar_subquery()

    def _param(self, name: str, sign: str, value: Value) -> ColumnElement[bool]:
        """Optuna stores a choice by its place in the distribution, so each distribution says what it means."""
        p = trial_params
        of_trial = (p.c.trial_id == trials.c.trial_id) & p.c.param_name.in_([name, f"+{name}"])
        if value is None and sign in ("=", "!="):
            there = exists().where(of_trial)
            absent_or_null = ~there | exists().where(of_trial, self._matching(name, "=", None))
            return absent_or_null if sign == "=" else ~absent_or_null
        return exists().where(of_trial, self._matching(name, sign, value))

    def _matching(self, name: str, sign: str, value: Value) -> ColumnElement[bool]:
        from optuna.distributions import CategoricalDistribution

        p = trial_params
        query = select(p.c.distribution_json).where(p.c.param_name.in_([name, f"+{name}"])).distinct()
        parts: list[ColumnElement[bool]] = [false()]
        for text in self._connection.execute(query).scalars().all():
            distribution = decode.distribution(text)
            here = p.c.distribution_json == text
            if isinstance(distribution, CategoricalDistribution):
                hits = [i for i, choice in enumerate(distribution.choices) if holds(choice, sign, value)]
                parts.append(here & p.c.param_value.in_(hits))
            elif is_number(value) and sign in OPERATORS:
                parts.append(here & OPERATORS[sign](p.c.param_value, float(value)))
        return or_(*parts)

    def _config(self, key: str, sign: str, value: Value) -> ColumnElement[bool]:
        rows = self._connection.execute(select(runs.c.id, runs.c.config))
        hits = [run for run, text in rows if holds(at(json.loads(text), key.split(".")), sign, value)]
        return self._among(runs.c.id, hits)

    def _environment(self, key: str, sign: str, value: Value) -> ColumnElement[bool]:
        query = select(environments.c.environment, environments.c.document)
        hits = [
            environment
            for environment, text in self._connection.execute(query)
            if any(holds_version(found, sign, value) for found in of_environment(json.loads(text), key))
        ]
        found = self._among(runs.c.environment, hits)
        return found | runs.c.environment.is_(None) if (sign, value) == ("=", None) else found

    def _among(self, column: ColumnElement[Any], hits: Iterable[Any]) -> ColumnElement[bool]:
        """A list of any length: engines limit the parameters of one statement."""
        return or_(false(), *(column.in_(chunk) for chunk in _chunks(list(hits))))


_INFINITE = {"INF_POS": float("inf"), "INF_NEG": float("-inf")}
_CHUNK = 10_000


def _chunks(found: list[Any]) -> Iterable[list[Any]]:
    return (found[start : start + _CHUNK] for start in range(0, len(found), _CHUNK))


def last(table: Any, name: str | None, order: ColumnElement[Any]) -> ColumnElement[Any]:
    """The newest value of that name in a table of measurements, of the run at hand."""
    query = select(table.c.value).where(table.c.run_id == runs.c.id, table.c.name == name)
    return query.order_by(order.desc()).limit(1).scalar_subquery()


def _state(sign: str, value: Value) -> ColumnElement[bool]:
    name = str(value).upper()
    if name not in STATES or sign not in ("=", "!="):
        raise QueryError(f"state {sign} {value!r}: ask for = or != one of {', '.join(STATES).lower()}")
    return trials.c.state == name if sign == "=" else trials.c.state != name


def _text(column: ColumnElement[Any], sign: str, value: Value) -> ColumnElement[bool]:
    if value is None:
        return _null(column, sign)
    if sign == "~":
        return func.lower(column).contains(str(value).lower(), autoescape=True)
    found: ColumnElement[bool] = OPERATORS[sign](column, str(value))
    return found


def _number(name: str, column: ColumnElement[Any], sign: str, value: Value) -> ColumnElement[bool]:
    if value is None:
        return _null(column, sign)
    if sign == "~" or not is_number(value):
        raise QueryError(f"{name} {sign} {value!r}: {name} is a number, compare it with one by =, !=, <, <=, >, >=")
    found: ColumnElement[bool] = OPERATORS[sign](column, value)
    return found


def _boolean(name: str, column: ColumnElement[Any], sign: str, value: Value) -> ColumnElement[bool]:
    if value is None:
        return _null(column, sign)
    if not isinstance(value, bool) or sign not in ("=", "!="):
        raise QueryError(f"{name} {sign} {value!r}: ask for {name} = true or {name} = false")
    return column.is_(value) if sign == "=" else column.is_not(value)


def _null(column: ColumnElement[Any], sign: str) -> ColumnElement[bool]:
    if sign not in ("=", "!="):
        raise QueryError(f"{sign} null means nothing: ask for = null or != null")
    return column.is_(None) if sign == "=" else column.is_not(None)


def _one_of(column: ColumnElement[Any], here: ColumnElement[bool], sign: str, value: Value) -> ColumnElement[bool]:
    """Whether a trial has such a thing; `!=` asks that none of them is that one."""
    if value is None:
        there = exists().where(here)
        return ~there if sign == "=" else there
    if sign == "!=":
        return ~exists().where(here, column == str(value))
    return exists().where(here, _text(column, sign, value))

"""The best trials, with how sure one can be of them: intervals where the same parameters ran several times."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from sweeper import text
from sweeper.document.section import Section, Sheet
from sweeper.document.subject import Subject
from sweeper.history import BestRow

MOST_PARAMS = 12
MOST_METRICS = 4
CONFIDENCE = 0.9
REPORTED = "objective"  # the metric under which `sweeper.report` is kept


def best(subject: Subject) -> Section:
    """The table; where nothing has completed, a sentence."""
    study = subject.study
    many = len(study.directions) > 1
    title = "Pareto front" if many else "Best trials"
    if not subject.best:
        return Section(title=title, lead=["No trial has completed yet."], anchor="best-trials")
    repeated = {} if many else _repeated(subject.trials)
    intervals = {row.number: _interval(values) for row in subject.best if (values := repeated.get(_key(row.params)))}
    return Section(
        title=title,
        lead=[_trust(subject, intervals), *_held_out(subject)],
        sheets=[_sheet(subject, intervals)],
        anchor="best-trials",
    )


def _held_out(subject: Subject) -> list[str]:
    """What the best trial gave on test data, and how often test data was looked at."""
    run, looks = subject.best_run, subject.history.test_looks(subject.study.name)
    if run is None or not looks.looks:
        return []
    tests = subject.history.test_metrics(run.run)
    given = ", ".join(f"{name} {text.number(test.value, 4)}" for name, test in tests.items()) or "nothing"
    return [f"On test data, trial {run.number} gave {given} ({text.looks(looks.looks, looks.trials)})."]


def _trust(subject: Subject, intervals: Mapping[int, str]) -> str:
    if len(subject.study.directions) > 1:
        return "No other trial is better than one of these in every objective."
    if intervals:
        return (
            f"Where the same parameters ran several times, their mean stands with its {CONFIDENCE:.0%} interval; "
            "trials whose intervals overlap cannot be told apart."
        )
    return (
        "Each of these parameters ran once, so nothing on record tells luck from merit here: the best of many single "
        "runs looks better than it is. Run the first few again with other seeds before you rely on their order."
    )


def _key(params: Mapping[str, object]) -> str:
    return json.dumps(params, sort_keys=True, default=repr)


def _repeated(trials: Sequence[FrozenTrial]) -> dict[str, list[float]]:
    """The values of parameters that ran to the end more than once."""
    found: dict[str, list[float]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE and math.isfinite(trial.values[0]):
            found.setdefault(_key(trial.params), []).append(trial.values[0])
    return {key: values for key, values in found.items() if len(values) > 1}


def _interval(values: Sequence[float]) -> str:
    """Student's interval of the mean."""
    from scipy.stats import t

    mean, count = statistics.fmean(values), len(values)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * statistics.stdev(values) / math.sqrt(count)
    return f"{text.number(mean, 5)} ± {text.number(reach, 2)} ({count} runs)"


def _sheet(subject: Subject, intervals: Mapping[int, str]) -> Sheet:
    study, rows = subject.study, subject.best
    params = list(dict.fromkeys(name for row in rows for name in row.params))[:MOST_PARAMS]
    metrics = _telling_metrics(study.objectives, rows)
    means = ["mean"] if intervals else []
    columns = ["trial", *study.objectives, *means, *params, *metrics]
    table = []
    for row in rows:
        cells = [str(row.number), *(text.number(value) for value in row.values)]
        cells += [intervals.get(row.number, "ran once")] if means else []
        cells += [text.value(row.params[name], 4) if name in row.params else "–" for name in params]
        cells += [text.number(row.metrics.get(name), 4) for name in metrics]
        table.append(cells)
    numeric = frozenset({"trial", *study.objectives, *metrics, *_numbers(rows, params)})
    return Sheet(columns, table, numeric)


def _numbers(rows: Sequence[BestRow], params: Iterable[str]) -> set[str]:
    return {
        name
        for name in params
        if all(isinstance(row.params.get(name, 0), int | float) and row.params.get(name) is not True for row in rows)
    }


def _telling_metrics(objectives: Sequence[str], rows: Sequence[BestRow]) -> list[str]:
    """Metrics that say something beyond the objectives."""
    names = dict.fromkeys(name for row in rows for name in row.metrics)
    told = [[row.values[i] for row in rows] for i in range(len(objectives))]
    telling = (name for name in names if [row.metrics.get(name) for row in rows] not in told)
    return [name for name in telling if name != REPORTED][:MOST_METRICS]

"""What failed: how often for which reason, and the first error of each kind."""

from __future__ import annotations

from collections import defaultdict

from optuna.trial import TrialState

from sweeper import text
from sweeper.document.section import Section, Sheet
from sweeper.document.subject import Subject

UNKNOWN = "not on record"


def failures(subject: Subject) -> Section | None:
    """None where nothing failed."""
    failed = [trial.number for trial in subject.trials if trial.state == TrialState.FAIL]
    if not failed:
        return None
    kinds = subject.history.of_runs(subject.study.name, "failure")
    errors = subject.history.of_runs(subject.study.name, "error")
    numbers: dict[str, list[int]] = defaultdict(list)
    for number in failed:
        numbers[str(kinds.get(number, UNKNOWN))].append(number)
    ranking = sorted(numbers.items(), key=lambda item: -len(item[1]))
    rows = [(kind, str(len(found)), str(found[0]), str(errors.get(found[0], UNKNOWN))) for kind, found in ranking]
    share = len(failed) / len(subject.trials)
    return Section(
        title="Failures",
        lead=[f"{text.count(len(failed), 'trial')} of {len(subject.trials)} failed ({share:.0%})."],
        sheets=[Sheet(("kind", "trials", "first", "its error"), rows, frozenset({"trials", "first"}))],
    )

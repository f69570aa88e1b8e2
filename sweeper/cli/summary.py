"""What a sweep leaves on the terminal: its best trials, importances, failures, and what to type next."""

from __future__ import annotations

from sweeper import text
from sweeper.cli.best import best_table, nothing_yet
from sweeper.cli.importance import RESAMPLES
from sweeper.cli.importance_page import show as show_importance
from sweeper.cli.option import next_commands, quoted
from sweeper.cli.screen import Screen
from sweeper.cli.study_page import counts
from sweeper.history import History
from sweeper.history.question import question
from sweeper.history.rows import StudyRow
from sweeper.importance import evaluate

_BEST = 5
_ENOUGH = 10  # trials: of fewer a forest knows nothing, and to load what grows one takes longer than a small sweep


def summary(storage: str, study: str) -> None:
    """Print the end of a sweep from what is on record at the URL `storage`.

    Raises StorageError or NotFound where that cannot be read.
    """
    screen = Screen()
    history = History(storage)
    row = history.study(study)
    best = history.best(study, _BEST)
    shown = text.printable(study)
    if best:
        screen.heading(f"best trials of {shown}" if len(row.directions) == 1 else f"Pareto front of {shown}")
        screen.table(best_table(row, best, screen))
    else:
        screen.line()
        screen.line(nothing_yet(row))
    if best:
        _show_importance(history, row, screen)
    screen.line()
    screen.facts([("trials", counts(row, history.failures(study))), ("database", text.printable(history.where))])
    numbers = [trial.number for trial in best[:1]]
    numbers += [trial.number for trial in history.trials(study, states=("FAIL",), newest=1)]
    verbs = [f"best {quoted(study)}", *(f"show {quoted(f'{study}/{number}')}" for number in numbers)]
    screen.line()
    screen.facts(next_commands(verbs, storage, history.where))


def _show_importance(history: History, row: StudyRow, screen: Screen) -> None:
    if (complete := row.counts["COMPLETE"]) < _ENOUGH:
        screen.heading("importance")
        trials = f"{complete} complete trial{' is' if complete == 1 else 's are'}"
        screen.line(f"{trials} too few to tell what mattered; from {_ENOUGH} on it is said here")
        return
    finished = history.finished(row.name)
    for name in row.objectives:
        screen.heading(f"importance for {text.printable(name)}")
        what = question(history, row, name)
        show_importance(evaluate(finished, target=what.target, resamples=RESAMPLES), screen)

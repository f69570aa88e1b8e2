"""Which parameters mattered, for each objective: bars, marginal curves, maps of pairs, parallel coordinates, advice."""

from __future__ import annotations

from collections.abc import Sequence

from sweeper.document.importance_bars import draw_bars, gist
from sweeper.document.marginals import draw_curves, draw_maps, strongest_pairs
from sweeper.document.parallel_figure import draw_parallel
from sweeper.document.section import Drawing, Section
from sweeper.document.subject import Subject
from sweeper.history.question import Question
from sweeper.importance import Advice, Importance, Move, advise, affordable_pairs, evaluate

RESAMPLES = 20  # from which the intervals are taken


def importance(subject: Subject) -> list[Section]:
    """A section for each objective."""
    return [_section(subject, what, i) for i, what in enumerate(subject.questions)] if subject.trials else []


def _section(subject: Subject, what: Question, i: int) -> Section:
    pairs = affordable_pairs(subject.trials)
    found = evaluate(subject.trials, target=what.target, pairs=pairs, resamples=RESAMPLES)
    advice = advise(found, what.direction) if what.direction else []
    several = len(subject.questions) > 1
    return Section(
        title=f"What mattered for {what.name}" if several else "What mattered",
        lead=advised(advice),
        drawings=_drawings(subject, what, found, f"-{i}" if several else ""),
        notes=found.notes,
        anchor=f"importance-{i}",
    )


def advised(advice: Sequence[Advice]) -> list[str]:
    """What to do next time; all that may be frozen in one sentence."""
    sentences = [f"Next time: {piece.sentence}." for piece in advice if piece.move != Move.FREEZE]
    frozen = [f"{piece.parameter} (at {piece.value})" for piece in advice if piece.move == Move.FREEZE]
    if frozen:
        sentences.append(f"Next to nothing depends on these, so freeze them: {', '.join(frozen)}.")
    return sentences


def _drawings(subject: Subject, what: Question, found: Importance, suffix: str) -> list[Drawing]:
    drawings = []
    if found.importances:
        drawings.append(Drawing(f"importance{suffix}", draw_bars(found, target=what.name), gist(found, what.name)))
    if found.forest is not None:
        curves = draw_curves(found, target=what.name, direction=what.direction)
        drawings.append(Drawing(f"marginals{suffix}", curves, "Each parameter alone, all others averaged"))
        if pairs := strongest_pairs(found):
            maps = draw_maps(found, target=what.name, direction=what.direction, pairs=pairs)
            drawings.append(Drawing(f"pairs{suffix}", maps, "The pairs that interact most"))
    order = [*found.importances, *dict.fromkeys(name for trial in subject.trials for name in trial.params)]
    parallel = draw_parallel(subject.trials, what, list(dict.fromkeys(order)))
    if parallel is not None:
        drawings.append(Drawing(f"parallel{suffix}", parallel, "Every trial as a line through its parameters"))
    return drawings

"""How the sweep went: progress, learning curves, the timeline."""

from __future__ import annotations

from sweeper import text
from sweeper.document.curve_figure import draw_metrics, draw_reports
from sweeper.document.progress_figure import draw_progress, gist
from sweeper.document.section import Drawing, Section
from sweeper.document.subject import Subject
from sweeper.document.timeline_figure import draw_timeline
from sweeper.document.timeline_figure import gist as use_of_slots

LEADERS = 5  # trials whose curves are drawn as the best


def progress(subject: Subject) -> Section | None:
    """The optimisation over its trials."""
    if not subject.trials:
        return None
    drawings = [
        Drawing(_named("progress", subject, i), draw_progress(subject.trials, what), gist(subject.trials, what))
        for i, what in enumerate(subject.questions)
    ]
    return Section(title="Progress", drawings=drawings)


def curves(subject: Subject) -> Section | None:
    """Learning curves, as reported to the pruner and as logged."""
    leaders = [row.number for row in subject.best[:LEADERS]]
    drawings = []
    if len(subject.questions) == 1 and (figure := draw_reports(subject.trials, leaders, subject.questions[0])):
        drawings.append(Drawing("curves", figure, "What the best and the pruned trials reported step by step"))
    logged = {row.number: subject.history.curves(row.run) for row in subject.best[:LEADERS] if row.run}
    if figure := draw_metrics(logged):
        numbers = ", ".join(map(str, logged))
        drawings.append(Drawing("metrics", figure, f"What trials {numbers} logged; the best in orange"))
    return Section(title="Learning curves", drawings=drawings) if drawings else None


def timeline(subject: Subject) -> Section | None:
    """Who ran when and where, and how long slots stood idle."""
    figure = draw_timeline(subject.sessions)
    if figure is None or not any(lane.busy_s for session in subject.sessions for lane in session.lanes):
        return None  # trials that were brought in from elsewhere take no time
    rows = "A row is a slot as far as times tell it: trials that follow one another without overlap."
    sees_gpus = any(span.gpus for span in subject.spans)
    if sees_gpus:
        where = "Rows carry the node and the GPU."
    elif subject.nodes:
        where = "Rows carry the node; no GPU is on record for these runs."
    else:
        where = "On which node or GPU trials ran is not on record."
    idle = text.duration(sum(session.idle_s for session in subject.sessions))
    return Section(
        title="Timeline",
        lead=[f"{rows} {where} Idle {'GPUs' if sees_gpus else 'slots'} cost {idle} in all."],
        drawings=[Drawing("timeline", figure, use_of_slots(subject.sessions))],
    )


def _named(name: str, subject: Subject, i: int) -> str:
    return name if len(subject.questions) == 1 else f"{name}-{i}"

"""The report of a study: one HTML file that needs nothing else, to read, to send and to print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from sweeper import text
from sweeper.document import ink
from sweeper.document.best_section import best
from sweeper.document.course_section import curves, progress, timeline
from sweeper.document.difference_section import against_default, among_best
from sweeper.document.failure_section import failures
from sweeper.document.importance_section import importance
from sweeper.document.origin_section import goal, origin
from sweeper.document.rerun_section import rerun
from sweeper.document.section import Drawing, Section
from sweeper.document.subject import Subject
from sweeper.document.vector import inline


def compose(subject: Subject) -> list[Section]:
    """The report's sections, each only where its facts are on record."""
    found = [
        best(subject),
        origin(subject),
        progress(subject),
        *importance(subject),
        curves(subject),
        timeline(subject),
        failures(subject),
        against_default(subject),
        among_best(subject),
        rerun(subject),
    ]
    return [section for section in found if section is not None]


def render(subject: Subject, sections: Sequence[Section]) -> str:
    """The page as HTML. Whatever was on record is escaped; figures are SVG within the page."""
    environment = Environment(
        loader=PackageLoader("sweeper.document", "template"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = text.readable
    environment.filters["inline"] = inline
    return environment.get_template("report.html").render(
        title=subject.study.name,
        goal=goal(subject.study),
        keys=_keys(subject),
        sections=sections,
        written=text.moment(subject.now),
    )


def write_figures(sections: Sequence[Section], folder: Path, form: str) -> list[Path]:
    """Write every figure of the sections into the folder, as `pdf` or `png`; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for drawing in _drawings(sections):
        path = folder / f"{drawing.name}.{form}"
        ink.save(drawing.figure, path)
        paths.append(path)
    return paths


def _drawings(sections: Sequence[Section]) -> list[Drawing]:
    return [drawing for section in sections for drawing in section.drawings]


def _keys(subject: Subject) -> list[tuple[str, str]]:
    """The few numbers that everybody looks for first."""
    study = subject.study
    keys = [("finished trials", f"{study.finished}")]
    if study.best_value is not None:
        keys.insert(0, (f"best {study.objectives[0]}", text.number(study.best_value, 5)))
        keys.insert(1, ("in trial", str(study.best_number)))
    if subject.sessions:
        keys.append(("at work", text.duration(sum(session.end - session.start for session in subject.sessions))))
    if study.counts["FAIL"]:
        keys.append(("failed", str(study.counts["FAIL"])))
    if study.counts["RUNNING"]:
        keys.append(("still running", str(study.counts["RUNNING"])))
    return keys

"""What was swept: goal, space, who launched it, when, on which machines, with which code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sweeper import text
from sweeper.document.section import Section, Sheet
from sweeper.document.subject import Subject
from sweeper.history import StudyRow
from sweeper.history.question import gpu_names

UNKNOWN = "sweeper did not launch this study: by whom, and with which code, is not on record."
MOST_NAMED = 8  # commands, nodes


def origin(subject: Subject) -> Section:
    """Always there: a study at least has a goal."""
    study = subject.study
    return Section(
        title="What was swept",
        lead=[] if subject.sweeps else [UNKNOWN],
        facts=[
            ("goal", goal(study)),
            ("trials", counts(study, subject.history.failures(study.name))),
            ("when", _when(subject)),
            *_launch_facts(subject),
            *_machine_facts(subject),
            *_code_facts(subject),
            *_environment_facts(subject),
            ("database", subject.history.where),
        ],
        sheets=_space(subject),
        commands=[("Launched with", command) for command in _latest(sweep.command for sweep in subject.sweeps)],
    )


def goal(study: StudyRow) -> str:
    """`maximize val/accuracy, minimize latency_ms`."""
    pairs = zip(study.directions, study.objectives, strict=False)
    return ", ".join(f"{direction.replace('_', ' ')} {name}" for direction, name in pairs)


def counts(study: StudyRow, failures: dict[str, int]) -> str:
    """`20: 16 complete, 1 pruned, 3 failed (2 error, 1 oom)`."""
    words = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
    parts = [f"{count} {words[state]}" for state, count in study.counts.items() if count]
    if failures:
        kinds = ", ".join(f"{count} {kind}" for kind, count in failures.items())
        parts = [f"{part} ({kinds})" if part.endswith("failed") else part for part in parts]
    return f"{study.total}: {', '.join(parts)}" if parts else "none yet"


def _when(subject: Subject) -> str:
    study = subject.study
    if study.started_at is None or study.last_activity_at is None:
        return "not begun"
    worked = sum(session.end - session.start for session in subject.sessions)
    busy = sum(lane.busy_s for session in subject.sessions for lane in session.lanes)
    spent = f"; {text.duration(worked)} of work, {text.duration(busy)} of trials" if subject.sessions else ""
    return f"{text.moment(study.started_at)} to {text.moment(study.last_activity_at)}{spent}"


def _launch_facts(subject: Subject) -> Iterable[tuple[str, str]]:
    if not subject.sweeps:
        return
    yield "by", ", ".join(_counted(f"{sweep.user}@{sweep.host}" for sweep in subject.sweeps))
    outcomes = _counted(sweep.outcome or "not ended" for sweep in subject.sweeps)
    yield "launches", f"{len(subject.sweeps)}: {', '.join(outcomes)}"
    yield "sampler", ", ".join(dict.fromkeys(sweep.sampler for sweep in subject.sweeps))
    yield "pruner", ", ".join(dict.fromkeys(sweep.pruner for sweep in subject.sweeps))


def _machine_facts(subject: Subject) -> Iterable[tuple[str, str]]:
    if subject.nodes:
        found = Counter(subject.nodes.values()).most_common(MOST_NAMED)
        yield "machines", ", ".join(f"{node} ({text.count(count, 'trial')})" for node, count in found)


def _code_facts(subject: Subject) -> Iterable[tuple[str, str]]:
    history = subject.history
    for code, count in Counter(history.of_runs(subject.study.name, "code").values()).most_common(MOST_NAMED):
        row = history.code(str(code))
        if row.commit is None:
            state = f"kept whole, outside any repository ({text.count(len(row.document.get('files') or ()), 'file')})"
        else:
            branch = f" of {row.branch}" if row.branch else ""
            state = f"commit {row.commit[:12]}{branch}{' with changes not committed' if row.is_dirty else ''}"
        yield "code", f"{state}, {text.count(count, 'trial')}" + (f", from {row.remote}" if row.remote else "")
    drifted = subject.history.of_runs(subject.study.name, "drift")
    changed = sorted({file for files in drifted.values() for file in json.loads(str(files))})
    if changed:
        yield "code drift", f"files that changed while the sweep ran: {', '.join(changed[:MOST_NAMED])}"


def _environment_facts(subject: Subject) -> Iterable[tuple[str, str]]:
    history = subject.history
    found = Counter(history.of_runs(subject.study.name, "environment").values())
    for name, count in found.most_common(MOST_NAMED):
        yield "environment", f"{_described(history.environment(str(name)).document)}, {text.count(count, 'trial')}"
    seen = Counter(gpu_names(history, subject.study.name).values())
    if found:
        named = ", ".join(f"{gpus} ({text.count(count, 'trial')})" for gpus, count in seen.most_common(MOST_NAMED))
        yield "GPUs", named or "none was visible to these trials"


def _described(document: Mapping[str, Any]) -> str:
    """`Python 3.11.7, torch 2.9.0, Debian GNU/Linux 12 (bookworm), 2 × AMD EPYC`, as far as it could be asked."""
    python, system, cpu = (_answered(document.get(name)) for name in ("python", "system", "cpu"))
    frameworks = _answered(document.get("frameworks"))
    words = [f"Python {python['version']}"] if "version" in python else []
    words += [f"{name} {_answered(found).get('version', '')}".strip() for name, found in frameworks.items()]
    words += [str(system["distribution"])] if "distribution" in system else []
    words += [f"{cpu.get('count', '?')} × {cpu['model']}"] if "model" in cpu else []
    return ", ".join(words) or "on record"


def _answered(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _counted(names: Iterable[str]) -> list[str]:
    found = Counter(names).most_common(MOST_NAMED)
    return [name if count == 1 else f"{name} ({count} times)" for name, count in found]


def _latest(commands: Iterable[str]) -> list[str]:
    """The commands, each once, the last ones where there are many."""
    return list(dict.fromkeys(commands))[-MOST_NAMED:]


def _space(subject: Subject) -> list[Sheet]:
    space = subject.history.space(subject.study.name)
    if not space:
        return []
    rows = [(name, text.domain(distribution)) for name, distribution in space.items()]
    return [Sheet(columns=("parameter", "range"), rows=rows, caption="The search space")]

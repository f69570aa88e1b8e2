"""What `sweeper plan` prints: one page, or the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sweeper import machine, text
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table
from sweeper.launch.room import needs

if TYPE_CHECKING:
    from sweeper.plan_request import PlanRequest
    from sweeper.planning import Planned, PlannedBranch, Runs

_COLUMNS = (
    Column("branch"),
    Column("params", is_number=True, gives_way=1),
    Column("holds", gives_way=3),
    Column("a run took", is_number=True),
    Column("runs", is_number=True, gives_way=2),
)
_SHOWN_NODES = 8


def show(planned: Planned, request: PlanRequest) -> None:
    """Print the plan in the form that was asked for."""
    if request.is_json:
        from sweeper.planning import plain

        machine.print_json(plain(planned))
        return
    screen = Screen()
    screen.line(f"{text.printable(planned.study)}: {_headline(planned)}", "bold")
    screen.facts(list(_facts(planned)))
    if planned.n_branches > 1:
        screen.heading(_branches_title(planned))
        screen.table(Table(_COLUMNS, tuple(_row(branch) for branch in planned.branches)))
    screen.line()
    screen.line("nothing was started and nothing written" + (", but for the canary" if request.has_canary else ""))


def _headline(planned: Planned) -> str:
    if not planned.left:
        return "nothing to do, all trials have ended"
    if planned.forecast is None:
        return f"{text.count(planned.left, 'trial')}, for a time that is not known yet"
    words = f"{text.count(planned.left, 'trial')} in about {text.duration(planned.forecast.wall_s)}"
    return words + (f", {planned.gpu_hours:.3g} GPU-hours" if planned.gpus else "")


def _facts(planned: Planned) -> Iterator[tuple[str, str]]:
    yield "trials", _trials(planned)
    yield "record", text.printable(planned.storage)
    yield "space", _space(planned)
    yield "each trial", " or ".join(dict.fromkeys(needs(branch.resources) for branch in planned.branches))
    yield "where", _where(planned)
    yield from (("", line) for line in _nodes(planned))
    yield "at once", text.count(planned.prospect.slots, "trial")
    if planned.forecast is None:
        yield "time", "no run is on record to tell it from; --canary runs one trial"
    else:
        yield from _times(planned)
    yield from (("limit", limit) for limit in _limits(planned))
    if planned.is_being_swept:
        yield "but", f"{text.printable(planned.study)} is being swept: a launch needs --join"


def _trials(planned: Planned) -> str:
    counts = [f"{count} {state.lower()}" for state, count in planned.counts.items() if count]
    words = f"{planned.left} of {planned.n_trials}"
    return f"{words} are left: {', '.join(counts)}" if counts else f"{words}; the study is new"


def _space(planned: Planned) -> str:
    words = [text.count(planned.params, "parameter")]
    if planned.n_branches > 1:
        words.append(text.count(planned.n_branches, "branch", "branches"))
    if planned.points is not None:
        words.append(text.count(planned.points, "point"))
    pruner = "" if planned.pruner == "NopPruner" else f", {planned.pruner}"
    return f"{', '.join(words)}; {', '.join(planned.directions)} by {planned.sampler}{pruner}"


def _where(planned: Planned) -> str:
    prospect = planned.prospect
    if not prospect.nodes:
        return prospect.where
    cpus, gpus = sum(node.cpus for node in prospect.nodes), sum(node.gpus for node in prospect.nodes)
    busy = cpus - prospect.cpus_free > 0 or gpus - prospect.gpus_free > 0
    free = f"; free now: {prospect.cpus_free:g} CPU, {prospect.gpus_free:g} GPU" if busy else ""
    return f"{text.printable(prospect.where)}: {cpus:g} CPU, {gpus:g} GPU{free}"


def _nodes(planned: Planned) -> Iterator[str]:
    nodes = planned.prospect.nodes
    if len(nodes) > 1:
        for node in nodes[:_SHOWN_NODES]:
            yield f"{text.printable(node.name)}: {node.cpus:g} CPU, {node.gpus:g} GPU"
        if len(nodes) > _SHOWN_NODES:
            yield f"and {text.count(len(nodes) - _SHOWN_NODES, 'more node')}"


def _times(planned: Planned) -> Iterator[tuple[str, str]]:
    foretold, runs = planned.forecast, planned.runs
    assert foretold is not None and runs is not None
    spread = f" ({text.duration(foretold.wall_low_s)} to {text.duration(foretold.wall_high_s)} in 8 of 10 draws)"
    yield "wall time", text.duration(foretold.wall_s) + (spread if len(runs.took_s) > 1 else "")
    if planned.gpus:
        yield "GPU-hours", f"{planned.gpu_hours:.3g}"
    yield "CPU time", text.duration(foretold.held_s * planned.cpus)
    each = f"{_mean(runs)} each on average"
    yield "rests on", f"{text.count(len(runs.took_s), 'finished trial')} of {text.printable(runs.study)}, {each}"


def _limits(planned: Planned) -> Iterator[str]:
    budget, foretold = planned.budget, planned.forecast
    if budget.wall_time_s is not None:
        ends = foretold is not None and foretold.wall_s > budget.wall_time_s
        yield f"wall time of {text.duration(budget.wall_time_s)}" + (", which ends it before its last trial" * ends)
    if budget.plateau_trials is not None:
        yield f"stops when {text.count(budget.plateau_trials, 'trial')} in a row are no better"


def _branches_title(planned: Planned) -> str:
    shown = len(planned.branches)
    if shown == planned.n_branches:
        return f"{shown} branches; one trial of each was composed"
    return f"the first {shown} of {planned.n_branches:,} branches; one trial of each of these was composed"


def _row(branch: PlannedBranch) -> tuple[str, ...]:
    return (
        " ".join(f"{text.printable(name)}={text.value(value)}" for name, value in branch.choices.items()),
        str(branch.params),
        needs(branch.resources),
        MISSING if branch.runs is None else _mean(branch.runs),
        "0" if branch.runs is None else str(len(branch.runs.took_s)),
    )


def _mean(runs: Runs) -> str:
    return text.duration(sum(runs.took_s) / len(runs.took_s))

"""What `sweeper reproduce` prints at its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sweeper.cli.option import next_commands, quoted
from sweeper.cli.screen import Screen
from sweeper.history.connection import shown
from sweeper.text import count, printable

if TYPE_CHECKING:
    from sweeper.reproduction.request import Request
    from sweeper.reproduction.rerun import Outcome

_DIVERGED, _INCOMPARABLE = 6, 7
_SHOWN = 12  # lines of one kind


def show(outcome: Outcome, request: Request) -> int:
    """Print the verdict and what it rests on; returns the exit status that says the same."""
    if request.is_json:
        _show_json(outcome)
    else:
        _show_text(outcome, request)
    if outcome.verdict.holds:
        return 0
    return _INCOMPARABLE if outcome.verdict.word == "not comparable" else _DIVERGED


def _show_text(outcome: Outcome, request: Request) -> None:
    screen, verdict = Screen(), outcome.verdict
    screen.line(f"{printable(outcome.repeated)} run again as {printable(outcome.name)}: {verdict}")
    facts = []
    if verdict.metric is not None:
        facts.append(("first apart", f"{printable(verdict.metric)} at step {verdict.step}"))
    if verdict.largest is not None:
        facts.append(("largest difference", f"{verdict.largest:.3g}, relative"))
    facts += [("because", printable(reason)) for reason in verdict.reasons]
    for title, lines in (("environment", outcome.environment), ("config", outcome.config)):
        facts.append((title, printable(lines[0]) if lines else "as recorded"))
        facts += [("", printable(line)) for line in lines[1:_SHOWN]]
        if len(lines) > _SHOWN:
            facts.append(("", f"and {count(len(lines) - _SHOWN, 'more difference')}"))
    compare = f"compare {quoted(outcome.repeated)} {quoted(outcome.name)}"
    screen.facts([*facts, *next_commands([compare], request.storage_as_given, shown(request.storage))])


def _show_json(outcome: Outcome) -> None:
    found = {"trial": outcome.repeated, "reproduced_as": outcome.name, "run": outcome.run, **outcome.plain()}
    print(json.dumps(found, indent=2, default=str))

"""What the best trial changed: its config beside the app's own defaults."""

from __future__ import annotations

from collections.abc import Mapping

from sweeper import text
from sweeper.document.section import Section, Sheet
from sweeper.document.subject import Subject

MOST_KEYS = 40
ABSENT = "–"


def against_default(subject: Subject) -> Section | None:
    """None where the run of the best trial or the defaults of its sweep are not on record."""
    run = subject.best_run
    defaults = next((sweep.defaults for sweep in subject.sweeps if run and sweep.sweep == run.sweep), {})
    if run is None or not defaults:
        return None
    here, there = flat(run.config), flat(defaults)
    keys = [key for key in dict.fromkeys([*there, *here]) if here.get(key) != there.get(key)]
    rows = [(key, there.get(key, ABSENT), here.get(key, ABSENT)) for key in keys[:MOST_KEYS]]
    left_out = [f"{text.count(len(keys) - MOST_KEYS, 'more key')} differ."] if len(keys) > MOST_KEYS else []
    title = "Best against the default"
    if not rows:
        return Section(title=title, lead=[f"Trial {run.number} has the app's own defaults."])
    lead = f"What trial {run.number} sets otherwise than the app does by itself; all other keys are equal."
    return Section(
        title=title, lead=[lead], sheets=[Sheet(("key", "default", f"trial {run.number}"), rows)], notes=left_out
    )


def flat(config: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Dotted key → value as text."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = text.value(value)
    return found

"""Reads what people wrote beside trials: tags of ours, notes of optuna-dashboard's."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection, select

from sweeper.history.lookup import Study, has_table
from sweeper.history.schema import study_system_attributes, trials
from sweeper.record.tables import STUDY_ITSELF, tags


def tags_in(connection: Connection, study: str) -> Mapping[int | None, tuple[str, ...]]:
    """The tags of a study's trials by number, and under None those of the study itself; in alphabetical order."""
    if not has_table(connection, tags):
        return {}
    found: dict[int | None, tuple[str, ...]] = defaultdict(tuple)
    query = select(tags.c.number, tags.c.tag).where(tags.c.study == study).order_by(tags.c.number, tags.c.tag)
    for number, tag in connection.execute(query):
        found[None if number == STUDY_ITSELF else number] += (tag,)
    return dict(found)


def note(connection: Connection, study: Study, number: int | None) -> str:
    """The note of a study, or of one of its trials; empty where there is none."""
    owner = "dashboard:"
    if number is not None:
        query = select(trials.c.trial_id).where(trials.c.study_id == study.study_id, trials.c.number == number)
        owner += f"{connection.execute(query).scalar()}:"
    t = study_system_attributes
    prefix = f"{owner}note_str:"
    query = select(t.c.key, t.c.value_json).where(t.c.study_id == study.study_id, t.c.key.startswith(prefix))
    pieces = {int(key.removeprefix(prefix)): json.loads(text) for key, text in connection.execute(query)}
    return "".join(str(pieces[i]) for i in sorted(pieces))

"""What people write beside trials: tags in our own table, notes where optuna-dashboard keeps and shows its own."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from sweeper.record.batch import Batch, Blind
from sweeper.record.storage import Storage
from sweeper.record.tables import STUDY_ITSELF, tags

_CHUNK = 2045  # characters of a note in one attribute, as optuna-dashboard cuts them


@dataclass(frozen=True, slots=True)
class Tagged(Blind):
    """Tags of a trial, or of a study where `number` is None; one that is there already stays as it is."""

    study: str
    number: int | None
    tags: Sequence[str]
    user: str

    def apply(self, batch: Batch) -> None:
        number = STUDY_ITSELF if self.number is None else self.number
        here = (tags.c.study == self.study) & (tags.c.number == number)
        known = set(batch.connection.execute(select(tags.c.tag).where(here)).scalars())
        row = {"study": self.study, "number": number, "user": self.user, "time": time.time()}
        new = [row | {"tag": tag} for tag in dict.fromkeys(self.tags) if tag not in known]
        if new:
            batch.connection.execute(insert(tags), new)


@dataclass(frozen=True, slots=True)
class Untagged(Blind):
    """Tags taken away again."""

    study: str
    number: int | None
    tags: Sequence[str]

    def apply(self, batch: Batch) -> None:
        number = STUDY_ITSELF if self.number is None else self.number
        here = (tags.c.study == self.study) & (tags.c.number == number)
        batch.connection.execute(delete(tags).where(here, tags.c.tag.in_(list(self.tags))))


def tag(storage: Storage, study: str, number: int | None, names: Sequence[str], user: str) -> None:
    """Add tags to a trial, or to a study where there is no number; durable when it returns."""
    storage.writer.perform(Tagged(study, number, tuple(names), user))


def untag(storage: Storage, study: str, number: int | None, names: Sequence[str]) -> None:
    """Take tags away; one that is not there is no error."""
    storage.writer.perform(Untagged(study, number, tuple(names)))


def note(storage: Storage, study: str, number: int | None, body: str) -> None:
    """Write the note (Markdown) of a trial or study, in place of the one that is there.

    It is a system attribute of the study, as optuna_dashboard.save_note writes it, so that both show the same note.
    """
    study_id = storage.get_study_id_from_name(study)
    owner = "dashboard:"
    if number is not None:
        owner += f"{storage.get_trial_id_from_study_id_trial_number(study_id, number)}:"
    known = storage.get_study_system_attrs(study_id)
    storage.set_study_system_attr(study_id, f"{owner}note_ver", int(known.get(f"{owner}note_ver", 0)) + 1)
    pieces = [body[i * _CHUNK : (i + 1) * _CHUNK] for i in range(math.ceil(len(body) / _CHUNK))]
    before = sum(key.startswith(f"{owner}note_str:") for key in known)
    for i in range(max(len(pieces), before)):
        storage.set_study_system_attr(study_id, f"{owner}note_str:{i}", pieces[i] if i < len(pieces) else "")

"""What runs keep, read and look at, in the database; and what Optuna is shown of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, download_artifact, get_all_artifact_meta

from sweeper.provenance.artifact import keep
from sweeper.provenance.store import FolderStore
from sweeper.record import Record, Storage
from sweeper.record.tables import OF_RUNS, artifacts, data, metadata, test_metrics
from sweeper.run.collect import saved
from sweeper.trial import Event, Looked, Saved, Used
from tests.record.rows import rows
from tests.record.samples import LIFE, make_spec, make_sweep

RUN = "a" * 32
DIGEST = "0" * 64


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    storage = Storage(database_url)
    yield storage
    storage.close()


@pytest.fixture
def record(storage: Storage) -> Record:
    study = optuna.create_study(study_name="digits", storage=storage)
    study.ask()
    record = Record(storage)
    record.sweep_opened(make_sweep(artifacts="/data/artifacts")).result()
    record.run_opened("s" * 32, make_spec()).result()
    return record


EVENTS: tuple[Event, ...] = (
    Saved(RUN, 1, 11.0, "model.pt", "model", 7, DIGEST),
    Saved(RUN, 2, 12.0, "lost\0.pt", "model", 7, None, "no space left on device"),
    Used(RUN, 3, 13.0, "train", "/data/train", 2, 10, DIGEST, True),
    Looked(RUN, 4, 14.0, None, {"accuracy": 0.9, "loss": math.nan}),
    Looked(RUN, 5, 15.0, 3, {"accuracy": 0.8}),
)


def test_events_leave_rows_and_twice_the_same(storage: Storage, record: Record) -> None:
    for _ in range(2):
        record.heard(EVENTS).result()
        kept = [
            (row["name"], row["kind"], row["size"], row["sha256"], row["error"]) for row in rows(storage, artifacts)
        ]
        assert sorted(kept) == [
            ("lost\\x00.pt", "model", 7, None, "no space left on device"),
            ("model.pt", "model", 7, DIGEST, None),
        ]
        (used,) = rows(storage, data)
        assert (used["name"], used["url"], used["files"], used["manifest"]) == ("train", "/data/train", 2, True)
        looks = [(row["seq"], row["name"], row["step"], row["value"]) for row in rows(storage, test_metrics)]
        assert looks == [(4, "accuracy", None, 0.9), (4, "loss", None, None), (5, "accuracy", 3, 0.8)]


def test_of_two_files_of_one_name_the_later_is_kept(storage: Storage, record: Record) -> None:
    later, earlier = (Saved(RUN, seq, 1.0, "model.pt", "model", seq, str(seq) * 64) for seq in (9, 1))
    record.heard([later]).result()
    record.heard([earlier]).result()
    assert [row["sha256"] for row in rows(storage, artifacts)] == ["9" * 64]


def test_a_deleted_study_takes_what_its_runs_kept_along(storage: Storage, record: Record) -> None:
    record.heard([*LIFE, *EVENTS]).result()
    optuna.delete_study(study_name="digits", storage=storage)
    assert {table.name: rows(storage, table) for table in OF_RUNS} == {table.name: [] for table in OF_RUNS}


def test_optunas_own_artifact_api_finds_the_file(
    storage: Storage, record: Record, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    store = FolderStore(tmp_path / "store")
    names = ("best.pt", "last.pt", "curve.png")
    kept = [keep(tmp_path / "weights.bin", name, "model", store, RUN) for name in names]
    kept.append(keep(tmp_path / "weights.bin", "trial.log", "log", store, RUN))
    record.heard([saved(RUN, seq, one) for seq, one in enumerate(kept)]).result()

    theirs = optuna.storages.RDBStorage(database_url.replace("postgresql:", "postgresql+psycopg:"))
    (trial,) = optuna.load_study(study_name="digits", storage=theirs).trials
    found = get_all_artifact_meta(trial, storage=theirs)
    theirs.engine.dispose()
    assert sorted(meta.filename for meta in found) == sorted(names)
    for meta in found:
        target = tmp_path / f"got-{meta.filename}"
        where = FileSystemArtifactStore(tmp_path / "store" / "optuna")
        download_artifact(artifact_store=where, artifact_id=meta.artifact_id, file_path=str(target))
        assert target.read_bytes() == b"weights"


def test_a_file_of_a_trial_that_optuna_has_deleted_is_kept_all_the_same(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec(run="b" * 32, number=77)).result()
    record.heard([Saved("b" * 32, 1, 1.0, "m.pt", "model", 1, DIGEST, shown_as=f"{DIGEST}-1")]).result()
    assert [row["name"] for row in rows(storage, artifacts)] == ["m.pt"]


def test_every_column_that_holds_a_digest_says_whether_it_names_blobs() -> None:
    named = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if getattr(column.type, "length", None) == 64 and not column.info.get("blobs")
    }
    assert named <= {
        "sweeper_sweeps.code",
        "sweeper_runs.code",
        "sweeper_runs.environment",
        "sweeper_environments.environment",
        "sweeper_code.code",
        "sweeper_code.commit",
    }, "garbage is what no column marked with BLOBS points to: mark it, or name it here"

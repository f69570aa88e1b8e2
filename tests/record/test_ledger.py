"""What a driver puts on record beside Optuna's tables."""

from __future__ import annotations

import dataclasses
import json
import math
import uuid
from collections.abc import Iterator

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from sweeper.errors import NotFound, StorageError
from sweeper.record import Code, Record, Storage
from sweeper.record.tables import code, environments, metrics, runs, sweeps
from sweeper.trial import Captured, Ended, Failure, Measured, Metered, Started
from tests.events import together
from tests.record.rows import rows
from tests.record.samples import LIFE, make_spec, make_sweep


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    storage = Storage(database_url)
    yield storage
    storage.close()


@pytest.fixture
def record(storage: Storage) -> Record:
    return Record(storage)


def test_a_sweep_and_its_outcome(storage: Storage, record: Record) -> None:
    record.sweep_opened(make_sweep()).result()
    record.sweep_ended("s" * 32, "finished").result()
    (row,) = rows(storage, sweeps)
    assert (row["study"], row["outcome"], row["user"]) == ("digits", "finished", "ada")
    assert row["ended_at"] >= row["started_at"]


def test_a_run_from_start_to_end(storage: Storage, record: Record) -> None:
    spec = make_spec(config={"b": math.nan, "a": {2: "x", "y": [1]}})
    record.run_opened("s" * 32, spec).result()
    (row,) = rows(storage, runs)
    assert (row["state"], row["seed"], row["started_at"]) == ("RUNNING", 7, None)
    config = json.loads(row["config"])
    assert list(config) == ["a", "b"]
    assert config["a"] == {"2": "x", "y": [1]} and math.isnan(config["b"])
    record.heard(LIFE).result()
    (row,) = rows(storage, runs)
    assert (row["state"], row["failure"], row["node"], row["pid"]) == ("COMPLETE", None, "node", 99)
    assert (row["started_at"], row["ended_at"], row["runtime_s"], row["peak_rss_bytes"]) == (10.0, 15.0, 5.0, 2**33)
    assert [(row["name"], row["step"], row["value"], row["seq"]) for row in rows(storage, metrics)] == [
        ("acc", 0, None, 1),
        ("f1", 2**40, 1.0, 5),
        ("loss", 0, 0.4, 3),
        ("loss", 2**40, 0.3, 4),
        ("objective", 0, math.inf, 2),
        ("system/gpu_utilization", 4, 0.5, 0),
    ]


def test_what_a_run_used_of_its_cards_is_on_record_while_it_runs_and_never_falls(
    storage: Storage, record: Record
) -> None:
    def used() -> tuple[object, ...]:
        (row,) = rows(storage, runs)
        return tuple(row[name] for name in ("peak_gpu_memory_bytes", "gpu_memory_basis", "gpu_seconds", "energy_j"))

    metered = [Metered("a" * 32, seq, 0.0, seq, {}, 100 * seq, "cards", 2.0 * seq, 9.0 * seq) for seq in range(3)]
    record.run_opened("s" * 32, make_spec()).result()
    record.heard(metered[:2]).result()
    assert used() == (100, "cards", 2.0, 9.0)
    record.heard([metered[2], metered[0]]).result()
    assert used() == (200, "cards", 4.0, 18.0)
    end = Ended("a" * 32, 5, 15.0, TrialState.COMPLETE, (0.3,))
    record.heard([end]).result()  # its own word, by a process that does not measure
    assert used() == (200, "cards", 4.0, 18.0)
    told = {"peak_gpu_memory_bytes": 300, "gpu_memory_basis": "processes", "gpu_seconds": 5.0}
    record.heard([dataclasses.replace(end, seq=6, **told), *metered]).result()
    assert used() == (300, "processes", 5.0, None)


def test_hearing_it_again_changes_nothing(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec()).result()
    record.heard(LIFE).result()
    before = rows(storage, runs), rows(storage, metrics)
    record.heard(LIFE[:4]).result()
    record.heard(LIFE).result()
    assert (rows(storage, runs), rows(storage, metrics)) == before


def capture(seq: int, moment: str, **changes: object) -> Captured:
    values = {"environment": "e" * 64, "document": {"cpu": "one"}, "determinism": {"seeds": seq}, "gpus": ("GPU-1",)}
    values |= {"drift": (), "gaps": ("seed: unknown",), "completeness": 0.5} | changes
    return Captured("a" * 32, seq, 1.0 + seq, moment, **values)  # type: ignore[arg-type]


def test_what_a_run_was_made_of(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec(code="c" * 64)).result()
    start = capture(1, "start")
    end = capture(2, "end", document=None, drift=("lib.py: has changed",), completeness=1.0, gaps=())
    record.heard([start, end]).result()
    record.heard([start]).result()
    (row,) = rows(storage, runs)
    assert (row["environment"], row["code"], row["gpus"]) == ("e" * 64, "c" * 64, '["GPU-1"]')
    assert (row["determinism"], row["determinism_at_end"]) == ('{"seeds": 1}', '{"seeds": 2}')
    assert (row["drift"], row["gaps"], row["completeness"]) == ('["lib.py: has changed"]', "[]", 1.0)
    (environment,) = rows(storage, environments)
    assert (environment["document"], environment["captured_at"]) == ('{"cpu": "one"}', 2.0)


def test_one_row_for_one_environment_and_one_state_of_the_code(storage: Storage, record: Record) -> None:
    snapshot = Code("c" * 64, "1" * 40, "main", "https://host/code", True, '{"files": []}')
    for number in range(3):
        record.code_taken(snapshot).result()
        run = f"{number:032d}"
        record.run_opened("s" * 32, make_spec(number=number, run=run, code="c" * 64)).result()
        record.heard([dataclasses.replace(capture(1, "start"), run=run)]).result()
    assert len(rows(storage, environments)) == 1
    (row,) = rows(storage, code)
    assert (row["commit"], row["is_dirty"], row["document"]) == ("1" * 40, True, '{"files": []}')


def test_the_verdict_on_a_run_that_repeats_another(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec(reproduces="b" * 32)).result()
    record.judged("a" * 32, '{"verdict": "identical"}').result()
    (row,) = rows(storage, runs)
    assert (row["reproduces"], row["verdict"]) == ("b" * 32, '{"verdict": "identical"}')


POINTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.floats(allow_nan=False)), min_size=1, max_size=12
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=POINTS, data=st.data())
def test_the_later_of_two_points_wins_in_whatever_order_they_are_heard(
    sqlite_url: str, points: list[tuple[str, int, float]], data: st.DataObject
) -> None:
    run = uuid.uuid4().hex
    events = [Measured(run, seq, 0.0, step, {name: value}) for seq, (name, step, value) in enumerate(points)]
    shuffled = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(events)))
    storage = Storage(sqlite_url)
    record = Record(storage)
    record.run_opened("s" * 32, make_spec(run=run, study=run)).result()
    record.heard(shuffled[:cut]).result()
    record.heard(shuffled[cut:]).result()
    run_id = next(row["id"] for row in rows(storage, runs) if row["run"] == run)
    stored = {(row["name"], row["step"]): row["value"] for row in rows(storage, metrics) if row["run_id"] == run_id}
    storage.close()
    assert stored == {(name, step): value for name, step, value in points}


def test_events_of_an_unknown_run_fail_alone(storage: Storage, record: Record) -> None:
    opened = record.run_opened("s" * 32, make_spec())
    unknown = record.heard([Started("b" * 32, 0, 1.0, "node", 1)])
    heard = record.heard(LIFE)
    with pytest.raises(NotFound, match="b" * 32):
        unknown.result()
    opened.result()
    heard.result()
    assert rows(storage, runs)[0]["state"] == "COMPLETE"


def test_texts_that_no_engine_stores_are_kept_readable(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec()).result()
    end = Ended("a" * 32, 1, 2.0, TrialState.FAIL, failure=Failure.ERROR, error="a\0b\udc80c", traceback="t\0")
    record.heard([Measured("a" * 32, 0, 1.0, 2**70, {"n\0" * 600: 1.0}), end]).result()
    (row,) = rows(storage, runs)
    assert (row["failure"], row["error"], row["traceback"]) == ("error", "a\\x00b\\udc80c", "t\\x00")
    (point,) = rows(storage, metrics)
    assert (point["step"], len(point["name"])) == (2**63 - 1, 512)


def test_names_of_every_kind_come_back(storage: Storage, record: Record) -> None:
    names = ["tab\there", "line\nbreak", "back\\slash", "\\N", "\\.", "comma, quote\" '", "é ∞ 🙂", "\r", " "]
    record.run_opened("s" * 32, make_spec()).result()
    record.heard([Measured("a" * 32, 0, 1.0, 0, dict.fromkeys(names, 0.5))]).result()
    assert {row["name"] for row in rows(storage, metrics)} == set(names)


def test_points_that_came_together_are_stored_as_they_were_logged(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec()).result()
    events = [
        Measured("a" * 32, 3, 1.25, -(2**63), {"loss": math.nan, "acc": math.inf}),
        Measured("a" * 32, 4, 2.5, 2**63 - 1, {"loss": 0.1, "acc": -math.inf}),
        Measured("a" * 32, 5, 3.0, 7, {'tab\t, "quote" ∞': 5e-324}),
        Measured("a" * 32, 6, 4.0, -(2**63), {"acc": 1.0}),
    ]
    expected = [
        ("acc", -(2**63), 1.0, 4.0, 6),
        ("acc", 2**63 - 1, -math.inf, 2.5, 4),
        ("loss", -(2**63), None, 1.25, 3),
        ("loss", 2**63 - 1, 0.1, 2.5, 4),
        ('tab\t, "quote" ∞', 7, 5e-324, 3.0, 5),
    ]

    def stored() -> list[tuple[object, ...]]:
        return [tuple(row[name] for name in ("name", "step", "value", "time", "seq")) for row in rows(storage, metrics)]

    record.heard([together(events)]).result()
    assert stored() == expected
    record.heard([together(events[:2]), Measured("a" * 32, 2, 9.0, 7, {'tab\t, "quote" ∞': 1.0})]).result()
    assert stored() == expected
    record.heard([together([Measured("a" * 32, 8, 5.0, 2**63 - 1, {"loss": math.nan, "new": 2.0})])]).result()
    expected[3] = ("loss", 2**63 - 1, None, 5.0, 8)
    assert stored() == [*expected[:4], ("new", 2**63 - 1, 2.0, 5.0, 8), expected[4]]


def test_more_points_than_go_to_the_server_at_once(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec()).result()
    events = [Measured("a" * 32, n, 1.0, n, {"loss": math.nan if n % 7 == 0 else n / 2}) for n in range(45_000)]
    record.heard([together(events)]).result()
    record.heard([together(events[30_000:]), *LIFE]).result()
    found = {row["step"]: row["value"] for row in rows(storage, metrics) if row["name"] == "loss"}
    assert len(found) == 45_001  # with the one of LIFE
    assert all(found[n] == (None if n % 7 == 0 else n / 2) for n in range(1, 45_000))


def test_points_that_are_partly_known_are_merged(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec()).result()
    first = [Measured("a" * 32, seq, 1.0, seq % 7, {"loss": float(seq)}) for seq in range(10)]
    second = [Measured("a" * 32, seq, 1.0, seq % 11, {"loss": float(seq)}) for seq in range(5, 20)]
    record.heard(first).result()
    record.heard(second).result()
    expected: dict[int, int] = {}
    for event in (*first, *second):
        expected[event.step] = max(event.seq, expected.get(event.step, -1))
    assert {row["step"]: row["seq"] for row in rows(storage, metrics)} == expected
    assert all(row["value"] == row["seq"] for row in rows(storage, metrics))


def test_a_later_attempt_ends_the_one_before_and_the_truth_of_it_is_still_taken(
    storage: Storage, record: Record
) -> None:
    record.run_opened("s" * 32, make_spec()).result()
    record.run_opened("s" * 32, make_spec(run="b" * 32, attempt=1)).result()
    first, second = rows(storage, runs)
    assert (first["state"], first["failure"], second["state"]) == ("FAIL", "lost", "RUNNING")
    record.heard(LIFE).result()
    assert rows(storage, runs)[0]["state"] == "COMPLETE"


def test_one_attempt_is_not_opened_by_two_drivers(storage: Storage, record: Record) -> None:
    study = optuna.create_study(storage=storage, study_name="digits")
    study.ask()
    record.run_opened("s" * 32, make_spec()).result()
    with pytest.raises(StorageError, match="attempt 0 of digits/0"):
        record.run_opened("t" * 32, make_spec(run="b" * 32)).result()


def test_what_a_deleted_study_left_makes_way(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec()).result()
    record.heard(LIFE).result()
    study = optuna.create_study(storage=storage, study_name="digits")
    study.ask()
    record.run_opened("t" * 32, make_spec(run="b" * 32)).result()
    assert [row["run"] for row in rows(storage, runs)] == ["b" * 32]
    assert rows(storage, metrics) == []


def test_deleting_a_study_deletes_its_record(storage: Storage, record: Record) -> None:
    study = optuna.create_study(storage=storage, study_name="digits")
    record.sweep_opened(make_sweep()).result()
    record.run_opened("s" * 32, make_spec()).result()
    record.run_opened("s" * 32, make_spec(study="other", run="b" * 32)).result()
    record.heard(LIFE).result()
    optuna.delete_study(study_name="digits", storage=storage)
    assert [row["run"] for row in rows(storage, runs)] == ["b" * 32]
    assert rows(storage, metrics) == [] and rows(storage, sweeps) == []
    assert study.study_name not in optuna.get_all_study_names(storage)


def test_what_is_not_urgent_goes_with_the_next_write_or_by_itself(storage: Storage, record: Record) -> None:
    record.run_opened("s" * 32, make_spec()).result()
    soon = record.heard_soon(LIFE[:1])
    record.heard(LIFE[1:]).result()
    assert soon.done()
    record.heard_soon(LIFE).result()


def test_closing_waits_for_what_was_given(storage: Storage, record: Record) -> None:
    opened = record.run_opened("s" * 32, make_spec())
    heard = record.heard(LIFE)
    record.close()
    assert opened.done() and heard.done()

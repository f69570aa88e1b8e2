"""Writes kept on disk come back as they were."""

from __future__ import annotations

import resource
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from sweeper.record import optuna_rows as rows
from sweeper.record.change import Child, LateState, NewTrial, State, StudyAttr
from sweeper.record.entry import CodeTaken, Heard, Judged, Nothing, RunOpened
from sweeper.record.owner import OwnChild, OwnState
from sweeper.record.spool import Spool, decode, encode, taken_in
from sweeper.record.sweep_entry import SweepEnded
from sweeper.trial import Captured, Ended, Failure, Logged, Measured, Reported, Started

NUMBERS = st.floats() | st.integers(-(2**53), 2**53)
TEXTS = st.text(max_size=8)
RUNS = st.uuids().map(lambda one: one.hex)
SEQS = st.integers(0, 2**62)
TIMES = st.floats(0, 1e11)
COLUMNS = st.dictionaries(TEXTS, st.none() | NUMBERS | TEXTS, max_size=4)
DOCUMENTS = st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=2), max_size=2)
EVENTS = st.one_of(
    st.builds(Started, RUNS, SEQS, TIMES, TEXTS, st.integers(1, 2**22)),
    st.builds(
        Captured,
        RUNS,
        SEQS,
        TIMES,
        st.sampled_from(["start", "end"]),
        TEXTS,
        st.none() | DOCUMENTS,
        DOCUMENTS,
        *[st.lists(TEXTS, max_size=2).map(tuple)] * 3,
        NUMBERS,
    ),
    st.builds(Measured, RUNS, SEQS, TIMES, SEQS, st.dictionaries(TEXTS, NUMBERS, max_size=3)),
    st.builds(Logged, RUNS, st.integers(1, 9), TEXTS.map(str.encode)),
    st.builds(Reported, RUNS, SEQS, TIMES, SEQS, NUMBERS),
    st.builds(
        Ended,
        RUNS,
        SEQS,
        TIMES,
        st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]),
        st.none() | st.lists(NUMBERS, max_size=2).map(tuple),
        st.none() | st.sampled_from(Failure),
        st.none() | TEXTS,
        st.none() | TEXTS,
        TIMES,
        st.none() | st.integers(0, 2**50),
        st.dictionaries(TEXTS, NUMBERS, max_size=2),
    ),
)
STATES = st.builds(
    State,
    st.integers(1, 2**31),
    st.sampled_from(TrialState),
    st.none() | st.lists(st.floats(), max_size=2).map(tuple),
    st.datetimes().map(lambda time: time.replace(fold=0)),  # UTC repeats no hour
)
TABLES = (rows.trial_params, rows.trial_points, rows.trial_user_attrs, rows.trial_system_attrs)
CHILDREN = st.builds(Child, st.integers(1, 2**31), st.sampled_from(TABLES), TEXTS | st.integers(0, 2**31), COLUMNS)
WRITES = st.one_of(
    STATES,
    CHILDREN,
    st.builds(OwnChild, CHILDREN, RUNS),
    st.lists(EVENTS, max_size=4).map(lambda events: Heard(tuple(events))),
    st.builds(OwnState, STATES, RUNS),
    st.builds(SweepEnded, RUNS, TEXTS, TIMES),
    st.builds(RunOpened, COLUMNS),
    st.builds(CodeTaken, COLUMNS),
    st.builds(Judged, RUNS, TEXTS),
)


def as_kept(write: Any) -> str:
    """Equal for equal writes, NaN and all; a change of state comes back as a late one."""
    match write:
        case State():
            return repr(LateState(write))
        case OwnState():
            return repr(OwnState(LateState(write.state), write.sweep))
    return repr(write)


@given(WRITES)
def test_a_write_survives_its_line(write: Any) -> None:
    line = encode(write)
    assert line is not None and line.count(b"\n") == 1
    assert repr(decode(line)) == as_kept(write)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WRITES, max_size=6), st.data())
def test_a_torn_spool_gives_what_is_whole(tmp_path: Path, writes: list[Any], data: st.DataObject) -> None:
    path = tmp_path / "folder" / "spool.jsonl"
    path.unlink(missing_ok=True)
    spool = Spool(path)
    middle = int(data.draw(st.floats(0, 1)) * len(writes))
    spool.append(writes[:middle])
    spool.append(writes[middle:])
    spool.close()
    text = path.read_bytes()
    kept = int(data.draw(st.floats(0, 1)) * len(text))
    path.write_bytes(text[:kept])
    with taken_in(path) as found:
        assert [repr(write) for write in found] == [as_kept(write) for write in writes[: text[:kept].count(b"\n")]]
    assert not path.exists()


def test_what_only_a_caller_can_wait_for_is_not_kept() -> None:
    assert encode(NewTrial(1, datetime(2026, 1, 1))) is None
    assert encode(StudyAttr(rows.study_user_attrs, 1, "a", "1")) is None
    assert encode(Nothing()) is None


def test_a_spool_is_not_taken_while_its_writer_lives(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    spool.append([SweepEnded("s" * 32, "finished", 1.0)])
    with taken_in(spool.path) as found:
        assert found == []
    assert spool.path.exists()
    spool.close()
    with taken_in(spool.path) as found:
        assert len(found) == 1


def test_a_spool_stays_when_taking_it_in_fails(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    spool.append([SweepEnded("s" * 32, "finished", 1.0)])
    spool.close()
    with pytest.raises(RuntimeError), taken_in(spool.path):
        raise RuntimeError
    assert spool.path.exists()


def test_a_cleared_spool_is_gone_and_can_be_used_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    spool.append([SweepEnded("s" * 32, "finished", 1.0)])
    spool.clear()
    assert not spool.path.exists()
    spool.append([SweepEnded("t" * 32, "finished", 1.0)])
    spool.close()
    with taken_in(spool.path) as found:
        assert [getattr(write, "sweep", None) for write in found] == ["t" * 32]
    with taken_in(spool.path) as found:
        assert found == []


def test_a_disk_that_is_full_leaves_no_half_line(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    first, second, third = (SweepEnded("s", outcome, 0.0) for outcome in ("finished", "stopped", "failed"))
    spool.append([first])
    size = spool.path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(OSError):
            spool.append([second])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert spool.path.stat().st_size == size
    spool.append([third])
    spool.close()
    with taken_in(spool.path) as writes:
        assert writes == [first, third]

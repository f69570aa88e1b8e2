from __future__ import annotations

import math
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from sweeper.run.journal import ASSUMED, Journal, JournalReader, decode, encode, journal_path, seal, so_far
from sweeper.trial import Captured, Ended, Event, Failure, Looked, Measured, Metered, Reported, Saved, Started, Used
from tests.spec import spec_for

RUN = "a" * 32
times = st.floats(0, 2e9)
seqs = st.integers(0, 2**62)
steps = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=("Cs",)))
numbers = st.floats(allow_nan=False)
documents = st.dictionaries(texts, texts | st.lists(texts, max_size=2), max_size=2)
events = st.one_of(
    st.builds(Started, run=st.just(RUN), seq=seqs, time=times, node=texts, pid=st.integers(1, 2**22)),
    st.builds(
        Captured,
        run=st.just(RUN),
        seq=seqs,
        time=times,
        moment=st.sampled_from(["start", "end"]),
        environment=texts,
        document=st.none() | documents,
        determinism=documents,
        gpus=st.lists(texts, max_size=2).map(tuple),
        drift=st.lists(texts, max_size=2).map(tuple),
        gaps=st.lists(texts, max_size=2).map(tuple),
        completeness=st.floats(0, 1),
    ),
    st.builds(
        Measured,
        run=st.just(RUN),
        seq=seqs,
        time=times,
        step=steps,
        metrics=st.dictionaries(texts, numbers, max_size=3),
    ),
    st.builds(
        Looked,
        run=st.just(RUN),
        seq=seqs,
        time=times,
        step=st.none() | steps,
        metrics=st.dictionaries(texts, numbers, max_size=3),
    ),
    st.builds(
        Saved,
        run=st.just(RUN),
        seq=seqs,
        time=times,
        name=texts,
        kind=texts,
        size=seqs,
        sha256=st.none() | texts,
        error=st.none() | texts,
        shown_as=st.none() | texts,
    ),
    st.builds(
        Used,
        run=st.just(RUN),
        seq=seqs,
        time=times,
        name=texts,
        url=texts,
        files=seqs,
        size=seqs,
        sha256=st.none() | texts,
        manifest=st.booleans(),
        error=st.none() | texts,
    ),
    st.builds(
        Metered,
        run=st.just(RUN),
        seq=seqs,
        time=times,
        step=steps,
        metrics=st.dictionaries(texts, numbers),
        peak_gpu_memory_bytes=seqs,
        gpu_memory_basis=texts,
        gpu_seconds=times,
        energy_j=st.none() | times,
    ),
    st.builds(Reported, run=st.just(RUN), seq=seqs, time=times, step=steps, value=numbers),
    st.builds(
        Ended,
        run=st.just(RUN),
        seq=seqs,
        time=times,
        state=st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]),
        values=st.none() | st.lists(numbers, min_size=1, max_size=3).map(tuple),
        failure=st.none() | st.sampled_from(Failure),
        error=st.none() | texts,
        traceback=st.none() | texts,
        runtime_s=times,
        peak_rss_bytes=st.none() | st.integers(0, 2**40),
    ),
)


@given(events)
def test_an_event_is_what_it_was_after_the_journal(event: Event) -> None:
    line = encode(event)

    assert line.count(b"\n") == 1
    assert decode(line, RUN) == event


def test_nan_is_kept(tmp_path: Path) -> None:
    event = decode(encode(Measured(RUN, 0, 0.0, 1, {"loss": math.nan})), RUN)

    assert isinstance(event, Measured)
    assert math.isnan(event.metrics["loss"])


def test_a_torn_last_line_is_no_event_until_it_is_whole(tmp_path: Path) -> None:
    path = journal_path(tmp_path, RUN)
    journal = Journal(path)
    first, second = (Reported(RUN, seq, 0.0, seq, 0.5) for seq in (0, 1))
    journal.append(first)
    line = encode(second)
    with path.open("ab") as file:
        file.write(line[:10])
    reader = JournalReader(path, RUN)

    assert reader.read() == [first]
    with path.open("ab") as file:
        file.write(line[10:])
    assert reader.read() == [second]
    assert reader.read() == []


def test_a_run_without_an_end_is_given_one_once(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, {"x": 1.0})
    Journal(journal_path(spec.folder, spec.run)).append(Started(spec.run, 0, 0.0, "here", 1))

    sealed = seal(spec.folder, spec.run, Failure.LOST, "the node is gone")

    assert [type(event) for event in sealed] == [Started, Ended]
    assert (sealed[1].seq, sealed[1].failure) == (1, Failure.LOST)
    assert seal(spec.folder, spec.run, Failure.CRASHED, "again") == sealed


def test_a_journal_whose_writer_was_killed_in_the_middle_of_a_line_is_sealed_and_read(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, {"x": 1.0})
    path = journal_path(spec.folder, spec.run)
    Journal(path).append(Started(spec.run, 0, 0.0, "here", 1))
    with path.open("ab") as file:
        file.write(encode(Measured(spec.run, 1, 0.0, 0, {"m" * 10_000: 0.5}))[:-3])

    sealed = seal(spec.folder, spec.run, Failure.CRASHED, "killed")

    assert [(type(event), event.seq) for event in sealed] == [(Started, 0), (Ended, 1)]
    assert JournalReader(path, spec.run).read() == sealed


def test_a_disk_that_takes_half_an_event_is_left_with_none_of_it(tmp_path: Path) -> None:
    path = journal_path(tmp_path, RUN)
    journal = Journal(path)
    journal.append(Reported(RUN, 0, 0.0, 0, 0.5))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            journal.append(Reported(RUN, 1, 0.0, 1, 0.5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.append(Reported(RUN, 2, 0.0, 2, 0.5))

    assert [event.seq for event in JournalReader(path, RUN).read()] == [0, 2]


def test_a_journal_that_may_still_be_written_is_only_read(tmp_path: Path) -> None:
    path = journal_path(tmp_path, RUN)
    journal = Journal(path)
    journal.append(Started(RUN, 0, 0.0, "there", 1))

    assumed = so_far(tmp_path, RUN, 0, Failure.LOST, "the node is gone")
    assert [type(event) for event in assumed] == [Started, Ended]
    assert assumed[1].seq == ASSUMED
    assert [type(event) for event in so_far(tmp_path, RUN, 5, Failure.LOST, "seen from another machine")] == [Ended]
    assert len(JournalReader(path, RUN).read()) == 1

    own = Ended(RUN, 1, 9.0, TrialState.COMPLETE, values=(1.0,))
    journal.append(own)
    assert so_far(tmp_path, RUN, 0, Failure.LOST, "the node is gone")[-1] == own

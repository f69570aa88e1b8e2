"""What a run keeps: what training code saves, what is collected at its end, what a crash leaves."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks

import sweeper
from sweeper.provenance.store import open_store
from sweeper.run.app import LoadedApp
from sweeper.run.collect import collect_after_crash
from sweeper.run.execute import execute
from sweeper.run.journal import Journal, JournalReader, journal_path
from sweeper.trial import Ended, Event, Looked, Saved, Started, TrialSpec, Used
from tests.spec import spec_for


def spec_in(tmp_path: Path, *collect: str) -> TrialSpec:
    spec = spec_for(tmp_path / "sweep", {"x": 1.0})
    return dataclasses.replace(spec, artifacts=str(tmp_path / "artifacts"), collect=collect)


def run(spec: TrialSpec, task: Callable[[Path], None]) -> list[Event]:
    """Run a task that is given its folder; the events as the journal has them."""

    def body(cfg: object) -> float:
        task(Path(spec.folder))
        return 0.0

    execute(spec, LoadedApp(body, Callbacks()), lambda event: None, lambda step: False)
    return JournalReader(journal_path(spec.folder, spec.run), spec.run).read()


def saved(events: list[Event]) -> dict[str, Saved]:
    return {event.name: event for event in events if isinstance(event, Saved)}


def test_what_training_code_saves_is_in_the_store_before_it_is_in_the_journal(tmp_path: Path) -> None:
    spec = spec_in(tmp_path)

    def task(folder: Path) -> None:
        (folder / "model.pt").write_bytes(b"weights")
        sweeper.save_artifact(folder / "model.pt")
        last = JournalReader(journal_path(spec.folder, spec.run), spec.run).read()[-1]
        assert isinstance(last, Saved)
        with open_store(spec.artifacts).open(str(last.sha256)) as file:
            assert file.read() == b"weights"

    events = run(spec, task)
    assert isinstance(events[-1], Ended)
    assert events[-1].failure is None, events[-1].traceback
    assert (saved(events)["model.pt"].kind, saved(events)["model.pt"].size) == ("model", 7)


def test_a_folder_a_kind_and_a_name(tmp_path: Path) -> None:
    def task(folder: Path) -> None:
        (folder / "out").mkdir()
        (folder / "out" / "a.bin").write_bytes(b"a")
        (folder / "out" / "b.bin").write_bytes(b"b")
        sweeper.save_artifact(folder / "out", kind="embedding", name="embeddings/final")

    found = saved(run(spec_in(tmp_path), task))
    assert {name: event.kind for name, event in found.items() if name.startswith("emb")} == {
        "embeddings/final/a.bin": "embedding",
        "embeddings/final/b.bin": "embedding",
    }


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sweeper.save_artifact("/nowhere/model.pt"), "model.pt is not kept: there is no file at"),
        (lambda: sweeper.save_artifact(__file__, kind="No Kind"), "is no kind of artifact"),
        (lambda: sweeper.save_artifact(__file__, name="../../etc/passwd"), "is no name for an artifact"),
        (lambda: sweeper.save_artifact(None), "save_artifact"),  # type: ignore[arg-type]
        (lambda: sweeper.use_data("/nowhere"), "there is no file at /nowhere"),
        (lambda: sweeper.use_data(3), "use_data"),  # type: ignore[type-var]
        (lambda: sweeper.log_test({"accuracy": "high"}), "accuracy must be a number"),  # type: ignore[dict-item]
    ],
)
def test_nothing_is_raised_into_training_code(
    call: Callable[[], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = run(spec_in(tmp_path), lambda folder: call())

    assert isinstance(events[-1], Ended)
    assert events[-1].failure is None, events[-1].traceback
    assert said in capsys.readouterr().err


def test_what_could_not_be_kept_is_on_record(tmp_path: Path) -> None:
    event = saved(run(spec_in(tmp_path), lambda folder: sweeper.save_artifact("/nowhere/model.pt")))["model.pt"]
    assert (event.sha256, event.error) == (None, "there is no file at /nowhere/model.pt")


def test_logs_and_hydras_files_are_always_kept_and_patterns_on_top(tmp_path: Path) -> None:
    def task(folder: Path) -> None:
        (folder / "train.log").write_text("epoch 1")
        (folder / "deep").mkdir()
        for name in ("a.pt", "deep/b.pt", "c.txt"):
            (folder / name).write_text(name)

    found = saved(run(spec_in(tmp_path, "*.pt", "deep/**/*.pt"), task))
    hydra = {".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"}
    assert found.keys() >= hydra | {"train.log", "a.pt", "deep/b.pt"}
    assert "c.txt" not in found
    assert {found[name].kind for name in hydra} == {"config"}


def test_a_folder_can_be_a_pattern(tmp_path: Path) -> None:
    def task(folder: Path) -> None:
        (folder / "weights").mkdir()
        (folder / "weights" / "a.pt").write_bytes(b"")

    assert "weights/a.pt" in saved(run(spec_in(tmp_path, "weights"), task))


def test_a_file_that_was_saved_is_collected_only_if_it_has_changed(tmp_path: Path) -> None:
    def task(folder: Path) -> None:
        for name in ("same.pt", "changed.pt"):
            (folder / name).write_bytes(b"1")
            sweeper.save_artifact(folder / name)
        (folder / "changed.pt").write_bytes(b"22")

    events = [event.name for event in run(spec_in(tmp_path, "*.pt"), task) if isinstance(event, Saved)]
    assert (events.count("same.pt"), events.count("changed.pt")) == (1, 2)


def test_a_run_that_fails_is_collected_too(tmp_path: Path) -> None:
    def task(folder: Path) -> None:
        (folder / "a.pt").write_bytes(b"1")
        raise ValueError("too high")

    events = run(spec_in(tmp_path, "*.pt"), task)
    assert "a.pt" in saved(events)
    assert isinstance(events[-1], Ended)
    assert events[-1].error == "ValueError: too high"


def test_what_a_crash_left_is_collected_behind_what_the_run_had_said(tmp_path: Path) -> None:
    spec = spec_in(tmp_path, "*.pt")
    journal = Journal(journal_path(spec.folder, spec.run))
    journal.append(Started(spec.run, 0, 1.0, "node", 1))
    journal.close()
    (Path(spec.folder) / "a.pt").write_bytes(b"weights")
    (Path(spec.folder) / "trial.log").write_text("killed\n")
    collect_after_crash(spec.run, spec.folder, spec.artifacts, spec.collect)

    events = JournalReader(journal_path(spec.folder, spec.run), spec.run).read()
    assert [event.seq for event in events] == [0, 1, 2]
    assert saved(events)["a.pt"].sha256 == hashlib.sha256(b"weights").hexdigest()
    assert saved(events)["trial.log"].kind == "log"


def test_a_run_that_has_said_its_end_is_left_alone(tmp_path: Path) -> None:
    spec = spec_in(tmp_path)
    before = run(spec, lambda folder: None)
    collect_after_crash(spec.run, spec.folder, spec.artifacts, spec.collect)
    assert JournalReader(journal_path(spec.folder, spec.run), spec.run).read() == before


def test_without_a_store_nothing_is_kept(tmp_path: Path) -> None:
    spec = dataclasses.replace(spec_in(tmp_path, "*"), artifacts="")
    assert saved(run(spec, lambda folder: sweeper.save_artifact(__file__))) == {}


def test_data_is_hashed_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_bytes(b"1,2\n")
    given: list[object] = []

    def task(folder: Path) -> None:
        given.append(sweeper.use_data(tmp_path / "set"))
        given.append(sweeper.use_data(str(tmp_path / "set" / "train.csv"), name="train"))

    spec = spec_in(tmp_path)
    folder, file = (event for event in run(spec, task) if isinstance(event, Used))
    assert given == [tmp_path / "set", str(tmp_path / "set" / "train.csv")]
    assert (folder.name, folder.files, folder.manifest) == ("set", 1, True)
    with open_store(spec.artifacts).open(str(folder.sha256)) as manifest:
        assert b"train.csv" in manifest.read()
    assert (file.name, file.size, file.manifest) == ("train", 4, False)
    assert file.sha256 == hashlib.sha256(b"1,2\n").hexdigest()


def test_each_look_at_the_test_data_is_an_event(tmp_path: Path) -> None:
    def task(folder: Path) -> None:
        sweeper.log_test({"accuracy": 0.5}, step=3)
        sweeper.log_test({"accuracy": 0.5})

    looks = [event for event in run(spec_in(tmp_path), task) if isinstance(event, Looked)]
    assert [(event.step, event.metrics) for event in looks] == [(3, {"accuracy": 0.5}), (None, {"accuracy": 0.5})]


def test_outside_a_sweep_everything_is_quiet(tmp_path: Path) -> None:
    sweeper.save_artifact("/nowhere")
    sweeper.log_test({"accuracy": 1.0})
    assert sweeper.use_data("/nowhere") == "/nowhere"

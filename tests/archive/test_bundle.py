"""A run as one file: what is in it, that it is whole, and what is refused."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from sweeper.archive.bundle import bundle, unpack
from sweeper.errors import ArtifactError, ConfigError, NotFound
from sweeper.history import History, TrialName
from sweeper.provenance.code import Wanted, take
from sweeper.provenance.rebuild import rebuild
from sweeper.provenance.store import FolderStore
from sweeper.record import Record, Storage
from sweeper.run.collect import keep, saved
from sweeper.source import code_row
from sweeper.trial import Captured, Ended, Failure, Measured, Started
from tests.provenance.repository import Repository
from tests.record.samples import make_spec, make_sweep

LR = FloatDistribution(1e-5, 1e-1, log=True)
VALUES = (0.90, 0.94, None, 0.5)  # of trials 0 and 1, of the same parameters, of 2, which failed, and of 3
ENVIRONMENT = {
    "python": {"version": "3.11.7"},
    "system": {"distribution": "Debian", "kernel": "6.1"},
    "cpu": {"model": "EPYC", "usable": 2},
    "memory": {"total_bytes": 2**34},
    "packages": {"numpy": "2.1.0", "torch": "2.9.0"},
    "gpus": {"driver": "570.1", "cuda_driver": "12.8", "visible": [{"name": "H100", "memory_bytes": 2**36}]},
}


@dataclass(frozen=True)
class Kept:
    """A study on record, the code that it ran, and where its files lie."""

    history: History
    store: FolderStore
    project: Repository
    folder: Path

    def bundle(self, number: int = 0) -> Path:
        """A trial's bundle, made once."""
        target = self.folder / f"{number}.zip"
        if not target.exists():
            bundle(self.history, TrialName("digits", number), target, None)
        return target


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Four trials: two replicates, a failed one that saved nothing, another; the first with two files."""
    folder = tmp_path_factory.mktemp("kept")
    project = Repository(folder / "project")
    project.write("train.py", "print('committed')\n")
    project.commit()
    project.write("train.py", "print('changed')\n")
    project.write("helper.py", "# in no commit\n")
    store = FolderStore(folder / "artifacts")
    code = take(Wanted(project.root / "train.py"), store)
    storage = Storage(f"sqlite:///{folder}/sweeper.db")
    study = optuna.create_study(study_name="digits", storage=storage, direction="maximize")
    record = Record(storage)
    record.code_taken(code_row(code))
    launch = make_sweep(artifacts=store.url, code=code.snapshot.code, settings='{"seed": 5}', folder=str(folder))
    record.sweep_opened(launch).result()
    for number, value in enumerate(VALUES):
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        lr = 0.001 if number < 2 else 0.01
        study.add_trial(create_trial(state=state, value=value, params={"lr": lr}, distributions={"lr": LR}))
        spec = make_spec(number=number, run=str(number) * 32, code=code.snapshot.code, seed=100 + number)
        record.run_opened("s" * 32, spec).result()
        record.heard(_life(spec.run, state, value)).result()
    (folder / "model.pt").write_bytes(b"weights")
    record.heard([saved("0" * 32, 10, keep(folder / "model.pt", "out/model.pt", "model", store, "0" * 32))]).result()
    record.sweep_ended("s" * 32, "finished").result()
    yield Kept(History(f"sqlite:///{folder}/sweeper.db"), store, project, folder)
    storage.close()


def _life(run: str, state: TrialState, value: float | None) -> list[object]:
    failed = {} if value is not None else {"failure": Failure.OOM, "error": "out of memory"}
    values = None if value is None else (value,)
    return [
        Started(run, 0, 1.0, "node", 9),
        Captured(run, 1, 1.0, "start", "e" * 64, ENVIRONMENT, ("GPU-1",), {"seeds": {"numpy": 1}}, (), ("a gap",), 0.9),
        Measured(run, 2, 2.0, 0, {"acc": 0.25}),
        Ended(run, 3, 3.0, state, values, runtime_s=1800.0, **failed),
    ]


def test_it_has_the_code_the_files_and_the_record(kept: Kept) -> None:
    with zipfile.ZipFile(kept.bundle()) as file:
        content = {name: file.read(name) for name in file.namelist()}
    assert content["code/train.py"] == b"print('changed')\n" and content["code/helper.py"] == b"# in no commit\n"
    assert content["files/out/model.pt"] == b"weights"
    assert json.loads(content["run.json"])["seed"] == 100
    assert content["packages.txt"] == b"numpy==2.1.0\ntorch==2.9.0\n"
    assert content["metrics.csv"] == b"name,step,value,time\nacc,0,0.25,2.0\n"
    assert b"Not in it:\n\n- nothing" in content["README.md"]


def test_the_checklist_is_filled_in(kept: Kept) -> None:
    with zipfile.ZipFile(kept.bundle(1)) as file:
        lines = file.read("CHECKLIST.md").decode().splitlines()
    for told in (
        "- `lr`: 1e-05 … 0.1, log",  # bounds
        "- 4 trials: 3 complete, 1 failed",  # number of runs
        "- TPESampler with NopPruner, launched as `train.py -m`",  # method
        "- maximize `value`, the value that the task returns",  # criterion
        "- `value` over 2 runs of these parameters: 0.92 ± 0.028 (mean ± standard deviation)",
        "- GPU: H100, driver 570.1, CUDA 12.8",  # hardware
        "- main memory: 16.0 GiB",
        "- 1 failed run: 30 min of running, 0.5 GPU-hours",  # compute, failed runs too
        "- in all 4 runs: 2 h of running, 2 GPU-hours",
        "- this run: 101",
        "- a gap",
    ):
        assert told in lines


def test_unpacked_it_is_a_database_and_a_store_that_rebuild_the_code(kept: Kept, tmp_path: Path) -> None:
    made = kept.bundle(3)
    found = unpack(made, tmp_path / "new")
    history = History(found.url)
    run = history.runs("digits", 3)[0]
    assert (str(found.trial), run.seed, run.run) == ("digits/3", 103, "3" * 32)
    rebuild(history.code(str(run.code)).document, FolderStore(Path(found.artifacts)), tmp_path / "code")
    assert (tmp_path / "code" / "train.py").read_text() == "print('changed')\n"
    study = optuna.load_study(study_name="digits", storage=found.url)
    assert [trial.number for trial in study.trials] == [3]


def test_of_replicates_it_has_what_they_gave(kept: Kept, tmp_path: Path) -> None:
    history = History(unpack(kept.bundle(1), tmp_path / "new").url)
    assert [row.values for row in history.replicates("digits", 1)] == [(0.9,), (0.94,)]
    assert history.runs("digits", 0) == [] and len(history.runs("digits", 1)) == 1


def test_what_the_store_has_lost_is_left_out_and_said(kept: Kept, tmp_path: Path) -> None:
    shutil.copytree(kept.store.root, tmp_path / "poorer")
    (sha256,) = (row.sha256 for row in kept.history.artifacts("0" * 32))
    (tmp_path / "poorer" / "sha256" / str(sha256)[:2] / str(sha256)).unlink()
    made = bundle(kept.history, TrialName("digits", 0), tmp_path / "out.zip", str(tmp_path / "poorer"))
    assert [line.partition(":")[0] for line in made.left_out] == ["files/out/model.pt"]
    unpack(tmp_path / "out.zip", tmp_path / "new")
    assert "- files/out/model.pt: " in (tmp_path / "new" / "README.md").read_text()


def test_what_cannot_be_bundled_is_refused(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "there.zip").touch()
    with pytest.raises(ConfigError, match="is there already"):
        bundle(kept.history, TrialName("digits", 0), tmp_path / "there.zip", None)
    with pytest.raises(NotFound):
        bundle(kept.history, TrialName("digits", 9), tmp_path / "out.zip", None)
    assert [path.name for path in tmp_path.iterdir()] == ["there.zip"]


class TestUnpacking:
    """Nothing is believed of a file that comes from elsewhere."""

    def changed(self, kept: Kept, target: Path, name: str, content: bytes) -> Path:
        with zipfile.ZipFile(kept.bundle()) as old, zipfile.ZipFile(target, "w") as new:
            for one in old.namelist():
                new.writestr(one, content if one == name else old.read(one))
        return target

    def test_a_byte_that_has_changed_is_found(self, kept: Kept, tmp_path: Path) -> None:
        bad = self.changed(kept, tmp_path / "bad.zip", "code/train.py", b"print('evil')\n")
        with pytest.raises(ArtifactError, match=r"code/train\.py is damaged"):
            unpack(bad, tmp_path / "new")

    def test_a_name_that_leads_out_of_the_folder_is_refused(self, kept: Kept, tmp_path: Path) -> None:
        sums = b"".join(b"%s  %s\n" % (b"0" * 64, name) for name in (b"run.json", b"record.db", b"../evil"))
        bad = self.changed(kept, tmp_path / "bad.zip", "SHA256SUMS", sums.replace(b"run.json", b"../evil", 1) + sums)
        with pytest.raises(ArtifactError, match=r"\.\./evil"):
            unpack(bad, tmp_path / "deep" / "new")
        assert not (tmp_path / "deep" / "evil").exists()

    def test_no_zip_no_bundle_and_no_room(self, kept: Kept, tmp_path: Path) -> None:
        (tmp_path / "text.zip").write_text("no zip")
        with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
            file.writestr("README.md", "another zip")
        for name in ("text.zip", "other.zip", "absent.zip"):
            with pytest.raises(ArtifactError, match="is no bundle of sweeper"):
                unpack(tmp_path / name, tmp_path / "new")
        with pytest.raises(ConfigError, match="is not empty"):
            unpack(tmp_path / "other.zip", tmp_path)

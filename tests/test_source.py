"""What a launch is made of, and which policy it must keep to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.errors import ProvenanceError
from sweeper.provenance.code import Code, Wanted, take
from sweeper.provenance.leftover import Limits
from sweeper.provenance.store import FolderStore
from sweeper.source import refuse
from tests.conftest import QUADRATIC, Sweep
from tests.provenance.repository import Repository


class TestRequire:
    """`hydra.sweeper.require`: each policy refuses what it must, in one sentence, and nothing else."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Repository:
        project = Repository(tmp_path / "project")
        project.write("train.py", "pass\n")
        project.commit()
        return project

    def code(self, project: Repository, file_bytes: int = 1000) -> Code:
        limits = Limits(file_bytes=file_bytes)
        return take(Wanted(project.root / "train.py", limits=limits), FolderStore(project.root.parent / "store"))

    def test_committed_code_passes_every_policy(self, project: Repository) -> None:
        for policy in ("nothing", "snapshot", "clean"):
            refuse(self.code(project), policy)

    def test_changes_are_kept_and_refused_only_by_clean(self, project: Repository) -> None:
        project.write("train.py", "changed\n")
        refuse(self.code(project), "snapshot")
        with pytest.raises(ProvenanceError, match="tracked files differ from the commit; commit, or set"):
            refuse(self.code(project), "clean")
        project.write("helper.py", "new\n")
        with pytest.raises(ProvenanceError, match=r"1 files are in no commit, the first is helper\.py"):
            refuse(self.code(project), "clean")

    def test_what_cannot_be_kept_whole_is_refused_by_snapshot(self, project: Repository) -> None:
        project.write("weights.bin", b"0" * 2000)
        code = self.code(project)
        refuse(code, "nothing")
        for policy in ("snapshot", "clean"):
            said = (
                rf"require={policy}, but the code cannot be kept whole: weights\.bin was left out: .*let git ignore it"
            )
            with pytest.raises(ProvenanceError, match=said):
                refuse(code, policy)
        project.write(".gitignore", "weights.bin\n")
        refuse(self.code(project), "snapshot")


@pytest.mark.slow
def test_a_sweep_that_the_policy_refuses_leaves_no_trial(tmp_path: Path, launch: Sweep) -> None:
    script = tmp_path / "app" / "train.py"
    script.parent.mkdir()
    script.write_text(QUADRATIC.read_text())
    (script.parent / "weights.txt").write_bytes(b"0" * (2 << 20))
    flags = ("hydra.sweeper.n_trials=1", "hydra.sweeper.require=snapshot", "hydra.sweeper.snapshot.max_file_mib=1")
    done = launch(*flags, "x=interval(0,1)", script=script)
    assert done.returncode == 2
    assert "hydra.sweeper.require=snapshot, but the code cannot be kept whole" in done.stderr
    assert not (tmp_path / "sweeper.db").exists()

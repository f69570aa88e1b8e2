from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import sweeper
from sweeper.run import training


class Notes:
    """A run that keeps what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.trial_folder = folder
        self.points: list[tuple[int, dict[str, float]]] = []

    def measured(self, step: int, metrics: Mapping[str, float]) -> None:
        self.points.append((step, dict(metrics)))

    def reported(self, step: int, value: float) -> None:
        self.points.append((step, {"report": value}))

    def should_prune(self) -> bool:
        return True


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Notes]:
    run = Notes(tmp_path)
    training.enter(run)
    yield run
    training.enter(None)


def test_outside_a_sweep_everything_is_quiet() -> None:
    sweeper.log({"loss": 1.0})
    sweeper.report(1.0, 0)

    assert sweeper.should_prune() is False


def test_without_a_step_each_metric_counts_its_own(notes: Notes) -> None:
    sweeper.log({"a": 1.0, "b": 2.0})
    sweeper.log({"a": 3.0})

    assert notes.points == [(0, {"a": 1.0}), (0, {"b": 2.0}), (1, {"a": 3.0})]


def test_numpy_numbers_are_numbers(notes: Notes) -> None:
    sweeper.log({"a": np.float32(0.5), "b": np.int64(2)}, step=np.int64(7))

    assert notes.points == [(7, {"a": 0.5, "b": 2.0})]


@pytest.mark.parametrize(
    ("metrics", "step", "said"),
    [
        ({"a": "high"}, 0, "sweeper.log: a must be a number, got 'high'"),
        ({"a": True}, 0, "sweeper.log: a must be a number, got True"),
        ({"a": 10**400}, 0, "sweeper.log: a is an integer too large for a float"),
        ({"": 1.0}, 0, "sweeper.log: a metric's name must be text of 1 to 512 characters, got ''"),
        ({"a": 1.0}, 1.5, "sweeper: a step must be an integer of 64 bits, got 1.5"),
        ({"a": 1.0}, 2**63, f"sweeper: a step must be an integer of 64 bits, got {2**63}"),
    ],
)
def test_what_cannot_be_kept_is_said_and_never_raised(
    notes: Notes, capsys: pytest.CaptureFixture[str], metrics: dict[str, float], step: int, said: str
) -> None:
    sweeper.log(metrics, step=step)

    assert notes.points == []
    assert capsys.readouterr().err == said + "\n"


def test_a_million_refusals_do_not_fill_the_log(notes: Notes, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(100):
        sweeper.log({"a": "high"}, step=0)  # type: ignore[dict-item]

    assert len(capsys.readouterr().err.splitlines()) == 6


def test_checkpoints_lie_in_the_trials_folder(notes: Notes) -> None:
    assert sweeper.checkpoint_dir() == notes.trial_folder / "checkpoints"
    assert sweeper.checkpoint_dir().is_dir()


def test_a_seed_gives_the_same_numbers_again() -> None:
    sweeper.seed_everything(3)
    first = np.random.random(3)
    sweeper.seed_everything(3)

    assert list(np.random.random(3)) == list(first)

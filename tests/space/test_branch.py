from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra.core.config_loader import ConfigLoader

from sweeper.space import Space
from sweeper.space.branch import branches, deciding
from tests.config.app import open_app, singletons_restored


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigLoader]:
    with singletons_restored():
        yield open_app(tmp_path_factory.mktemp("app")).loader


def test_a_branch_for_every_combination_of_what_decides(loader: ConfigLoader) -> None:
    when = {"model=cnn": {"model.act": "choice(relu, tanh)"}, "model.act=tanh": {"lr": "interval(0.5, 1)"}}
    space = Space.parse(["model=cnn,mlp", "seed=range(100)"], {}, loader, when)

    found = list(branches(space))

    assert [dict(branch.choices) for branch in found] == [
        {"model": "cnn", "model.act": "relu"},
        {"model": "cnn", "model.act": "tanh"},
        {"model": "mlp"},
    ]
    assert deciding(space).size() == 3
    assert [sorted(branch.point) for branch in found] == [
        ["model", "model.act", "seed"],
        ["lr", "model", "model.act", "seed"],
        ["model", "seed"],
    ]
    for branch in found:
        assert branch.choices.items() <= branch.point.items()
        assert space.overrides(branch.point)


def test_without_anything_that_decides_there_is_one_branch(loader: ConfigLoader) -> None:
    (found,) = branches(Space.parse(["lr=interval(0, 1)"], {}, loader))

    assert (dict(found.choices), dict(found.point)) == ({}, {"lr": 0.5})

"""A recipe: what travels is enough to make the very config that the driver composed and put on record."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from sweeper.config.compose import Composer, is_identical
from sweeper.config.recipe import Recipe, change, follow
from sweeper.config.resolve import resolve
from tests.config.app import FILES, App, open_app, singletons_restored

STAMPED = FILES | {"config.yaml": FILES["config.yaml"].replace("nothing: null", "stamp: ${now:%f}")}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with singletons_restored(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_TEST", "copied")
        yield open_app(tmp_path_factory.mktemp("app"), STAMPED, ["hydra.job.env_copy=[SWEEPER_TEST]"])


@pytest.fixture(scope="module")
def composer(app: App) -> Composer:
    return app.composer("recipe")


def without_hydra(config: DictConfig) -> DictConfig:
    with open_dict(config):
        del config["hydra"]
    return config


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["lr=0.5"],
        ["model=cnn", "model.kernel=5", "lr=0.2"],
        ["name='${lr}'", "+new.key=3"],
        ["layers=[4,5]"],
        ["name=null"],
        ["twice=7", "name='???'"],
    ],
    ids=",".join,
)
def test_following_it_gives_the_config_that_was_composed(composer: Composer, overrides: list[str]) -> None:
    for number in range(4):  # whole at first, then from a base
        composed = composer.compose(overrides, number, f"id{number}")
        on_record = resolve(composed.config)
        base, recipe = composer.base(composed), composer.recipe(composed)
        whole, task = pickle.loads(base), without_hydra(pickle.loads(base))

        follow(pickle.loads(pickle.dumps(recipe)), whole, task)

        whole.hydra.runtime.output_dir = composed.config.hydra.runtime.output_dir
        assert is_identical(whole, composed.config)
        assert OmegaConf.to_container(task, resolve=True) == on_record  # ${now:} included


def test_a_resolver_that_answers_once_may_be_asked_for_the_first_time(composer: Composer) -> None:
    OmegaConf.register_new_resolver("counted", lambda: next(counter), use_cache=True)
    counter = iter(range(9))
    whole, task = OmegaConf.create({"a": "${counted:}"}), OmegaConf.create({"a": "${counted:}"})
    try:
        follow(Recipe(cache={"now": {"%f": 7}}), whole, task)

        assert [whole.a, whole.a] == [0, 0]
    finally:
        OmegaConf.clear_resolver("counted")


@pytest.mark.parametrize("key", ["", "part"])
def test_what_is_read_only_stays_as_it_is(key: str) -> None:
    config = OmegaConf.create({"part": {"lr": 1.0}})
    OmegaConf.set_readonly(config.part if key else config, True)

    with pytest.raises(HydraException):
        change(config, OverridesParser.create().parse_overrides(["part.lr=2.0"]))

    assert config.part.lr == 1.0


def test_trials_that_differ_in_values_share_a_base(composer: Composer) -> None:
    *_, one, other = [composer.compose([f"lr={n}.5"], n, str(n)) for n in range(5)]

    assert composer.base(one) == composer.base(other)
    assert [composer.recipe(each).values for each in (one, other)] == [{"lr": 3.5}, {"lr": 4.5}]


def test_a_config_of_its_own_is_sent_whole(app: App, tmp_path: Path) -> None:
    fresh = app.composer(tmp_path.name)
    composed = fresh.compose(["lr=7"], 0, "0")

    assert fresh.recipe(composed).job is None
    assert pickle.loads(fresh.base(composed)).lr == 7

"""Before the first trial: all that would fail, told at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from sweeper.config.check import check
from sweeper.config.compose import Composer
from sweeper.errors import ConfigError
from sweeper.space import Space
from sweeper.trial import Resources
from tests.config.app import FILES, open_app, singletons_restored


@dataclasses.dataclass
class Typed:
    count: int = 1


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composer]:
    files = FILES | {
        "config.yaml": FILES["config.yaml"].replace("_self_]", "{typed: base}, _self_]"),
        "model/odd.yaml": "{depth: 1, broken: '${nowhere}'}",
    }
    with singletons_restored():
        ConfigStore.instance().store(group="typed", name="base", node=Typed)
        yield open_app(tmp_path_factory.mktemp("app"), files).composer()


def problems(composer: Composer, lines: list[str], when: dict[str, dict[str, object]] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(Space.parse(lines, {}, composer.loader, when or {}), composer, by_lr)
    return str(caught.value).splitlines()


def by_lr(config: DictConfig) -> Resources:
    if config.lr == 3:
        raise ConfigError("hydra.sweeper.resources.gpus is 'x'; give a number")
    return Resources(cpus=config.lr)


def test_what_trials_hold_is_told_once_each_and_a_problem_of_it_is_one_of_the_config(composer: Composer) -> None:
    found = check(Space.parse(["lr=1,2", "model=mlp,cnn"], {}, composer.loader, {}), composer, by_lr)
    assert found == (Resources(cpus=1), Resources(cpus=2))
    assert problems(composer, ["lr=1,3"]) == ["hydra.sweeper.resources.gpus is 'x'; give a number"]


def test_a_sound_space_passes(composer: Composer) -> None:
    lines = ["model=mlp,cnn", "lr=interval(0,1)", "typed.count=range(3)", "+new=1,[a]", "optimizer.kind=a,b"]
    check(Space.parse(lines, {}, composer.loader, {"model=cnn": {"model.kernel": "3,5"}}), composer, by_lr)


def test_all_problems_are_told_with_their_keys(composer: Composer) -> None:
    told = problems(composer, ["lrr=interval(0,1)", "typed.count=1,two", "name=fixed", "nested.xyzzy=1", "lr=1,2"])
    assert told == [
        "nested.xyzzy=1: the config has no key nested.xyzzy; to add it as a new one write +nested.xyzzy",
        "lrr=0.0: the config has no key lrr, did you mean lr?; to add it as a new one write +lrr",
        "typed.count=two: Value 'two' of type 'str' could not be converted to Integer",
    ]


def test_an_interval_on_an_int_is_told(composer: Composer) -> None:
    (told,) = problems(composer, ["typed.count=interval(0,1)"])
    assert told == "typed.count=0.0: Value '0.0' of type 'float' could not be converted to Integer"


def test_a_key_that_only_one_branch_has_is_told_with_the_other(composer: Composer) -> None:
    (told,) = problems(composer, ["model=cnn,mlp", "model.kernel=3,5"])
    assert told.startswith("model.kernel=5: the config has no key model.kernel")
    assert told.endswith("(with model=mlp)")


def test_a_problem_deep_in_a_branch_is_found(composer: Composer) -> None:
    when: dict[str, dict[str, object]] = {
        "model=cnn": {"model.kernel": "1,2,3,4"},
        "model.kernel=4": {"typed.count": "5,six"},
    }
    told = problems(composer, ["model=mlp,cnn,odd", "lr=1,2"], when | {"lr=2": {"model.dpth": "1"}})
    assert {line.split(":")[0] for line in told} == {"typed.count=six", "model.dpth=1", "model.broken"}


def test_what_does_not_resolve_is_told(composer: Composer) -> None:
    (told,) = problems(composer, ["model=mlp,odd"])
    assert told.startswith("model.broken: ${nowhere} cannot be resolved")


def test_a_fixed_group_that_is_not_there_is_told(composer: Composer) -> None:
    (told,) = problems(composer, ["opt@optimizer=adamw", "lr=1,2"])
    assert told == "opt@optimizer=adamw: there is no config 'adamw' in this group, did you mean adam?; it has adam, sgd"

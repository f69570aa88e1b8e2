"""Space: expressions to distributions, the branches, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import optuna
import pytest
from hydra.core.config_loader import ConfigLoader
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from sweeper.errors import ConfigError
from sweeper.space import Space
from sweeper.trial import ParamValue
from tests.config.app import open_app, singletons_restored

Choice = CategoricalDistribution


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigLoader]:
    with singletons_restored():
        yield open_app(tmp_path_factory.mktemp("app")).loader


@pytest.mark.parametrize(
    ("expression", "distribution"),
    [
        ("interval(1, 5)", FloatDistribution(1.0, 5.0)),
        ("interval(start=-1, end=0.5)", FloatDistribution(-1.0, 0.5)),
        ("int(interval(1, 5))", IntDistribution(1, 5)),
        ("int(interval(3, 3))", IntDistribution(3, 3)),
        ("tag(log, interval(1e-5, 1e-1))", FloatDistribution(1e-5, 1e-1, log=True)),
        ("int(tag(log, interval(1, 64)))", IntDistribution(1, 64, log=True)),
        ("tag(log, int(interval(1, 64)))", IntDistribution(1, 64, log=True)),
        ("tag(note, interval(0, 1))", FloatDistribution(0.0, 1.0)),
        ("choice(a, b)", Choice(("a", "b"))),
        ("a,b", Choice(("a", "b"))),
        ("2,2.5,true,null,'1'", Choice((2, 2.5, True, None, "1"))),
        ("choice(null, 1)", Choice((None, 1))),
        ("choice('a,b', 'c d', \"e'f\", 'g\\\\\\'h')", Choice(("a,b", "c d", "e'f", "g\\'h"))),
        ("choice([1,2],[3,a])", Choice(("[1,2]", "[3,a]"))),
        ("choice({a:1},{b:[x,'y z']})", Choice(("{a:1}", "{b:[x,'y z']}"))),
        ("choice(${lr}, 'ü', '')", Choice(("${lr}", "ü", ""))),
        ("int(choice('1', 2.7))", Choice((1, 2))),
        ("shuffle(a, b)", Choice(("a", "b"))),
        ("shuffle(range(3))", IntDistribution(0, 2)),
        ("sort(3, 1, 2)", Choice((1, 2, 3))),
        ("range(1, 5)", IntDistribution(1, 4)),
        ("range(1, 10, 4)", IntDistribution(1, 9, step=4)),
        ("range(5, 1, -2)", IntDistribution(3, 5, step=2)),
        ("tag(log, range(1, 9))", IntDistribution(1, 8, log=True)),
        ("range(0, 0.9, 0.3)", FloatDistribution(0.0, 0.6, step=0.3)),
        ("range(1, 0, -0.25)", FloatDistribution(0.25, 1.0, step=0.25)),
        ("float(range(1, 4))", FloatDistribution(1.0, 3.0, step=1.0)),
    ],
)
def test_an_expression_becomes_its_distribution(
    loader: ConfigLoader, expression: str, distribution: BaseDistribution
) -> None:
    from_line = Space.parse([f"key={expression}"], {}, loader)
    from_params = Space.parse([], {"key": expression}, loader)
    assert from_line.distributions == from_params.distributions == {"key": distribution}
    assert repr(from_line.distributions) == repr({"key": distribution})  # 1 and 1.0 and True are told apart
    assert from_line.expressions == {"key": expression}
    assert from_line.fixed == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lr=interval(2, 1)", "low 2.0 is above high 1.0"),
        ("lr=interval(1, 1)", "the interval is empty; to fix the value write 1.0"),
        ("lr=interval(nan, 1)", "bounds must be finite"),
        ("lr=interval(0, inf)", "bounds must be finite"),
        ("lr=interval(-1e308, 1e308)", "overflows"),
        ("lr=interval('0', '1')", "incompatible"),
        ("lr=interval(true, 3)", "bounds are numbers"),
        ("lr=interval(0)", "missing a required argument: 'end'"),
        ("lr=int(interval(0.5, 3.7))", "0.5 is no whole number"),
        ("lr=int(range(0, 1, 0.5))", "0.5 is no whole number"),
        ("lr=int(interval(0, 9007199254740993))", "2^53"),
        ("lr=range(0, 9007199254740994)", "2^53"),
        ("lr=1,9007199254740993", "2^53"),
        ("lr=tag(log, interval(0, 1))", "a log scale starts above 0, not at 0.0"),
        ("lr=tag(log, interval(-1, 1))", "a log scale starts above 0"),
        ("lr=tag(log, int(interval(0, 9)))", "a log scale of ints starts at 1"),
        ("lr=tag(log, range(1, 9, 2))", "a log scale needs whole steps of 1"),
        ("lr=range(1, 5, 0)", "step 0"),
        ("lr=range(5, 1)", "the range is empty"),
        ("lr=range(0.5, 0.5)", "the range is empty"),
        ("lr=range(0, inf)", "finite"),
        ("lr=choice()", "empty choice"),
        ("lr=1,1", "choice 1 stands there twice"),
        ("lr=1,true", "choices 1 and True are equal but of different type"),
        ("lr=1,1.0", "choices 1 and 1.0 are equal but of different type"),
        ("lr=[1,2],'[1,2]'", "as text and as a value"),
        ("lr=choice(nan, 1)", "nan is no finite number"),
        ("lr=choice('???', 1)", "missing value"),
        ("lr='a\x00b',c", "no database keeps"),
        ("lr=interval(0, 1),2", "a sweep cannot be a choice of another sweep"),
        ("lr=[interval(0, 1)]", "a sweep cannot stand inside a list or dict"),
        ("lr=glob(*)", "no such group"),
        ("model=glob(z*)", "the glob matches nothing; the group has cnn, mlp"),
        ("model=mlp,cmn", "the config group has no 'cmn', it has cnn, mlp"),
        ("~model=mlp,cnn", "a deletion cannot be swept"),
        ("hydra.job.name=a,b", "Hydra's own settings cannot be swept"),
        ("hydra/launcher=a,b", "Hydra's own settings cannot be swept"),
        ("lr=intervall(0, 1)", "Unknown function 'intervall'"),
        ("lr=1,2,", "ends too early"),
        ("lr='a", "a quote is not closed"),
        ("lr=choice(a, b", "quote a value with special characters"),
        ("lr", "ends too early"),
        ("=1,2", "the key before '=' is missing"),
        ("lé=1,2", "a character needs quotes"),
        ("lr=" + "[" * 500 + "]" * 500, "nested too deeply"),
        (f"{'k' * 501}=1,2", "a key of 501 characters"),
        (f"lr={','.join(map(str, range(1001)))}", "1001 choices are more than the 1000"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(loader: ConfigLoader, line: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Space.parse([line], {}, loader)
    message = str(caught.value)
    assert told in message
    assert message.startswith(line.split("=")[0][:40])
    assert "\n" not in message


def test_all_problems_are_told_at_once(loader: ConfigLoader) -> None:
    with pytest.raises(ConfigError) as caught:
        Space.parse(["a=interval(2,1)", "b=1,1", "fine=1,2"], {"c": "range(0)", "d": "'"}, loader)
    assert [line[:2] for line in str(caught.value).splitlines()] == ["d=", "c=", "a=", "b="]


@pytest.mark.parametrize("lines", [["x=1", "x=2"], ["x=1,2", "x=3"], ["x=1", "+x=2"], ["+x=1", "++x=2"]])
def test_a_key_given_twice_is_refused(loader: ConfigLoader, lines: list[str]) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"twice, {lines[0]} and {lines[1]}")):
        Space.parse(lines, {}, loader)


def test_a_default_may_be_deleted_and_added_anew(loader: ConfigLoader) -> None:
    assert Space.parse(["~model", "+model=cnn"], {}, loader).fixed == ("~model", "+model=cnn")


def test_the_same_key_nested_and_dotted_is_refused(loader: ConfigLoader) -> None:
    with pytest.raises(ConfigError, match=r"nested\.a: hydra\.sweeper\.params has it twice"):
        Space.parse([], {"nested.a": "1,2", "nested": {"a": "3,4"}}, loader)


def test_a_key_that_is_no_text_is_refused(loader: ConfigLoader) -> None:
    with pytest.raises(ConfigError, match="key 3 is no text"):
        Space.parse([], {3: "1,2"}, loader)  # type: ignore[dict-item]


def test_the_command_line_wins_over_params(loader: ConfigLoader) -> None:
    params = {"lr": "interval(0,1)", "name": "a,b", "+new": "1,2", "layers": [1, "x y"], "nothing": None}
    space = Space.parse(["lr=0.5", "name=c,d", "++new=3"], params, loader)
    assert space.distributions == {"name": Choice(("c", "d"))}
    assert space.fixed == ("layers=[1,'x y']", "nothing=null", "lr=0.5", "++new=3")


def test_globs_choose_among_the_files_of_a_group(loader: ConfigLoader) -> None:
    space = Space.parse(["model=glob(*)", "opt@optimizer=glob(*, exclude=s*)"], {}, loader)
    assert space.distributions == {"model": Choice(("cnn", "mlp")), "opt@optimizer": Choice(("adam",))}


def test_which_keys_are_plain(loader: ConfigLoader) -> None:
    lines = ["model=mlp,cnn", "lr=1,2", "+new=1,2", "++name=1,2", "opt@optimizer=sgd,adam", "model.depth=1,2"]
    assert Space.parse(lines, {}, loader).plain_keys == {"lr", "model.depth"}


def test_suggest_asks_in_order_and_gives_the_type_of_the_distribution(loader: ConfigLoader) -> None:
    space = Space.parse(["a=interval(0,9)", "b=int(interval(0,9))", "c=true,'1',null"], {}, loader)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({"a": 1, "b": 2.0, "c": 1})
    trial = study.ask()
    params = space.suggest(trial)
    assert list(params) == list(trial.params) == ["a", "b", "c"]
    assert repr(params) == repr({"a": 1.0, "b": 2, "c": True})
    assert trial.distributions == space.distributions


WHEN = {
    "model=cnn": {"model.kernel": "choice(3,5)"},
    "model.kernel=5": {"model.stride": "int(interval(1,2))"},
}


def test_a_branch_is_active_only_with_its_choice(loader: ConfigLoader) -> None:
    space = Space.parse(["model=mlp,cnn"], {}, loader, WHEN)
    all_params = {"model": "mlp", "model.kernel": 5, "model.stride": 1}
    assert space.suggest(FixedTrial(all_params)) == {"model": "mlp"}
    assert space.suggest(FixedTrial(all_params | {"model": "cnn"})) == all_params | {"model": "cnn"}
    assert "model.stride" not in space.suggest(FixedTrial(all_params | {"model": "cnn", "model.kernel": 3}))
    assert space.when == {"model=cnn": ("model.kernel",), "model.kernel=5": ("model.stride",)}
    assert space.size() == 1 + 1 + 2


def test_children_come_after_their_parents_whatever_the_order_given(loader: ConfigLoader) -> None:
    space = Space.parse(["model=mlp,cnn"], {}, loader, dict(reversed(WHEN.items())))
    assert list(space.distributions) == ["model", "model.kernel", "model.stride"]


def test_a_condition_on_a_fixed_value_is_decided_at_once(loader: ConfigLoader) -> None:
    always = Space.parse(["model=cnn"], {}, loader, WHEN)
    assert always.suggest(FixedTrial({"model.kernel": 3})) == {"model.kernel": 3}
    assert Space.parse(["model=mlp"], {}, loader, WHEN).parameters == ()


def test_a_value_fixed_in_a_branch_is_a_choice_of_one(loader: ConfigLoader) -> None:
    space = Space.parse(["model=mlp,cnn"], {}, loader, {"model=cnn": {"model.kernel": 7, "layers": [1, 2]}})
    params = space.suggest(FixedTrial({"model": "cnn", "model.kernel": 7, "layers": "[1,2]"}))
    assert space.overrides(params) == ("model=cnn", "model.kernel=7", "layers=[1,2]")


def test_one_condition_may_name_several_choices(loader: ConfigLoader) -> None:
    space = Space.parse(["lr=1,2,3"], {}, loader, {"lr=1,3": {"name": "a,b"}})
    assert space.size() == 2 + 1 + 2


def test_a_fixed_value_takes_the_key_out_of_a_branch(loader: ConfigLoader) -> None:
    space = Space.parse(["model=mlp,cnn", "model.kernel=3"], {}, loader, {"model=cnn": {"model.kernel": "3,5"}})
    assert list(space.distributions) == ["model"]
    assert space.fixed == ("model.kernel=3",)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({"modle=cnn": {"a": "1,2"}}, "modle is neither swept nor fixed"),
        ({"model=vit": {"a": "1,2"}}, "is never exactly 'vit'"),
        ({"depth='2'": {"a": "1,2"}}, "is never exactly '2'"),
        ({"depth=9": {"a": "1,2"}}, "is never exactly 9"),
        ({"lr=0.5": {"a": "1,2"}}, "is never exactly 0.5"),
        ({"model=interval(0,1)": {"a": "1,2"}}, "a condition names one value or some"),
        ({"model=cnn": {"lr": "1,2"}}, "lr: swept for all trials and again when model=cnn"),
        ({"model=cnn": {"a": "1,2"}, "model=mlp": {"a": "1,3"}}, "a: 1,2 in one branch, 1,3 when model=mlp"),
        ({"a=1": {"b": "1,2"}, "b=1": {"a": "1,2"}}, "switch each other on"),
        ({"model=cnn": {"a": "interval(2,1)"}}, "a=interval(2,1): low 2.0 is above"),
        ({"model=cnn": None}, "stands a mapping"),
        ({"model": {"a": "1,2"}}, "ends too early"),
    ],
)
def test_branches_that_cannot_work_are_refused(loader: ConfigLoader, when: dict[str, object], told: str) -> None:
    lines = ["model=mlp,cnn", "depth=range(1,5)", "lr=interval(0,1)"]
    with pytest.raises(ConfigError, match=re.escape(told)):
        Space.parse(lines, {}, loader, when)  # type: ignore[arg-type]


def test_the_same_parameter_may_stand_in_two_branches(loader: ConfigLoader) -> None:
    space = Space.parse(["lr=1,2,3"], {}, loader, {"lr=1": {"name": "a,b"}, "lr=2": {"name": "a,b"}})
    assert space.size() == 2 + 2 + 1


def test_grid_has_every_value_and_names_what_has_no_end(loader: ConfigLoader) -> None:
    space = Space.parse(["a=range(0,1,0.1)", "b=1,null", "c=range(9,0,-4)"], {}, loader)
    assert space.grid() == {
        "a": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "b": [1, None],
        "c": [1, 5, 9],
    }
    assert space.size() == 60
    with pytest.raises(ConfigError) as caught:
        Space.parse(["a=interval(0,1)", "b=1,2", "c=interval(0,2)"], {}, loader).grid()
    assert [line[0] for line in str(caught.value).splitlines()] == ["a", "c"]


def test_a_grid_too_large_is_refused(loader: ConfigLoader) -> None:
    with pytest.raises(ConfigError, match="100,000,000 points"):
        Space.parse(["a=range(10000)", "b=range(10000)"], {}, loader).grid()


def test_examples_have_every_choice_end_and_branch(loader: ConfigLoader) -> None:
    lines = ["model=mlp,cnn", "a=interval(0,8)", "b=1,2,3,4,5", "c=int(interval(2,9))"]
    points = list(Space.parse(lines, {}, loader, WHEN).examples())
    seen = {(name, value) for point in points for name, value in point.items()}
    expected = {("model", "mlp"), ("model", "cnn"), ("a", 0.0), ("a", 4.0), ("a", 8.0), ("c", 2), ("c", 9)}
    assert expected | {("b", n) for n in range(1, 6)} <= seen
    assert {("model.kernel", 3), ("model.kernel", 5), ("model.stride", 1), ("model.stride", 2)} <= seen
    assert all(point["model"] == "cnn" for point in points if "model.kernel" in point)
    assert len(points) < 20


def test_overrides_of_names_that_the_space_does_not_know_come_last(loader: ConfigLoader) -> None:
    space = Space.parse(["b=1,2", "a=x,y", "name=z"], {}, loader)
    params: dict[str, ParamValue] = {"+extra": "a b", "a": "x", "b": 2}
    assert space.overrides(params) == ("name=z", "b=2", "a=x", "+extra='a b'")

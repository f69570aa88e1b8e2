"""What the task receives equals what the sampler chose, type included: through Hydra's real parser and composition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.trial import FixedTrial

from sweeper.config.compose import Composer
from sweeper.space import Space
from sweeper.space.expression import EXACT_INT, to_text
from tests.config.app import App, open_app, singletons_restored

CONFIG = {"config.yaml": "{x: null, a: {b: {c: null}}, hydra: {output_subdir: null}}", "model/m.yaml": "{}"}

# "${" starts an interpolation (tested by itself below), "???" is Hydra's missing value
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")).filter(
    lambda text: "${" not in text and text != "???"
)
tricky = st.text(st.sampled_from("ab1 ,'\"\\=:()[]{}$.-+~@#\tü\n"), max_size=8).filter(lambda t: "${" not in t)
words = st.sampled_from(["null", "True", "false", "inf", "nan", "1", "1.0", "1e3", "-", "", " ", "a,b", "[1]", "x=1"])
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(1 - EXACT_INT, EXACT_INT - 1)
scalars = st.none() | st.booleans() | numbers | texts | tricky | words
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
trees = st.recursive(
    scalars,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(keys.filter(lambda k: k.lower() not in {"null", "true", "false", "inf", "nan"}), below)
    ),
    max_leaves=5,
)
names = st.sampled_from(["x", "a.b.c", "++x", "+new.key", "++new"])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with singletons_restored():
        yield open_app(tmp_path_factory.mktemp("app"), CONFIG)


@pytest.fixture(scope="module")
def composer(app: App) -> Composer:
    return app.composer()


def exact(value: object) -> str:
    """Tells 1 from 1.0, True and '1', and 0.0 from -0.0."""
    return repr(value)


def received(composer: Composer, space: Space, name: str, value: Any) -> str:
    """What a task reads at `name` when the sampler has chosen `value`."""
    params = space.suggest(FixedTrial({name: value}))
    config = composer.compose(space.overrides(params), 0, "0").config
    key = name.lstrip("+")
    parent, _, last = key.rpartition(".")
    node: Any = OmegaConf.to_container(OmegaConf.select(config, parent) if parent else config)
    return exact(node[last])


def distinct(values: list[Any]) -> list[Any]:
    """Without those that a database could not tell apart; these are refused, as test_space.py shows."""
    kept: list[Any] = []
    for value in values:
        stored = to_text(value) if isinstance(value, (list, dict)) else value
        if all(stored != (to_text(other) if isinstance(other, (list, dict)) else other) for other in kept):
            kept.append(value)
    return kept


quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@quick
@given(names, st.lists(trees, min_size=2, max_size=4).map(distinct), st.data())
def test_choices_arrive_as_they_are(
    app: App, composer: Composer, name: str, values: list[Any], data: st.DataObject
) -> None:
    written = ",".join(map(to_text, values))
    as_list = len(values) > 1 and data.draw(st.booleans(), label="comma list")
    space = Space.parse([f"{name}={written if as_list else f'choice({written})'}"], {}, app.loader)
    (parameter,) = space.parameters
    index = data.draw(st.integers(0, len(values) - 1))
    stored = parameter.values()[index]
    if not isinstance(values[index], (list, dict)):
        assert exact(stored) == exact(values[index])  # what the sampler chooses and the database keeps
    assert received(composer, space, name, stored) == exact(values[index])


@settings(quick, max_examples=6)
@given(st.lists(keys, min_size=1, max_size=3), scalars)
def test_new_keys_of_any_name_arrive(app: App, composer: Composer, parts: list[str], value: Any) -> None:
    name = "+new." + ".".join(parts)
    space = Space.parse([f"{name}=choice({to_text(value)})"], {}, app.loader)
    assert received(composer, space, name, value) == exact(value)


@quick
@given(names, trees)
def test_fixed_values_arrive_as_they_are(app: App, composer: Composer, name: str, value: Any) -> None:
    params = {name: to_text(value) if isinstance(value, str) else value}
    assume(not (isinstance(value, dict) and value))  # a mapping in params is keys with dots
    space = Space.parse([], params, app.loader)
    assert space.parameters == ()
    config = composer.compose(space.overrides({}), 0, "0").config
    key = name.lstrip("+")
    parent, _, last = key.rpartition(".")
    node: Any = OmegaConf.to_container(OmegaConf.select(config, parent) if parent else config)
    assert exact(node[last]) == exact(value)


@quick
@given(names, st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.floats(0, 1))
@example("x", -0.0, 5e-324, 0.0)
def test_floats_arrive_to_the_last_bit(
    app: App, composer: Composer, name: str, one: float, other: float, share: float
) -> None:
    low, high = sorted((one, other))
    assume(low < high)
    space = Space.parse([f"{name}=interval({low!r}, {high!r})"], {}, app.loader)
    chosen = min(max(low + share * (high - low), low), high)
    assert received(composer, space, name, chosen) == exact(chosen)


@quick
@given(names, st.integers(1 - EXACT_INT, EXACT_INT - 1), st.integers(1, 1000), st.integers(1, 7), st.data())
def test_ints_arrive_as_ints(
    app: App, composer: Composer, name: str, start: int, length: int, step: int, data: st.DataObject
) -> None:
    assume(start + length < EXACT_INT)
    space = Space.parse([f"{name}=range({start}, {start + length}, {step})"], {}, app.loader)
    (parameter,) = space.parameters
    assert parameter.values() == list(range(start, start + length, step))
    chosen = data.draw(st.sampled_from(parameter.values()))
    assert received(composer, space, name, chosen) == exact(chosen)


@quick
@given(texts | tricky | words)
def test_hydras_parser_reads_text_back(text: str) -> None:
    value = OverridesParser.create().parse_override(f"key={to_text(text)}").value()
    assert value == text and type(value) is str


@pytest.mark.parametrize("raw", ["${x}", "${oc.env:HOME}", "a ${a.b.c}, '${x}'", "\\${x}"])
def test_interpolations_arrive_unresolved(app: App, composer: Composer, raw: str) -> None:
    space = Space.parse([f"a.b.c=choice(1, {to_text(raw)})"], {}, app.loader)
    assert received(composer, space, "a.b.c", raw) == exact(raw)


def test_the_composer_and_hydra_agree_on_sampled_points(app: App, composer: Composer) -> None:
    lines = ["x=choice(null,2,'2',true,[1,a],{b:'c, d'})", "a.b.c=interval(0,1)", "+new=a,'null'"]
    space = Space.parse(lines, {}, app.loader)
    for number, point in enumerate(space.examples()):
        overrides = space.overrides(point)
        mine = composer.compose(overrides, number, str(number)).config
        theirs = app.as_hydra_composes(overrides, number, str(number))
        assert exact(OmegaConf.to_container(mine)) == exact(OmegaConf.to_container(theirs))

"""Composer: the same config as Hydra's own, from a snapshot, and told clearly when there is none."""

from __future__ import annotations

import dataclasses
import enum
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import ReadonlyConfigError

from sweeper.config.compose import MOST_BASES, Composer, is_identical
from sweeper.config.resolve import resolve
from sweeper.errors import ConfigError
from tests.config.app import FILES, App, open_app, singletons_restored


class Colour(enum.Enum):
    red = 1
    green = 2


@dataclasses.dataclass
class Typed:
    count: int = 1
    share: float | None = 0.5
    colour: Colour = Colour.red
    sizes: list[int] = dataclasses.field(default_factory=lambda: [1])
    where: Path = Path("/tmp")


TYPED = FILES | {
    "config.yaml": FILES["config.yaml"].replace("_self_]", "{typed: base}, _self_]")
    + """
        stamp: ${now:%f}
        hydra:
          job: {config: {override_dirname: {kv_sep: ':', exclude_keys: [name]}}, env_copy: [SWEEPER_TEST]}
    """
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with singletons_restored(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_TEST", "copied")
        ConfigStore.instance().store(group="typed", name="base", node=Typed)
        yield open_app(tmp_path_factory.mktemp("app"), TYPED, ["hydra.job.chdir=true"])


@pytest.fixture(scope="module")
def warm(app: App) -> Composer:
    """For tests that do not care what was composed before."""
    return app.composer("warm")


@pytest.fixture
def composer(app: App, tmp_path: Path) -> Composer:
    return app.composer(tmp_path.name)


def same(one: Any, other: Any) -> bool:
    """is_identical, and the text that Hydra saves."""
    return is_identical(one, other) and OmegaConf.to_yaml(one) == OmegaConf.to_yaml(other)


SETS = [
    [],
    ["lr=0.5"],
    ["lr=1e-05", "name='a, b'", "nothing=null", "layers=[4,5]", "nested.a=true"],
    ["nested={a:5}", "nested.b.c=x", "layers.1=9"],
    ["model=cnn", "model.kernel=5", "lr=0.2"],
    ["opt@optimizer=adam", "optimizer.lr=1"],
    ["+new.key=3", "++lr=4", "~twice", "+nested.d={e:1}"],
    ["name='${lr}'", "missing=${oc.env:HOME}"],
    ["typed.count=3", "typed.colour=green", "typed.sizes=[1,2]", "typed.share=1", "typed.where=/var"],
    ["hydra.job.name=other", "lr=1"],
    ["hydra/job_logging=none", "lr=1"],
    ["+model@second=cnn", "second.kernel=9", "~opt@optimizer"],
]


@pytest.mark.parametrize("overrides", SETS, ids=",".join)
def test_the_config_is_hydras_own(app: App, warm: Composer, overrides: list[str]) -> None:
    theirs = app.as_hydra_composes(overrides, 7, "id7")
    for _ in range(3):  # fully, then checked, then quickly
        assert same(warm.compose(overrides, 7, "id7").config, theirs)


changes = st.sampled_from([line for overrides in SETS for line in overrides if not line.startswith("hydra")])


@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, unique_by=lambda line: line.split("=")[0], max_size=6))
def test_any_mixture_of_overrides_ends_as_in_hydra(app: App, warm: Composer, overrides: list[str]) -> None:
    try:
        theirs = app.as_hydra_composes(overrides, 1, "1")
    except Exception:
        with pytest.raises(ConfigError):
            warm.compose(overrides, 1, "1")
        return
    for _ in range(3):
        assert same(warm.compose(overrides, 1, "1").config, theirs)


def count_compositions(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    calls: list[Sequence[str]] = []
    original = ConfigLoaderImpl.load_sweep_config

    def counted(self: ConfigLoaderImpl, master: Any, overrides: list[str]) -> Any:
        calls.append(overrides)
        return original(self, master, overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    return calls


def test_plain_values_are_composed_fully_only_at_first(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_compositions(monkeypatch)
    for number in range(10):
        config = composer.compose(["model=cnn", f"lr={number}.5", "+new=1"], number, str(number)).config
        assert config.lr == number + 0.5
    assert calls == [["model=cnn", "lr=0.5", "+new=1"], ["model=cnn"], ["model=cnn", "lr=1.5", "+new=1"]]


def test_a_shape_that_does_not_come_out_right_is_always_composed_fully(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.config.compose.is_identical", lambda one, other: False)
    for number in range(3):
        composer.compose([f"lr={number}"], number, str(number))
    calls = count_compositions(monkeypatch)
    composer.compose(["lr=7"], 7, "7")
    assert calls == [["lr=7"]]
    composer.compose(["name=x"], 8, "8")  # another shape is checked anew
    assert calls == [["lr=7"], ["name=x"]]


def test_combinations_of_groups_are_kept_up_to_a_limit(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.config.compose.MOST_BASES", 1)
    assert MOST_BASES > 1
    for number in range(3):
        for model in ("mlp", "cnn"):
            composer.compose([f"model={model}", "lr=1"], number, str(number))
    assert len(composer._bases) == 1
    assert composer.compose(["model=mlp", "lr=2"], 9, "9").config.model.width == 8


def test_a_value_that_does_not_pickle_is_composed_fully(tmp_path: Path, hydra_restore_singletons: None) -> None:
    app = open_app(tmp_path)
    ConfigStore.instance().store(group="model", name="odd", node={"depth": dataclasses.make_dataclass("Local", [])})
    composer = app.composer()
    for number in range(3):
        mine = composer.compose(["model=odd", f"lr={number}"], number, str(number)).config
        assert mine.lr == number


def test_trials_do_not_share_what_they_change(warm: Composer) -> None:
    for _ in range(3):
        config = warm.compose(["lr=1", "layers=[7]"], 0, "0").config
        assert config.nested.a == 1 and config.layers == [7]
        config.nested.a = 100
        config.layers.append(8)


def test_flags_are_hydras(warm: Composer) -> None:
    for _ in range(3):
        config = warm.compose(["lr=1"], 0, "0").config
        with pytest.raises(Exception, match="not in struct"):
            config.unheard_of = 1


def test_a_readonly_config_stays_so(tmp_path: Path, hydra_restore_singletons: None) -> None:
    app = open_app(tmp_path)
    composer = app.composer()
    OmegaConf.set_readonly(app.master, True)
    for _ in range(3):
        config = composer.compose(["lr=1"], 0, "0").config
        config.lr = 2  # what Hydra composes is writable, whatever the master is
        OmegaConf.set_readonly(config, True)
        with pytest.raises(ReadonlyConfigError):
            config.lr = 3


def test_now_is_the_same_in_all_trials_once_the_master_has_it(app: App, warm: Composer) -> None:
    stamp = app.master.stamp
    assert {warm.compose([f"lr={number}"], number, "x").config.stamp for number in range(4)} == {stamp}


def test_copied_variables_are_those_of_the_moment(warm: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        warm.compose(["lr=1"], number, "0")
    monkeypatch.setenv("SWEEPER_TEST", "later")
    assert warm.compose(["lr=1"], 3, "3").config.hydra.job.env_set == {"SWEEPER_TEST": "later"}


def test_the_output_folder_is_known_to_the_config(tmp_path: Path, hydra_restore_singletons: None) -> None:
    app = open_app(tmp_path, overrides=["hydra.sweep.subdir=${hydra:job.name}_${hydra.job.num}"])
    composer = app.composer()
    for number in range(3):
        config = composer.compose(["+out=${hydra:runtime.output_dir}"], number, str(number)).config
        folder = f"{tmp_path}/out/app_{number}"
        assert config.hydra.runtime.output_dir == resolve(config)["out"] == folder


def test_an_output_folder_that_leads_nowhere_is_told(tmp_path: Path, hydra_restore_singletons: None) -> None:
    composer = open_app(tmp_path, overrides=["hydra.sweep.subdir=${nope}"]).composer()
    with pytest.raises(ConfigError, match=r"^the config cannot be composed: Interpolation key 'nope' not found$"):
        composer.compose([], 0, "0")


def test_an_edited_file_changes_no_later_trial(tmp_path: Path, hydra_restore_singletons: None) -> None:
    app = open_app(tmp_path)
    composer = app.composer()
    before = composer.compose(["model=cnn"], 0, "0").config
    for name, text in {"config.yaml": "lr: 9", "model/cnn.yaml": "kernel: 9", "model/vit.yaml": "{}"}.items():
        (app.conf / name).write_text(text)
    assert is_identical(composer.compose(["model=cnn"], 0, "0").config, before)
    assert composer.loader.get_group_options("model") == ["cnn", "mlp"]
    with pytest.raises(ConfigError, match="no config 'vit'"):
        composer.compose(["model=vit"], 0, "0")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lrr=1", "lrr=1: the config has no key lrr, did you mean lr?; to add it as a new one write +lrr"),
        ("optimzer.lr=1", "did you mean optimizer.lr?"),
        ("nested.b.xyzzy=1", "no key nested.b.xyzzy; to add"),
        ("kind=x", "did you mean optimizer.kind?"),
        ("modle=cnn", "did you mean model?"),
        ("model.kernel=1", "the config has no key model.kernel"),
        ("typed.counts=1", "did you mean typed.count?"),
        ("+lr=1", "An item is already at 'lr'"),
        ("~foo", "'foo' does not exist"),
        ("++model=cnn", "force-add of config groups is not supported"),
        ("model=cmn", "there is no config 'cmn' in this group, did you mean cnn?; it has cnn, mlp"),
        ("model=1", "must be a string or a list"),
        ("opt=adam", "Did you mean to override opt@optimizer?"),
        ("typed.count=abc", "Value 'abc' of type 'str' could not be converted to Integer"),
        ("typed.count=0.5", "could not be converted to Integer"),
        ("typed.colour=blue", "expected one of [red, green]"),
        ("typed.sizes=[a]", "could not be converted to Integer"),
        ("layers.9=1", "list index out of range"),
        ("layers.a=1", "invalid literal for int()"),
        ("name='${a'", "no viable alternative"),
        ("+foo@bar=1", "config group 'foo' does not exist"),
        ("lr='a", "lr='a: "),
        ("lr=1,2", "Ambiguous value"),
    ],
)
def test_what_hydra_refuses_is_told_in_one_line(warm: Composer, line: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        warm.compose(["name=fine", line], 0, "0")
    message = str(caught.value)
    assert message.startswith(line) and told in message
    assert "\n" not in message


def test_all_that_hydra_refuses_is_told_at_once(warm: Composer) -> None:
    with pytest.raises(ConfigError) as caught:
        warm.compose(["lrr=1", "model=cmn", "lr=2", "opt@optimizer=adam", "typed.count=x"], 0, "0")
    lines = str(caught.value).splitlines()
    assert [line.split("=")[0] for line in lines] == ["model", "lrr", "typed.count"]
    assert lines[1].endswith("(with opt@optimizer=adam)")


def test_what_hydra_refuses_is_composed_fully_once_where_its_base_is_known(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        composer.compose([f"lr={number}"], number, str(number))
    calls = count_compositions(monkeypatch)
    with pytest.raises(ConfigError, match="the config has no key lrr"):
        composer.compose(["lrr=1"], 2, "2")
    assert calls == [["lrr=1"]]


def test_a_group_that_must_be_chosen_is_asked_for(tmp_path: Path, hydra_restore_singletons: None) -> None:
    files = FILES | {"config.yaml": "{defaults: [{model: '???'}, {opt: '???'}, _self_], lr: 1}"}
    composer = open_app(tmp_path, files).composer()
    with pytest.raises(ConfigError, match=r"^the config cannot be composed: .*You must specify 'opt'.* adam sgd$"):
        composer.compose(["model=mlp"], 0, "0")
    with pytest.raises(ConfigError, match=r"^model=cmn: there is no config 'cmn'"):
        composer.compose(["opt=sgd", "model=cmn"], 0, "0")
    with pytest.raises(ConfigError, match=r"^opt=agd: .*did you mean sgd\?"):
        composer.compose(["lr=2", "model=mlp", "opt=agd"], 0, "0")


def test_a_broken_file_is_named(tmp_path: Path, hydra_restore_singletons: None) -> None:
    app = open_app(tmp_path, FILES | {"model/broken.yaml": "{a: ["})
    with pytest.raises(ConfigError, match=r"(?s)^model=broken: .*broken\.yaml"):
        app.composer().compose(["model=broken"], 0, "0")


def test_what_a_missing_variable_breaks_is_told(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEPER_TEST")
    assert "SWEEPER_TEST" not in os.environ
    with pytest.raises(ConfigError, match=r"^the config cannot be composed: KeyError: .*SWEEPER_TEST"):
        composer.compose(["lr=1"], 0, "0")

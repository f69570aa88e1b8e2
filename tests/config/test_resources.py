from __future__ import annotations

import pytest

from sweeper.config.resources import read
from sweeper.errors import ConfigError
from sweeper.trial import Resources


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, Resources()),
        ({"cpus": 0, "gpus": 0.25}, Resources(0.0, 0.25)),
        ({"gpus": "2", "accelerator": "H100"}, Resources(gpus=2.0, accelerators=("H100",))),
        ({"gpus": "auto"}, Resources(gpus=1.0, is_packed=True)),
        ({"gpu_memory": "12GiB"}, Resources(gpu_memory=12 << 30)),
        ({"gpu_memory": "1.5 gb"}, Resources(gpu_memory=1_500_000_000)),
        ({"accelerator": ["A100", "H100"], "nodes": 2}, Resources(accelerators=("A100", "H100"), nodes=2)),
        ({"label_selector": {"b": 1, "a": "!x"}}, Resources(labels=(("a", "!x"), ("b", "1")))),
        ({"custom": {"licence": 1}}, Resources(custom=(("licence", 1.0),))),
    ],
)
def test_what_is_meant(given: dict[str, object], found: Resources) -> None:
    assert read(given) == found


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cpus": -1}, "cpus is -1; give a number from 0"),
        ({"gpus": 1.5}, "gpus is 1.5; give 0, a fraction of one such as 0.25, a whole number, or auto"),
        ({"gpus": "many"}, "gpus is 'many'"),
        ({"gpu_memory": "12 apples"}, "gpu_memory is '12 apples'; give bytes of each card"),
        ({"accelerator": [1]}, "accelerator is [1]"),
        ({"label_selector": "x"}, "label_selector is 'x'"),
        ({"custom": {"licence": -1}}, "custom is {'licence': -1}"),
        ({"nodes": 0}, "nodes is 0; give how many nodes a trial runs on, from 1"),
        ({"nodes": 2, "gpus": 0.5}, "a trial on 2 nodes takes whole cards on each; gpus is 0.5"),
        ({"nodes": 2, "gpus": "auto"}, "gpus=auto packs trials that fit on one card; nodes is 2"),
    ],
)
def test_what_cannot_be_meant_names_its_key(given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(given)
    assert told in str(caught.value) and str(caught.value).startswith("hydra.sweeper.resources")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"cpus": "x", "gpus": "y"})
    assert len(str(caught.value).splitlines()) == 2

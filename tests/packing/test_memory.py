"""The model of peak memory: what it has learnt from, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.packing.memory import MemoryModel, _Alike

GIB = 1 << 30


def test_the_columns_of_a_parameter_share_a_length_and_its_gradient_is_right() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4))
    kernel = _Alike(np.array([0.7, 1.9]), owners=(0, 1, 1, 1))
    _, gradient = kernel(x, eval_gradient=True)
    assert gradient.shape == (6, 6, 2)
    step = 1e-6
    for place in range(2):
        above, below = (kernel.clone_with_theta(kernel.theta + sign * step * np.eye(2)[place])(x) for sign in (1, -1))
        assert gradient[..., place] == pytest.approx((above - below) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("params", [{}, {"arch": "a"}, {"lr": 1}, {"arch": "a", "lr": 2, "on": True}])
def test_it_learns_of_any_parameters_also_of_none_that_vary(params: dict[str, object]) -> None:
    model = MemoryModel([params] * 12, [2 * GIB] * 12)
    assert 2 * GIB <= model.bound(params, 80 * GIB) <= 2.2 * GIB


def test_it_is_sure_once_twice_as_many_trials_are_known_as_it_has_numbers() -> None:
    rng = np.random.default_rng(0)
    params = [{"a": float(rng.uniform()), "b": str(rng.integers(7))} for _ in range(8)]  # 2 lengths, height and noise
    peaks = [int(rng.uniform(1, 4) * GIB) for _ in params]
    assert MemoryModel(params, peaks).is_sure
    assert not MemoryModel(params[1:], peaks[1:]).is_sure

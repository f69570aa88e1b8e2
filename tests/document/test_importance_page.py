"""Figures of importance: what is drawn is what was computed, all of it on the paper, whatever the names."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweeper.document.importance_bars import draw_bars
from sweeper.document.importance_page import draw_page
from sweeper.document.ink import BLUE, PALE, save
from sweeper.document.marginals import draw_curves, draw_maps
from sweeper.errors import NotFound
from sweeper.importance import Importance, curve, evaluate
from tests.document.paper import assert_on_paper, texts
from tests.importance.sweeps import Space, random_sweep

SPACE: Space = {
    "optimizer.lr": FloatDistribution(1e-5, 1e-1, log=True),
    "act": CategoricalDistribution(["relu", "tanh"]),
    "depth": IntDistribution(1, 20),
    "fixed": IntDistribution(3, 3),
}


def sweep(count: int) -> list[FrozenTrial]:
    return random_sweep(
        SPACE, lambda p: -abs(math.log10(p["optimizer.lr"]) + 2) * (2 if p["act"] == "relu" else 1), count
    )


@pytest.fixture(scope="module")
def importance() -> Importance:
    return evaluate(sweep(120), pairs="all", resamples=5, n_trees=16)


def test_bars_are_as_long_as_the_shares(importance: Importance) -> None:
    figure = draw_bars(importance, target="accuracy")
    (axes,) = figure.axes
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    shares = [*importance.importances.values(), 1 - sum(importance.importances.values())]
    assert [bar.get_width() for bar in bars] == pytest.approx(shares)
    assert [label.get_text() for label in axes.get_yticklabels()][:-1] == list(importance.importances)
    low, high = importance.intervals["optimizer.lr"]
    assert any(np.allclose(line.get_xdata(), [low, high]) for line in axes.lines)
    assert {to_hex(bar.get_facecolor()) for bar in bars[:-1]} == {BLUE.lower()}
    assert_on_paper(figure)


def test_many_short_bars_are_one() -> None:
    space: Space = {f"x{i}": FloatDistribution(0, 1) for i in range(12)}
    found = evaluate(random_sweep(space, lambda p: p["x3"], 150), n_trees=8)
    (axes,) = draw_bars(found, target="accuracy").axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [*list(found.importances)[:6], "6 more together", "interactions, noise"]
    (others,) = (bar.get_width() for bar, label in zip(axes.patches, labels, strict=True) if "more" in label)
    assert others == pytest.approx(sum(list(found.importances.values())[6:]))


def test_bars_not_to_be_believed_look_it() -> None:
    generator = np.random.default_rng(0)
    noise = evaluate(random_sweep(SPACE, lambda _: float(generator.normal()), 40), n_trees=8)
    figure = draw_bars(noise, target="accuracy")
    assert "too little to believe" in figure.axes[0].get_title(loc="left")
    assert to_hex(figure.axes[0].patches[0].get_facecolor()) == PALE.lower()


def test_curves_are_the_marginals(importance: Importance) -> None:
    figure = draw_curves(
        importance, target="accuracy", direction=StudyDirection.MAXIMIZE, names=["optimizer.lr", "act"]
    )
    assert importance.forest is not None
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left").split()[0] for axes in drawn] == ["optimizer.lr", "act"]
    expected = curve(importance.forest, "optimizer.lr")
    line, best = drawn[0].lines
    assert np.allclose(line.get_ydata(), expected.mean)
    assert np.allclose(line.get_xdata(), np.array(expected.axis.values))
    assert drawn[0].get_xscale() == "log"
    assert best.get_ydata()[0] == pytest.approx(expected.mean.max())
    assert [label.get_text() for label in drawn[1].get_xticklabels()] == ["relu", "tanh"]
    assert_on_paper(figure)


def test_a_curve_of_an_unknown_parameter_is_refused(importance: Importance) -> None:
    with pytest.raises(NotFound, match="'drop' did not vary"):
        draw_curves(importance, target="accuracy", names=["drop"])


def test_the_strongest_pair_is_mapped_first(importance: Importance) -> None:
    figure = draw_maps(importance, target="accuracy")
    first = figure.axes[0]
    assert (first.get_xlabel(), first.get_ylabel()) == ("optimizer.lr", "act")
    share = importance.pairs["optimizer.lr*act"]
    assert first.get_title(loc="left").startswith("interaction: ")
    assert share == max(importance.pairs.values())
    assert f"{share:.1%}" in first.get_title(loc="left") or f"{share:.0%}" in first.get_title(loc="left")
    chosen = draw_maps(importance, target="accuracy", pairs=[("depth", "act")])
    assert chosen.axes[0].get_xlabel() == "depth"


@pytest.mark.slow
def test_the_page_has_everything_and_stays_on_the_paper(importance: Importance, tmp_path: Path) -> None:
    figure = draw_page(importance, study="digits", target="accuracy", direction=StudyDirection.MAXIMIZE)
    words = "\n".join(texts(figure))
    said = ("digits: what moved accuracy", "optimizer.lr moved accuracy most", "foretells", "higher is better")
    for expected in (*said, "120 of 120 trials used", "fixed", "never varied"):
        assert expected in words
    assert_on_paper(figure)
    save(figure, tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_trials_make_a_page_too(count: int, tmp_path: Path) -> None:
    figure = draw_page(evaluate(sweep(count), pairs="all", n_trees=8), study="digits", target="accuracy")
    assert_on_paper(figure)
    save(figure, tmp_path / "page.png")
    assert f"{count} of {count} trials used" in "\n".join(texts(figure))


@pytest.mark.slow
def test_hostile_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    long = "group." * 12
    space: Space = {
        "$x_1$": FloatDistribution(0, 1),
        "学習率": FloatDistribution(0, 1),
        "a\x1b[31m\nb": CategoricalDistribution(["$", "very long choice number one", "\x07", "%s"]),
        **{f"{long}{i}": FloatDistribution(0, 1) for i in range(25)},
    }
    found = evaluate(random_sweep(space, lambda p: p["$x_1$"], 40), pairs=[("$x_1$", "学習率")], n_trees=8)
    figure = draw_page(found, study="st$udy\x1b" * 40, target="$y$\n" * 40)
    assert_on_paper(figure)
    save(figure, tmp_path / "page.png")
    assert not any("\x1b" in text for text in texts(figure))

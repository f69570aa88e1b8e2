"""What the forest predicts along one factor, or two, averaged over all the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sweeper.errors import NotFound
from sweeper.importance.boxes import Boxes, unfold
from sweeper.importance.forest import Forest, Tree
from sweeper.importance.scale import Choices, Floats, Levels, Scale, cumulated

CURVE_POINTS = 101
MAP_POINTS = 41
MOST_LEVELS = 200  # a longer list of numbers is drawn at as many points as an interval


@dataclass(frozen=True, eq=False)
class Axis:
    """Where a curve or a map is evaluated: values of one factor, rising where they have an order."""

    name: str
    values: tuple[object, ...]  # (points,)
    shares: Floats  # (points,) where they lie in the factor's measure
    is_log: bool
    is_ordered: bool


@dataclass(frozen=True, eq=False)
class Curve:
    """The marginal of one factor: the target expected at each of its values, all else averaged."""

    axis: Axis
    mean: Floats  # (points,) in the target's units
    std: Floats  # (points,) between trees


@dataclass(frozen=True, eq=False)
class Map:
    """The joint marginal of two factors, in the target's units; `mean[i, j]` at (x.values[j], y.values[i])."""

    x: Axis
    y: Axis
    mean: Floats  # (y points, x points)


def curve(forest: Forest, name: str, *, points: int = CURVE_POINTS) -> Curve:
    """The marginal curve of a factor. Raises `NotFound` if the forest knows no such factor."""
    column = _column(forest, name)
    axis = _axis(name, forest.factors[column].scale, points)
    found = []
    for boxes, tree, number in _trees(forest):
        leaves = boxes.leaves(number)
        height = boxes.value[leaves] * boxes.volume[leaves]
        found.append(boxes.mean[number] + height @ _held(boxes, number, tree, axis, forest, column))
    marginals = np.array(found)
    mean = forest.offset + forest.unit * marginals.mean(axis=0)
    return Curve(axis, mean, forest.unit * marginals.std(axis=0))


def joint(forest: Forest, x: str, y: str, *, points: int = MAP_POINTS) -> Map:
    """The joint marginal of two factors. Raises `NotFound` if the forest knows no such factor."""
    columns = _column(forest, x), _column(forest, y)
    axes = [_axis(forest.factors[c].name, forest.factors[c].scale, points) for c in columns]
    total = np.zeros((len(axes[1].shares), len(axes[0].shares)))
    for boxes, tree, number in _trees(forest):
        leaves = boxes.leaves(number)
        height = boxes.value[leaves] * boxes.volume[leaves]
        across, along = (_held(boxes, number, tree, axis, forest, c) for axis, c in zip(axes, columns, strict=True))
        total += boxes.mean[number] + along.T @ (height[:, None] * across)
    return Map(axes[0], axes[1], forest.offset + forest.unit * total / len(forest.trees))


def _column(forest: Forest, name: str) -> int:
    names = [factor.name for factor in forest.factors]
    if name not in names:
        raise NotFound(f"{name!r} did not vary in these trials; those that did are {', '.join(names)}")
    return names.index(name)


def _axis(name: str, scale: Scale, points: int) -> Axis:
    if isinstance(scale, Choices) or (isinstance(scale, Levels) and scale.size <= MOST_LEVELS):
        is_log = isinstance(scale, Levels) and scale.is_log
        return Axis(name, tuple(scale.values), scale.middles(), is_log, isinstance(scale, Levels))
    shares = np.linspace(0, 1, points)
    shares[-1] = np.nextafter(1.0, 0.0)
    return Axis(name, tuple(scale.values_at(scale.draw(shares))), shares, scale.is_log, True)


def _trees(forest: Forest) -> Iterator[tuple[Boxes, Tree, int]]:
    """Each tree with the boxes it lies in and its number among them."""
    trees = iter(forest.trees)
    for boxes in unfold(forest):
        for number in range(boxes.n_trees):
            yield boxes, next(trees), number


def _held(boxes: Boxes, number: int, tree: Tree, axis: Axis, forest: Forest, column: int) -> Floats:
    """(leaves, points) 1 / side where a leaf of the tree holds the point, else 0."""
    shares = axis.shares
    scale = forest.factors[column].scale
    if isinstance(scale, Choices):
        order = tree.orders[column]
        weights = np.empty(scale.size)
        weights[order] = scale.weights
        shares = (cumulated(weights)[:-1] + weights / 2)[order]
    leaves = boxes.leaves(number)
    cuts = boxes.cuts[column].shares
    low, high = (cuts[side[column, leaves]][:, None] for side in (boxes.low, boxes.high))
    held: Floats = ((low <= shares) & (shares < high)) / np.where(high > low, high - low, 1.0)
    return held

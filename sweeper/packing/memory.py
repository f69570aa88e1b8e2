"""A model of peak memory over parameters, with a bound that few trials pass.

A Gaussian process on the logarithm of bytes, as rough as memory is over parameters (Matérn, 5/2): far from what it has
seen its bound rises by itself, so that a trial unlike the others is given room. How wide the bound must be is told by
the residuals of each trial left out in turn, by their closed form (Rasmussen and Williams, Gaussian Processes for
Machine Learning, 2006, eq. 5.10–5.12).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

from sweeper.packing.growth import Params

_MOST_FITTED = 160  # trials whose peaks lengths and noise are fitted to: that takes a second
_MOST = 1000  # trials that tell of others
_LEAST_WIDTH = 2.0  # standard deviations: 2.3% of a normal distribution are above
_LEAST_SPREAD = 0.01  # of the logarithm: two runs of one trial differ by that much


@dataclass(frozen=True, slots=True)
class _Column:
    """One parameter as numbers."""

    name: str
    choices: tuple[str, ...] | None  # None: a number
    is_log: bool
    middle: float = 0.0
    scale: float = 1.0

    def values(self, params: Params) -> list[float]:
        given = params.get(self.name)
        if self.choices is not None:
            return [float(str(given) == choice) for choice in self.choices]
        if not isinstance(given, (int, float)):
            return [0.0]  # it does not take part in this trial
        number = math.log(given) if self.is_log and given > 0 else float(given)
        return [(number - self.middle) / self.scale]


class _Alike(Matern):  # type: ignore[misc]  # scikit-learn has no types
    """Matérn's kernel with one length for all columns of a parameter: few trials tell little of each of its choices."""

    def __init__(
        self,
        length_scale: NDArray[np.float64] | float = 1.0,
        length_scale_bounds: tuple[float, float] = (0.3, 1e2),
        nu: float = 2.5,
        owners: tuple[int, ...] = (),
    ) -> None:
        super().__init__(length_scale, length_scale_bounds, nu)
        self.owners = owners  # by column, which length is its

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:  # noqa: N803 -- scikit-learn's names
        columns = Matern(np.atleast_1d(self.length_scale)[list(self.owners)], nu=self.nu)
        if not eval_gradient:
            return columns(X, Y)
        value, gradient = columns(X, eval_gradient=True)
        own = np.equal.outer(self.owners, np.arange(max(self.owners) + 1)).astype(float)
        return value, gradient @ own  # by the logarithm of a length, which its columns share


class MemoryModel:
    """Fitted to the peaks of some trials, in bytes."""

    @threadpool_limits.wrap(limits=1)  # type: ignore[untyped-decorator]  # threadpoolctl has no types
    def __init__(self, params: Sequence[Params], peaks: Sequence[int]) -> None:
        # On one thread: on matrices this small several only wait for each other, and beside trials for them as well.
        params, peaks = params[-_MOST:], peaks[-_MOST:]
        self._columns = _columns(params)
        x, y = self._matrix(params), np.log(np.maximum(np.asarray(peaks, dtype=float), 1.0))
        kernel = _fitted(self._kernel(), x[-_MOST_FITTED:], y[-_MOST_FITTED:])
        self._process = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=None).fit(x, y)
        self._foretold: dict[tuple[tuple[str, object], ...], tuple[float, float]] = {}
        self.is_sure = len(peaks) >= 2 * len(kernel.theta)  # else lengths and noise may be anything
        fitted_to = min(len(peaks), _MOST_FITTED)
        free = max(fitted_to - len(kernel.theta), 1)  # of the trials, those that the fit does not use up
        self._width = max(_LEAST_WIDTH, _worst_left_out(self._process)) * math.sqrt(fitted_to / free)

    def foretold(self, params: Params) -> tuple[float, float]:
        """The logarithm of the bytes that is expected of a trial with these parameters, and its standard deviation."""
        trial = tuple(params.items())
        if trial not in self._foretold:  # one that waits is asked about whenever anything changes
            mean, spread = self._process.predict(self._matrix([params]), return_std=True)
            self._foretold[trial] = float(mean[0]), max(float(spread[0]), _LEAST_SPREAD)
        return self._foretold[trial]

    def bound(self, params: Params, card: int) -> int:
        """Bytes that a trial with these parameters may be taken to need on a card of so many."""
        expected, spread = self.foretold(params)
        return bound(expected, self._width * spread, card)

    def _kernel(self) -> Kernel:
        owners = [owner for owner, column in enumerate(self._columns) for _ in column.choices or ("",)]
        alike = _Alike(np.full(len(self._columns), 2.0), owners=tuple(owners))
        return ConstantKernel(1.0, (1e-2, 1e3)) * alike + WhiteKernel(1e-2, (1e-5, 1.0))

    def _matrix(self, params: Sequence[Params]) -> NDArray[np.float64]:
        rows = [[value for column in self._columns for value in column.values(one)] for one in params]
        return np.asarray(rows, dtype=float).reshape(len(params), -1)


def bound(expected: float, error: float, card: int) -> int:
    """Bytes that a trial may be taken to need on a card of so many, by their logarithm and the error that it may have.

    Where several share a card, what one takes too much another leaves: of k trials the errors add up to the root of k
    times one's, so each needs that much less room beside what is expected of it.
    """
    together = max(1.0, card / math.exp(min(expected + error, 60.0)))
    return int(math.exp(min(expected + error / math.sqrt(together), 60.0)))


def _fitted(kernel: Kernel, x: NDArray[np.float64], y: NDArray[np.float64]) -> Kernel:
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its limit: the parameter does not matter
        return process.fit(x, y).kernel_


def _columns(params: Sequence[Params]) -> list[_Column]:
    """Those that vary; one of zeros where none does."""
    columns = []
    for name in sorted({name for one in params for name in one}):
        given = [one[name] for one in params if name in one]
        if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in given):
            numbers = np.asarray(given, dtype=float)
            is_log = bool((numbers > 0).all() and numbers.max() / numbers.min() > 4)
            numbers = np.log(numbers) if is_log else numbers
            columns.append(_Column(name, None, is_log, float(numbers.mean()), float(numbers.std()) or 1.0))
        else:
            columns.append(_Column(name, tuple(sorted({str(value) for value in given})), is_log=False))
    return columns or [_Column("", None, is_log=False)]


def _worst_left_out(process: GaussianProcessRegressor) -> float:
    """How many standard deviations a trial was above what the others had told of it, at most."""
    inverse = np.linalg.inv(process.L_ @ process.L_.T)
    diagonal = np.diag(inverse)
    above = process.alpha_.reshape(-1) / np.sqrt(diagonal)
    return float(np.quantile(above, 1 - 1 / max(len(above), 2) if len(above) < 100 else 0.99))

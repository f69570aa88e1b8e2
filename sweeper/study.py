"""The study: opens or resumes it, asks its sampler for trials and tells it how they ended, one call at a time."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution, check_distribution_compatibility
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler, QMCSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper.errors import ConfigError
from sweeper.space import Space
from sweeper.trial import Ended, ParamValue, Reported

T = TypeVar("T")
Suggest = Callable[[optuna.Trial], dict[str, ParamValue]]

# System attributes of a trial
_ATTEMPT = "sweeper:attempt"  # how often it was started before
_RETRIED = "sweeper:retried"  # how often of these because of how the attempt ended
_ENUMERATES = (
    QMCSampler,
    GridSampler,
    BruteForceSampler,
)  # they go on from the trials there are, whatever the seed


@dataclass(frozen=True, slots=True)
class Objective:
    """What is optimized: a direction for each value, and their names where the task returns a mapping."""

    directions: tuple[str, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, direction: object) -> Objective:
        """Read `hydra.sweeper.direction`: a word, a list of words, or a mapping from name to word."""
        names: tuple[str, ...] = ()
        if isinstance(direction, Mapping):
            names, words = tuple(map(str, direction)), list(direction.values())
        else:
            words = (
                list(direction) if isinstance(direction, Sequence) and not isinstance(direction, str) else [direction]
            )
        spelt = tuple(getattr(word, "name", str(word)).lower() for word in words)
        wrong = [word for word in spelt if word not in {"minimize", "maximize"}]
        if wrong or not spelt:
            raise ConfigError(f"hydra.sweeper.direction is {direction}; each direction must be minimize or maximize")
        return cls(spelt, names)


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial that the sampler has just chosen, or one that was given back and is tried again."""

    trial: optuna.Trial
    number: int
    attempt: int
    params: Mapping[str, ParamValue]
    retried: int = 0  # attempts that were made because of how the one before had ended


class AskTellStudy(optuna.Study):
    """Optuna's study, for samplers that end a study by `stop`, which Optuna allows within `optimize` alone."""

    is_exhausted = False

    def stop(self) -> None:
        self.is_exhausted = True


class Study:
    """Asks and tells on one thread of its own, so that a slow sampler or database never holds up the loop.

    Calls are answered in the order in which they were made: the same seed and the same order of completions give the
    same suggestions.
    """

    def __init__(self, study: AskTellStudy, suggest: Suggest, n_trials: int) -> None:
        self.optuna = study
        self._suggest = suggest
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sweeper-study")
        self._left = n_trials - sum(1 for trial in _trials(study) if trial.state != TrialState.WAITING)
        self._prunes = not isinstance(study.pruner, NopPruner)

    async def ask(self) -> Asked | None:
        """The next trial; None once the study has its `n_trials`, or its sampler has no point left."""
        return await self._call(self._ask)

    async def should_prune(self, asked: Asked, reports: Sequence[Reported]) -> bool:
        """Take note of the reports, and say whether the pruner gives the trial up at the last of them."""
        return await self._call(lambda: self._judge(asked, reports))

    async def tell(self, asked: Asked, ended: Ended) -> None:
        """Write down how the trial ended; durable when it returns."""
        await self._call(lambda: tell(self.optuna, asked.trial, ended))

    async def give_back(self, asked: Asked) -> None:
        """Put an interrupted trial back in line: it will be tried again under its number, with its params."""
        await self._call(lambda: self._give_back(asked))

    async def retry(self, asked: Asked) -> None:
        """Put a trial back in line because of how its attempt ended; durable when it returns."""
        await self._call(lambda: self._retry(asked))

    def close(self) -> None:
        self._thread.shutdown()

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _ask(self) -> Asked | None:
        if self._left <= 0 or self.optuna.is_exhausted:
            return None
        self._left -= 1
        trial = self.optuna.ask()
        try:
            params = self._suggest(trial)
        except BaseException:
            self.optuna.tell(trial, state=TrialState.FAIL)
            raise
        attributes = self.optuna._storage.get_trial_system_attrs(trial._trial_id)
        return Asked(trial, trial.number, attributes.get(_ATTEMPT, 0), params, attributes.get(_RETRIED, 0))

    def _give_back(self, asked: Asked) -> None:
        give_back(self.optuna, asked.trial._trial_id, asked.attempt)
        self._left += 1

    def _retry(self, asked: Asked) -> None:
        self.optuna._storage.set_trial_system_attr(asked.trial._trial_id, _RETRIED, asked.retried + 1)
        self._give_back(asked)

    def _judge(self, asked: Asked, reports: Sequence[Reported]) -> bool:
        if len(self.optuna.directions) > 1:
            return False  # Optuna prunes for one objective alone; the points are kept as metrics all the same
        for report in reports:
            if report.step >= 0:
                asked.trial.report(report.value, report.step)
        return self._prunes and bool(reports) and asked.trial.should_prune()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is opened with."""

    name: str
    objective: Objective
    sampler: DictConfig
    pruner: DictConfig
    seed: int


def open_study(plan: Plan, space: Space, storage: BaseStorage) -> AskTellStudy:
    """Create the study, or load it. Raises ConfigError where it was made with other directions or another space."""
    directions: list[Any] = list(plan.objective.directions)
    created = optuna.create_study(storage=storage, study_name=plan.name, directions=directions, load_if_exists=True)
    _check_directions(plan, [direction.name.lower() for direction in created.directions])
    trials = created.get_trials(deepcopy=False)
    _check_space(plan.name, space, trials)
    study = AskTellStudy(
        plan.name,
        storage,
        _sampler(plan, space, len(trials)),
        _pruner(plan),
    )
    if plan.objective.names and not trials:
        study.set_metric_names(list(plan.objective.names))
    return study


def give_back(study: optuna.Study, trial_id: int, attempt: int) -> None:
    """Put an interrupted trial back in line: it keeps its number and params, and its next attempt is counted."""
    study._storage.set_trial_system_attr(trial_id, _ATTEMPT, attempt + 1)
    study._storage.set_trial_state_values(trial_id, TrialState.WAITING)


def tell(study: optuna.Study, trial: optuna.Trial | int, ended: Ended) -> None:
    """Write down how a trial, or the one of this number, ended."""
    if ended.state == TrialState.COMPLETE:
        study.tell(trial, list(ended.values or ()))
    else:
        study.tell(trial, state=ended.state)


def enqueue(study: AskTellStudy, points: Sequence[object], space: Space) -> None:
    """Put known points in line before the sampler's own; the same point is not put there twice."""
    problems = []
    for point in points:
        if not isinstance(point, Mapping):
            problems.append(f"hydra.sweeper.enqueue: {point!r} is no mapping of parameters to values")
            continue
        problems += [f"hydra.sweeper.enqueue: {text}" for text in _misfits(point, space)]
    if problems:
        raise ConfigError("\n".join(problems))
    for point in points:
        study.enqueue_trial(dict(point), skip_if_exists=True)  # type: ignore[call-overload]


def custom(path: str, config: DictConfig, space: Space) -> Suggest:
    """The parameters of the space, then those that the user's function `f(cfg, trial)` asks for."""
    module, _, name = path.rpartition(".")
    try:
        function: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"hydra.sweeper.custom_search_space is {path!r}, which cannot be imported ({error}); "
            "give the dotted path of a function f(cfg, trial)"
        ) from error

    def suggest(trial: optuna.Trial) -> dict[str, ParamValue]:
        chosen = space.suggest(trial)
        function(config, trial)
        return chosen | {key: value for key, value in trial.params.items() if key not in chosen}

    return suggest


def _trials(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False)


def _check_directions(plan: Plan, stored: list[str]) -> None:
    if stored != list(plan.objective.directions):
        raise ConfigError(
            f"hydra.sweeper.direction is {', '.join(plan.objective.directions)}, but the study {plan.name} was made "
            f"with {', '.join(stored)}; give that, or another hydra.sweeper.study_name"
        )


def _check_space(name: str, space: Space, trials: Sequence[FrozenTrial]) -> None:
    """Optuna refuses a choice that changes within a study, but in the middle of a trial: say it before."""
    problems = []
    for parameter, distribution in space.distributions.items():
        for trial in trials:
            stored = trial.distributions.get(parameter)
            if stored is None:
                continue
            try:
                check_distribution_compatibility(stored, distribution)
            except ValueError:
                problems.append(
                    f"{parameter} was {_shown(stored)} in trial {name}/{trial.number} and is {_shown(distribution)} "
                    "now; a study keeps its choices and kinds: give another hydra.sweeper.study_name"
                )
                break
    if problems:
        raise ConfigError("\n".join(problems))


def _shown(distribution: optuna.distributions.BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"choice({', '.join(map(str, distribution.choices))})"
    return str(distribution)


def _misfits(point: Mapping[Any, Any], space: Space) -> Iterator[str]:
    for key, value in point.items():
        distribution = space.distributions.get(key)
        if distribution is None:
            yield f"{key!r} is no parameter of this sweep; they are {', '.join(space.distributions)}"
            continue
        try:
            internal = distribution.to_internal_repr(value)
            fits = not math.isnan(internal) and distribution._contains(internal)
        except (TypeError, ValueError):
            fits = False
        if not fits:
            yield f"{key}={value!r} lies outside {space.expressions.get(key, distribution)}"


def _sampler(plan: Plan, space: Space, done: int) -> BaseSampler:
    if str(plan.sampler.get("_target_")).endswith("GPSampler") and importlib.util.find_spec("torch") is None:
        # Optuna would find out after its start-up trials, in the middle of the sweep
        raise ConfigError("sampler=gp needs torch, which is not installed; type: pip install 'sweeper[gp]'")
    built = _build(plan.sampler, "sampler")
    if callable(built) and not isinstance(built, BaseSampler):
        if space.when:
            raise ConfigError("sampler=grid cannot follow hydra.sweeper.when; use hydra/sweeper/sampler=brute_force")
        return built(search_space=space.grid())  # type: ignore[no-any-return]
    if isinstance(built, BruteForceSampler):
        space.grid()  # says which parameter is continuous
    if done and not isinstance(built, _ENUMERATES) and "seed" in plan.sampler:
        # a second launch with the same seed must not draw the first one's points again
        reseeded = OmegaConf.merge(plan.sampler, {"seed": (plan.seed + done * 0x9E3779B1) % 2**32})
        built = _build(reseeded, "sampler")
    return built  # type: ignore[no-any-return]


def _pruner(plan: Plan) -> BasePruner:
    built = _build(plan.pruner, "pruner")
    if len(plan.objective.directions) > 1 and not isinstance(built, NopPruner):
        raise ConfigError("hydra/sweeper/pruner must be none for several objectives: pruning needs one to judge by")
    return built  # type: ignore[no-any-return]


def _build(node: Any, what: str) -> Any:
    try:
        return instantiate(node)
    except Exception as error:
        cause = error.__cause__ or error
        raise ConfigError(f"hydra.sweeper.{what} cannot be made: {' '.join(str(cause).split())}") from error


def directions_of(study: optuna.Study) -> tuple[str, ...]:
    """`minimize` or `maximize` for each objective of a study."""
    return tuple("maximize" if d == StudyDirection.MAXIMIZE else "minimize" for d in study.directions)

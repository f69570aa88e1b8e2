"""The study: opens or resumes it, asks its sampler for trials and tells it how they ended, one call at a time."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from omegaconf import DictConfig
from optuna.distributions import CategoricalDistribution, check_distribution_compatibility
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper import infeasible
from sweeper import sampler as sampling
from sweeper.ask import SampledStudy, Suggest
from sweeper.errors import ConfigError, Superseded
from sweeper.objective import Objective
from sweeper.record import Storage
from sweeper.space import Space
from sweeper.trial import Ended, Failure, ParamValue, Reported

T = TypeVar("T")

# System attributes of a trial
ATTEMPT = "sweeper:attempt"  # how often it was started before
KILLED = "sweeper:killed"  # by whom it was ended for good
_RETRIED = "sweeper:retried"  # how often of these because of how the attempt ended


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial that the sampler has just chosen, or one that was given back and is tried again."""

    trial: optuna.Trial
    number: int
    attempt: int
    params: Mapping[str, ParamValue]
    retried: int = 0  # attempts that were made because of how the one before had ended


class AskTellStudy(SampledStudy):
    """Optuna's study for many drivers: asks within a target.

    Samplers end a study by `stop`, which Optuna allows within `optimize` alone.
    """

    is_exhausted = False

    def __init__(self, name: str, storage: Storage, sampler: BaseSampler, pruner: BasePruner, seed: int) -> None:
        super().__init__(name, storage, sampler, pruner, seed)
        self.storage = storage

    def stop(self) -> None:
        self.is_exhausted = True

    def ask_within(self, limit: int, suggest: Suggest) -> optuna.Trial | None:
        """The next trial, sampled; None once `limit` trials have left the line, whoever runs them."""
        self._thread_local.cached_all_trials = None
        trial_id = self.storage.claim_trial_within(self._study_id, limit)
        if trial_id is None:
            return None
        try:
            return self.sampled(trial_id, suggest)
        except Exception:
            self.storage.set_trial_state_values(trial_id, TrialState.FAIL)
            raise


@contextmanager
def _ours() -> Iterator[None]:
    """Raise Superseded where a trial of this driver turns out to have been ended by another."""
    try:
        yield
    except UpdateFinishedTrialError as error:
        raise Superseded(f"{error} Another driver had it.") from error


class Study:
    """Asks and tells on one thread of its own, so that a slow sampler or database never holds up the loop.

    Calls are answered in the order in which they were made: the same seed and the same order of completions give the
    same suggestions.
    """

    def __init__(self, study: AskTellStudy, suggest: Suggest, n_trials: int) -> None:
        self.optuna = study
        self.n_trials = n_trials
        self._suggest = suggest
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sweeper-study")
        self._prunes = not isinstance(study.pruner, NopPruner)
        trials = study.get_trials(deepcopy=False)
        self._begun = sum(trial.state != TrialState.WAITING for trial in trials)  # as far as this driver knows

    def left(self) -> int:
        """How many trials are still to be begun, as far as this driver knows: others may drive the study as well."""
        return max(0, self.n_trials - self._begun)

    async def ask(self) -> Asked | None:
        """The next trial; None once the study has its `n_trials`, or its sampler has no point left."""
        found = await self._call(self._ask)
        self._begun += found is not None
        return found

    async def should_prune(self, asked: Asked, reports: Sequence[Reported]) -> bool:
        """Take note of the reports, and say whether the pruner gives the trial up at the last of them."""
        return await self._call(lambda: self._judge(asked, reports))

    async def tell(self, asked: Asked, ended: Ended) -> None:
        """Write down how the trial ended; durable when it returns. Superseded where it is another driver's by now."""
        await self._call(lambda: tell(self.optuna, asked.trial, ended))

    async def give_back(self, asked: Asked) -> None:
        """Put an interrupted trial back in line: it will be tried again under its number, with its params."""
        await self._call(lambda: give_back(self.optuna, asked.trial._trial_id, asked.attempt))
        self._begun -= 1

    async def retry(self, asked: Asked) -> None:
        """Put a trial back in line because of how its attempt ended; durable when it returns."""
        await self._call(lambda: self._retry(asked))
        self._begun -= 1

    async def kill(self, asked: Asked, why: str) -> None:
        """Note that the trial is being ended for good, so that nobody tries it again."""
        await self._call(lambda: self._kill(asked, why))

    async def within(self, function: Callable[[], T]) -> T:
        """Do something else with the study, when no trial is asked for or told."""
        return await self._call(function)

    def close(self) -> None:
        self._thread.shutdown()

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _ask(self) -> Asked | None:
        trial = None if self.optuna.is_exhausted else self.optuna.ask_within(self.n_trials, self._suggest)
        return None if trial is None else asked(self.optuna, trial)

    @_ours()
    def _kill(self, asked: Asked, why: str) -> None:
        self.optuna.storage.set_trial_system_attr(asked.trial._trial_id, KILLED, why)

    @_ours()
    def _retry(self, asked: Asked) -> None:
        self.optuna.storage.set_trial_system_attr(asked.trial._trial_id, _RETRIED, asked.retried + 1)
        give_back(self.optuna, asked.trial._trial_id, asked.attempt)

    @_ours()
    def _judge(self, asked: Asked, reports: Sequence[Reported]) -> bool:
        if len(self.optuna.directions) > 1:
            return False  # Optuna prunes for one objective alone; the points are kept as metrics all the same
        for report in reports:
            if report.step >= 0:  # an earlier attempt may have reported this step: the newer word counts
                self.optuna.storage.set_trial_intermediate_value(asked.trial._trial_id, report.step, report.value)
                asked.trial._cached_frozen_trial.intermediate_values[report.step] = report.value
        return self._prunes and bool(reports) and asked.trial.should_prune()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is opened with."""

    name: str
    objective: Objective
    sampler: DictConfig
    pruner: DictConfig
    seed: int


def open_study(plan: Plan, space: Space, storage: Storage) -> AskTellStudy:
    """Create the study, or load it. Raises ConfigError where it was made with other directions or another space."""
    directions: list[Any] = list(plan.objective.directions)
    created = optuna.create_study(storage=storage, study_name=plan.name, directions=directions, load_if_exists=True)
    trials = created.get_trials(deepcopy=False)
    check(plan, space, [direction.name.lower() for direction in created.directions], trials)
    study = AskTellStudy(plan.name, storage, *made(plan, space), plan.seed)
    if plan.objective.names and not trials:
        study.set_metric_names(list(plan.objective.names))
    return study


def check(plan: Plan, space: Space, directions: Sequence[str], trials: Sequence[FrozenTrial]) -> None:
    """Raise ConfigError where a study with these directions and trials was made for something else."""
    _check_directions(plan, list(directions))
    _check_space(plan.name, space, trials)


def made(plan: Plan, space: Space) -> tuple[BaseSampler, BasePruner]:
    """Sampler and pruner. Raises ConfigError where one cannot be made."""
    return sampling.build(plan.sampler, space), _pruner(plan)


def asked(study: AskTellStudy, trial: optuna.Trial) -> Asked:
    """A running trial, with what its earlier attempts have left."""
    attributes = study.storage.get_trial_system_attrs(trial._trial_id)
    return Asked(trial, trial.number, attributes.get(ATTEMPT, 0), trial.params, attributes.get(_RETRIED, 0))


@_ours()
def give_back(study: optuna.Study, trial_id: int, attempt: int) -> None:
    """Put an interrupted trial back in line: it keeps its number and params, and its next attempt is counted."""
    study._storage.set_trial_system_attr(trial_id, ATTEMPT, attempt + 1)
    study._storage.set_trial_state_values(trial_id, TrialState.WAITING)


@_ours()
def tell(study: optuna.Study, trial: optuna.Trial | int, ended: Ended) -> None:
    """Write down how a trial, or the one of this number, ended. Superseded where another driver has done so."""
    if ended.failure == Failure.OOM:
        infeasible.mark(study, trial)
    if ended.state == TrialState.COMPLETE:
        study.tell(trial, list(ended.values or ()))
    else:
        study.tell(trial, state=ended.state)


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


def _pruner(plan: Plan) -> BasePruner:
    built = sampling.instantiated(plan.pruner, "pruner")
    if len(plan.objective.directions) > 1 and not isinstance(built, NopPruner):
        raise ConfigError("hydra/sweeper/pruner must be none for several objectives: pruning needs one to judge by")
    return built  # type: ignore[no-any-return]


def directions_of(study: optuna.Study) -> tuple[str, ...]:
    """`minimize` or `maximize` for each objective of a study."""
    return tuple("maximize" if d == StudyDirection.MAXIMIZE else "minimize" for d in study.directions)

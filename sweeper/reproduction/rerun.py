"""In the process of the rebuilt app: runs the recorded config and seed again, and puts the verdict on record."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import pickle
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.distributions import json_to_distribution

from sweeper.config.compose import Composer
from sweeper.config.recipe import Recipe
from sweeper.config.resolve import resolve
from sweeper.errors import ArtifactError
from sweeper.history import History, TrialDetail
from sweeper.history.connection import shown
from sweeper.lone import LoneRun, Origin, Point, launched
from sweeper.objective import Objective
from sweeper.provenance.artifact import CONFIG, LOG
from sweeper.provenance.package import without_own_code
from sweeper.provenance.rebuild import snapshot_of
from sweeper.provenance.secret import MASK, masked
from sweeper.provenance.store import open_store
from sweeper.provenance.variable import is_portable, variables
from sweeper.record import Code, Sweep
from sweeper.reproduction import difference
from sweeper.reproduction.prepare import Recorded
from sweeper.reproduction.replay import Replay
from sweeper.reproduction.settle import settle
from sweeper.reproduction.verdict import Result, Verdict, judge
from sweeper.run.app import App
from sweeper.source import learn_secrets
from sweeper.trial import Captured, Ended, TrialSpec

if TYPE_CHECKING:
    from sweeper.preparation import Multirun
    from sweeper.reproduction.request import Request

_NO_RESULT = frozenset({LOG, CONFIG})  # kinds of artifacts


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What `sweeper reproduce` has to say."""

    repeated: str  # STUDY/NUMBER of the recorded run
    name: str  # of the new one
    run: str
    verdict: Verdict
    environment: tuple[str, ...]  # what differs, a line each
    config: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """For the record and for programs."""
        found = dataclasses.asdict(self.verdict) | {"verdict": str(self.verdict), "holds": self.verdict.holds}
        return found | {"environment": list(self.environment), "config": list(self.config)}


def rerun(multirun: Multirun, request: Request) -> Outcome:
    """Run the recorded run again, from the code that this process has been started from."""
    learn_secrets(multirun.config)
    history = History(request.storage)
    recorded = Recorded.of(history, history.run(request.run))
    _restore_variables(recorded)
    with tempfile.TemporaryDirectory(prefix="sweeper-conf-") as conf:  # private: what is composed from may hold secrets
        return _Rerun(multirun, request, history, recorded, Path(conf) / "conf").conduct()


class _Rerun:
    """A run on record and its repetition."""

    def __init__(self, multirun: Multirun, request: Request, history: History, recorded: Recorded, conf: Path) -> None:
        self._request = request
        self._history = history
        self._recorded = recorded
        self._trial = history.trial(recorded.run.study, recorded.run.number)
        self._objective = _objective(history, recorded.run.study)
        self._environment = _Environment(recorded)
        code = snapshot_of(recorded.code.code, recorded.code.document, Path(request.code))
        self._app = App.of(multirun.task, multirun.context.callbacks, code)
        composer = Composer.snapshot(multirun.config, conf, self._app.dumps)
        self._spec, self._config = _spec(composer, request, recorded, self._objective)

    def conduct(self) -> Outcome:
        """Run it, judge it, and put both on record."""
        run = LoneRun.begin(
            self._request.storage,
            _launch(self._request, self._recorded),
            _code(self._recorded),
            self._objective,
            lambda number: dataclasses.replace(self._spec, number=number),
            _point(self._trial),
        )
        with contextlib.suppress(ArtifactError):  # a store that can only be read keeps nothing of this run either
            open_store(self._request.artifacts).sign(shown(self._request.storage))
        try:
            ended = asyncio.run(self._replay(run).conduct(self._app))
            run.end(ended)
            outcome = self._outcome(run.spec, ended)
            run.record.judged(run.spec.run, json.dumps(outcome.plain(), sort_keys=True)).result()
        finally:
            run.close()
        return outcome

    def _replay(self, run: LoneRun) -> Replay:
        is_pruned = self._recorded.run.state == "PRUNED"
        pruned_at = max(self._trial.intermediate_values, default=None) if is_pruned else None
        had_value = bool(self._trial.values) or self._recorded.run.state != "COMPLETE"
        return Replay(run, pruned_at, had_value, self._environment.heard)

    def _outcome(self, spec: TrialSpec, ended: Ended) -> Outcome:
        run = self._recorded.run
        values = (self._trial.values or ()) if run.state == "COMPLETE" else ()  # Optuna gives a pruned trial one
        verdict = judge(
            _result(self._history, run.state, values, run.run),
            _result(self._history, ended.state.name, ended.values or (), spec.run),
            self._request.tolerance,
            self._replicates(),
            (*self._environment.differs, *self._config),
        )
        names = f"{run.study}/{run.number}", f"{spec.study}/{spec.number}"
        return Outcome(*names, spec.run, verdict, self._environment.differs, tuple(self._config))

    def _replicates(self) -> list[float]:
        """What other seeds of the same params have given, of a single objective."""
        rows = self._history.replicates(self._recorded.run.study, self._recorded.run.number)
        return [row.values[0] for row in rows if row.values and len(row.values) == 1]


class _Environment:
    """Compares the environment of the new run with the recorded one as soon as it is known."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded.environment
        self._gpus = recorded.run.gpus
        self.differs: tuple[str, ...] = () if recorded.environment else ("the recorded environment is not known",)

    def heard(self, event: Captured) -> None:
        if self._recorded is None or event.document is None:
            return
        then, now = without_own_code([self._recorded.document, event.document])
        found = difference.differences(then, now)
        self.differs = tuple(difference.told((path, old, new) for path, old, new in found if _tells(path, old, new)))


def _tells(path: difference.Path, old: object, new: object) -> bool:
    """Whether a difference is one of what is computed: the same thing may lie in another folder."""
    if path[0] == "variables":
        return is_portable(path[1])
    return not all(str(value).startswith("file://") for value in (old, new))


def _restore_variables(recorded: Recorded) -> None:
    """Give this process, and those that it starts, the recorded variables that bear on numbers."""
    if recorded.environment is None:
        return
    then: Mapping[str, str] = recorded.environment.document.get("variables", {})
    for name in variables():
        if name not in then and is_portable(name):
            del os.environ[name]
    os.environ |= {name: value for name, value in then.items() if is_portable(name) and MASK not in value}
    if isinstance(seed := recorded.run.determinism.get("hash_seed"), int):
        os.environ["PYTHONHASHSEED"] = str(seed)
    if recorded.run.determinism and not recorded.run.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # it ran without a GPU


def _spec(
    composer: Composer, request: Request, recorded: Recorded, objective: Objective
) -> tuple[TrialSpec, list[str]]:
    """The recorded run as a new one, and what its config had to be set to."""
    run = recorded.run
    overrides = [override for override in run.overrides if MASK not in override]
    config = composer.compose(overrides, run.number, str(run.number)).config
    folder: str = config.hydra.runtime.output_dir
    moved = {run.folder: folder, recorded.sweep.root or run.folder: request.code}
    collect = recorded.sweep.settings.get("collect")
    told = settle(config, masked(resolve(config)), run.config, moved)
    spec = TrialSpec(
        study=f"reproduced/{run.study}",
        number=0,
        run=uuid.uuid4().hex,
        attempt=0,
        params={},
        overrides=run.overrides,
        config=masked(resolve(config)),
        base=composer.dumps(config),
        payload=pickle.dumps(Recipe()),
        folder=folder,
        seed=run.seed,
        directions=len(objective.directions),
        metric_names=objective.names,
        trial_folder=folder,
        code=run.code,
        reproduces=run.run,
        artifacts=request.artifacts,
        collect=tuple(collect) if isinstance(collect, list) else (),
    )
    return spec, told


def _objective(history: History, study: str) -> Objective:
    row = history.study(study)
    directions = tuple("maximize" if word == "maximize" else "minimize" for word in row.directions)
    return Objective(directions, row.metric_names)


def _launch(request: Request, recorded: Recorded) -> Sweep:
    return launched(
        f"reproduced/{recorded.run.study}",
        {"reproduces": recorded.run.run, "tolerance": request.tolerance},
        request.folder,
        Origin(recorded.run.code, request.code, str(Path.cwd()), masked(request.artifacts)),
    )


def _code(recorded: Recorded) -> Code:
    row = recorded.code
    return Code(row.code, row.commit, row.branch, row.remote, row.is_dirty, json.dumps(row.document, sort_keys=True))


def _point(trial: TrialDetail) -> Point:
    """The params of the recorded trial, for the record of its repetition."""
    distributions = {name: json_to_distribution(json.dumps(stored)) for name, stored in trial.distributions.items()}
    return Point(trial.params, distributions)


def _result(history: History, state: str, values: Sequence[float], run: str) -> Result:
    """What a run gave. Logs and config files name folders and times: they are no result."""
    files = (file for file in history.artifacts(run) if file.kind not in _NO_RESULT)
    artifacts = {file.name: file.sha256 for file in files if file.sha256 is not None}
    return Result(state, values, _metrics(history, run), artifacts)


def _metrics(history: History, run: str) -> dict[str, dict[int, float]]:
    return {name: dict(zip(curve.steps, curve.values, strict=True)) for name, curve in history.curves(run).items()}

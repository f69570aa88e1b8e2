"""From a trial that the sampler has chosen to the spec that a process can run."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable

import numpy as np

from sweeper.config.resolve import resolve
from sweeper.config.resources import of_trial
from sweeper.preparation import Prepared
from sweeper.provenance.secret import masked
from sweeper.study import Asked
from sweeper.trial import TrialSpec


def specifying(prepared: Prepared) -> Callable[[Asked], TrialSpec]:
    """Makes the spec of one attempt of a trial. What it gives raises ConfigError for a config that does not compose."""

    def spec(asked: Asked) -> TrialSpec:
        overrides = prepared.space.overrides(asked.params)
        composed = prepared.composer.compose(overrides, asked.number, str(asked.number))
        resolved = resolve(composed.config)
        folder = composed.config.hydra.runtime.output_dir
        needed = of_trial(composed.config) if prepared.is_varied else prepared.needs[0]
        return TrialSpec(
            study=prepared.study_name,
            number=asked.number,
            run=uuid.uuid4().hex,
            attempt=asked.attempt,
            params=asked.params,
            overrides=tuple(masked(overrides)),
            config=masked(resolved),
            base=prepared.composer.base(composed),
            payload=pickle.dumps(prepared.composer.recipe(composed)),
            folder=f"{folder}/attempt-{asked.attempt + 1}" if asked.attempt else folder,
            seed=trial_seed(prepared.seed, asked.number),
            directions=len(prepared.objective.directions),
            metric_names=prepared.objective.names,
            trial_folder=folder,
            limits=prepared.attempts.limits,
            code=prepared.code.snapshot.code,
            artifacts=prepared.store.url,
            collect=tuple(prepared.settings.collect),
            resources=prepared.packing.need(asked.number, needed),
        )

    return spec


def trial_seed(sweep_seed: int, number: int) -> int:
    """The seed of one trial: 32 bits drawn by numpy's SeedSequence from the sweep's seed and the trial's number."""
    return int(np.random.SeedSequence([sweep_seed, number]).generate_state(1)[0])

"""`sweeper plan`: what a launch would do; nothing is started, nothing written."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.launch import Inline, Jobs, Overrides, Script, StorageUrl, StudyName, Trials, become, shared_flags
from sweeper.cli.option import Json
from sweeper.plan_request import PlanRequest


def plan(
    script: Script,
    overrides: Overrides = None,
    n_trials: Trials = None,
    n_jobs: Jobs = None,
    study: StudyName = None,
    storage: StorageUrl = None,
    inline: Inline = False,
    canary: Annotated[
        bool, typer.Option("--canary", help="Run one trial first and time it; it does not count into the study.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what a launch would do: trials, branches, room for them, time and GPU-hours. Starts nothing."""
    flags = shared_flags(n_trials, n_jobs, study, storage, inline=inline)
    become(script, flags, overrides or [], PlanRequest(json, canary).variables())

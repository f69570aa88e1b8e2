"""One launch, assembled: from Hydra's multirun to a finished sweep.

The only place where the rooms meet: settings, space, composer, study, launcher and record are made here and handed to
the loop in `sweeper.sweep`.
"""

from __future__ import annotations

import contextlib
import gc
import getpass
import logging
import shlex
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from hydra.core.utils import configure_log

from sweeper import detach_request, plan_request, planning, recall
from sweeper.brake import Brake
from sweeper.budget import Tally, told_apart
from sweeper.canary import fly
from sweeper.cli import plan_page, verdict_page
from sweeper.cli.display import Display, display_for
from sweeper.desk import Desk, Rhythm
from sweeper.detaching import detach
from sweeper.enqueue import enqueue
from sweeper.errors import Interrupted, SweeperError, TrialsFailed
from sweeper.heir import succeeding
from sweeper.history import History
from sweeper.history.connection import shown
from sweeper.interruption import Interruption
from sweeper.parting import ended_on_record
from sweeper.plan_request import PlanRequest
from sweeper.preparation import Inputs, Multirun, Prepared, prepare, row, target, understand
from sweeper.provenance.capture import Capture
from sweeper.provenance.code import NO_SNAPSHOT
from sweeper.record import Record, Storage
from sweeper.record.lease import BEAT_S, LEASE_S
from sweeper.reproduction.request import taken
from sweeper.reproduction.rerun import rerun
from sweeper.run.app import App, LoadedApp
from sweeper.share.claim import Applicant, Terms
from sweeper.source import code_row
from sweeper.specification import specifying
from sweeper.study import AskTellStudy, Plan, Study, custom, open_study
from sweeper.sweep import Sweep
from sweeper.takeover import adopt, given_up, take_over
from sweeper.vigil import watched

if TYPE_CHECKING:
    from sweeper.launch.inline import InlineLauncher
    from sweeper.launch.ray import RayLauncher


def launch(multirun: Multirun) -> None:
    """Run the sweep to its end, with its display. Raises SweeperError; TrialsFailed where trials failed unallowed.

    A process that `sweeper reproduce` has started runs the recorded run instead, and leaves with the verdict's status;
    one that `sweeper plan` has started says what the sweep would do.
    """
    if (request := taken()) is not None:
        raise SystemExit(verdict_page.show(rerun(multirun, request), request))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # what Hydra's logging would show of it is no news
    interruption = Interruption()
    # private: what is composed from may hold secrets
    with _left_soon(), interruption.heeded(), tempfile.TemporaryDirectory(prefix="sweeper-conf-") as conf:
        if (asked := plan_request.taken()) is not None:
            _plan(multirun, asked, Path(conf) / "conf")
            return
        prepared = prepare(multirun, Path(conf) / "conf")
        if detach_request.taken():
            detach(prepared)
            return
        with contextlib.closing(Storage(prepared.settings.storage)) as storage:
            interruption.hurries(storage.hurry)
            _conduct(multirun, prepared, storage, interruption)


@contextlib.contextmanager
def _left_soon() -> Iterator[None]:
    """Who is told to end has 5 s: Python's last look through all that is loaded would take half of one."""
    try:
        yield
    except Interrupted:
        gc.freeze()
        raise


def _plan(multirun: Multirun, asked: PlanRequest, conf: Path) -> None:
    inputs = understand(multirun, conf)
    if asked.has_canary:
        fly(inputs)
    launcher = _launcher(multirun, inputs, lambda _: None)
    plan_page.show(planning.plan(multirun, inputs, launcher.prospect, asked.has_canary), asked)


@dataclass(frozen=True, slots=True)
class _Launch:
    """One launch, from when its sweep is on record."""

    multirun: Multirun
    prepared: Prepared
    opened: AskTellStudy
    record: Record
    brake: Brake
    tally: Tally


def _conduct(multirun: Multirun, prepared: Prepared, storage: Storage, interruption: Interruption) -> None:
    settings = prepared.settings
    plan = Plan(
        prepared.study_name,
        prepared.objective,
        multirun.config.hydra.sweeper.sampler,
        multirun.config.hydra.sweeper.pruner,
        prepared.seed,
    )
    opened = open_study(plan, prepared.space, storage)
    record = Record(storage)
    record.code_taken(code_row(prepared.code))
    begin = record.sweep_joined if settings.join else record.sweep_opened
    own = row(multirun, prepared, type(opened.sampler).__name__, type(opened.pruner).__name__)
    succeeding(lambda: begin(own).result(), LEASE_S)
    prepared.store.sign(shown(settings.storage))
    brake, tally = Brake(), _tally(prepared)
    with ended_on_record(opened, record, prepared.uuid, brake, tally):
        _run(_Launch(multirun, prepared, opened, record, brake, tally), interruption)
    _show_end(prepared)
    _judge(prepared, tally, brake)


def _tally(prepared: Prepared) -> Tally:
    directions = prepared.objective.directions
    return Tally(prepared.budget, directions[0] == "maximize" if len(directions) == 1 else None)


def _run(launch: _Launch, interruption: Interruption) -> None:
    prepared, opened, record = launch.prepared, launch.opened, launch.record
    n_trials = target(prepared)

    def say(text: str) -> None:
        display.notice(text)

    with contextlib.ExitStack() as undo:
        launcher = _launcher(launch.multirun, prepared, say)
        if launcher.outlives_drivers:  # there is nothing to start, and what its slots hold comes before take_over
            undo.enter_context(launcher)
        adopted = adopt(launcher, opened, record)
        take_over(opened, record)
        enqueue(opened, prepared.settings.enqueue, prepared.space)
        study = Study(opened, _suggest(launch.multirun, prepared), n_trials)
        undo.callback(study.close)
        trials_before = opened.get_trials(deepcopy=False)
        display = display_for(prepared.study_name, prepared.objective.directions, n_trials, trials_before)
        undo.callback(display.closed)
        if not launcher.outlives_drivers:
            display.notice("starting Ray" if prepared.settings.launcher == "ray" else "")
            undo.enter_context(launcher)
        _recall(prepared)
        sweep = _sweep(launch, study, launcher, display)
        sweep.adopt(adopted)
        undo.enter_context(interruption.pulling(launch.brake))
        gc.freeze()  # what is imported and set up by now stays: to look through it again cost 3 ms a trial
        undo.callback(gc.unfreeze)
        desk = _desk(launch, study, launcher, sweep)
        launcher.drive(watched(desk.conduct(), record, display.notice, launch.brake))


def _recall(prepared: Prepared) -> None:
    """Let `gpus: auto` begin with what earlier launches have measured."""
    if any(need.is_packed for need in prepared.needs):
        history, code = History(prepared.settings.storage), prepared.code.snapshot.code
        for params, peak in recall.peaks(history, prepared.study_name, code, prepared.space.overrides):
            prepared.packing.add(params, peak)


def _sweep(launch: _Launch, study: Study, launcher: InlineLauncher | RayLauncher, display: Display) -> Sweep:
    prepared = launch.prepared
    return Sweep(
        uuid=prepared.uuid,
        study=study,
        launcher=launcher,
        record=launch.record,
        spec=specifying(prepared),
        packing=prepared.packing,
        tally=launch.tally,
        watcher=display,
        brake=launch.brake,
        attempts=prepared.attempts,
        lost=given_up(launch.record, prepared.study_name),
        n_jobs=prepared.settings.n_jobs,
    )


def _desk(launch: _Launch, study: Study, launcher: InlineLauncher | RayLauncher, sweep: Sweep) -> Desk:
    opened, record = launch.opened, launch.record

    async def reap() -> int:
        found = await study.within(lambda: adopt(launcher, opened, record))
        sweep.adopt(found)
        return len(found) + await study.within(lambda: take_over(opened, record))

    return Desk(
        study=launch.prepared.study_name,
        uuid=launch.prepared.uuid,
        record=record,
        sweep=sweep,
        target=study,
        reap=reap,
        rhythm=Rhythm(LEASE_S, BEAT_S, look_s=1.0),
    )


def _judge(prepared: Prepared, tally: Tally, brake: Brake) -> None:
    """Raise what the exit status must say."""
    if brake.signal is not None:
        raise Interrupted(brake.signal, f"stopped; `sweeper resume {shlex.quote(prepared.study_name)}` goes on")
    if not tally.is_within():
        raise TrialsFailed(
            f"{len(tally.failed)} of {tally.finished} trials failed: {told_apart(tally.errors())}. "
            "Look at `sweeper show`, or allow failures with hydra.sweeper.budget.max_failures=N"
        )


def _suggest(multirun: Multirun, prepared: Prepared) -> Callable[[optuna.Trial], Any]:
    path = prepared.settings.custom_search_space
    return prepared.space.suggest if path is None else custom(path, multirun.config, prepared.space)


def _launcher(
    multirun: Multirun,
    inputs: Inputs,
    notice: Callable[[str], None],
) -> InlineLauncher | RayLauncher:
    """Runs the trials of a sweep that is prepared; of one that is only understood it says where they would run."""
    sweep = inputs if isinstance(inputs, Prepared) else None
    snapshot = NO_SNAPSHOT if sweep is None else sweep.code.snapshot
    callbacks, settings = multirun.context.callbacks, inputs.settings
    if settings.launcher == "inline":
        from sweeper.launch.inline import InlineLauncher

        hydra = multirun.config.hydra
        loaded = LoadedApp(multirun.task, callbacks, Capture(snapshot))
        return InlineLauncher(loaded, lambda: configure_log(hydra.hydra_logging, hydra.verbose))
    from sweeper.itinerary import itinerary
    from sweeper.launch.ray import RayLauncher
    from sweeper.launch.slot import Placement

    placement = Placement(
        App.of(multirun.task, callbacks, snapshot), isolation=inputs.attempts.isolation, notice=notice
    )
    if sweep is not None and settings.ray.address is not None:  # nodes of a cluster need not share our folders
        travel, parcel = itinerary(sweep)
        placement = replace(placement, travel=travel, parcel=parcel)
    return RayLauncher(
        placement,
        inputs.needs,
        settings.n_jobs,
        settings.ray.address,
        inputs.packing if inputs.is_varied else None,
        None if sweep is None else _applicant(sweep),
    )


def _applicant(prepared: Prepared) -> Applicant:
    share = prepared.settings.share
    terms = Terms(share.weight, share.priority, share.min, share.max)
    return Applicant(prepared.uuid, prepared.study_name, getpass.getuser(), socket.gethostname(), terms)


def _show_end(prepared: Prepared) -> None:
    from sweeper.cli.summary import summary

    try:
        summary(prepared.settings.storage, prepared.study_name)
    except SweeperError as error:
        logging.getLogger(__name__).warning("no summary: %s", error)

"""One story: drivers are launched, die, are launched again, until the study is done; then everything is checked."""

from __future__ import annotations

import asyncio
import atexit
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import func, select

from sweeper.attempt import Attempts
from sweeper.brake import Brake
from sweeper.budget import Budget, Tally
from sweeper.desk import Desk, Rhythm
from sweeper.errors import Interrupted, LaunchError, Superseded, SweeperError
from sweeper.parting import ended_on_record
from sweeper.record import Database, Record, Storage
from sweeper.record import Sweep as SweepRow
from sweeper.record.lease import BEAT_S, LEASE_S
from sweeper.record.request import Ask, answers
from sweeper.record.tables import metrics, runs, sweeps
from sweeper.sampler import seed_for
from sweeper.study import Asked, AskTellStudy, Study
from sweeper.sweep import Sweep
from sweeper.takeover import given_up, take_over
from sweeper.trial import Ended, Measured, TrialSpec
from tests.simulated.world import (
    DRIVER,
    Dead,
    Driver,
    Faults,
    SimulatedLauncher,
    SimulatedStorage,
    Watcher,
    World,
    engine_of,
)

STUDY = "simulated"
SEED = 7
LONGEST_END_S = 5.0  # from a signal
HORIZON_S = 3_000.0  # after all that goes wrong is over, the study is done long before


@dataclass(frozen=True)
class Plot:
    """A story before it begins."""

    seed: int
    n_trials: int = 8
    n_jobs: int = 2
    retries: int = 2
    faults: Faults = field(default_factory=Faults)
    joins: tuple[float, ...] = ()  # when a second driver joins
    intrusions: tuple[float, ...] = ()  # when a second launch is tried without joining
    orders: tuple[tuple[float, str, tuple[tuple[str, int], ...]], ...] = ()
    signals: tuple[float, ...] = ()  # when SIGTERM comes to whoever drives

    @classmethod
    def drawn(cls, seed: int) -> Plot:
        """A plot that this seed alone decides. A quarter is full of deaths, a quarter has a driver that is taken over
        and comes back.
        """
        plot, draw = cls._drawn(seed), random.Random(f"more of {seed}")
        if seed % 4 == 1:
            deaths = frozenset(draw.randint(1, 120) for _ in range(6))
            return replace(plot, retries=0, faults=replace(plot.faults, lost_rate=0.5, deaths=deaths))
        if seed % 4 == 3:
            at = draw.uniform(0, 15)
            faults = replace(plot.faults, freezes=((at, 45.0),), outages=())
            return replace(plot, faults=faults, intrusions=(at + draw.uniform(LEASE_S, 45.0),))
        return plot

    @classmethod
    def _drawn(cls, seed: int) -> Plot:
        draw = random.Random(seed)

        def some(most: int, make: Callable[[], Any]) -> tuple[Any, ...]:
            return tuple(make() for _ in range(draw.randint(0, most)))

        def order() -> tuple[float, str, tuple[tuple[str, int], ...]]:
            kind = draw.choice(("stop", "stop now", "pause", "extend", "scale", "kill"))
            argument = {"extend": ("by", draw.randint(1, 3)), "scale": ("n_jobs", draw.randint(1, 4))}
            argument["kill"] = ("number", draw.randint(0, 7))
            return draw.uniform(0, 30), kind, (argument[kind],) if kind in argument else ()

        freezes = some(2, lambda: (draw.uniform(0, 30), draw.choice((2.0, 10.0, 45.0))))
        meddlers = tuple(at + draw.uniform(LEASE_S, for_s) for at, for_s in freezes if for_s > LEASE_S)
        outages = some(2, lambda: (at := draw.uniform(0, 40), at + draw.choice((0.5, 5.0, 60.0))))
        return cls(
            seed,
            n_trials=draw.randint(1, 8),
            n_jobs=draw.randint(1, 4),
            retries=draw.randint(0, 2),
            faults=Faults(
                deaths=frozenset(some(3, lambda: draw.randint(1, 250))),
                outages=outages,
                freezes=freezes,
                jumps=some(2, lambda: (draw.uniform(0, 40), draw.choice((-3600.0, 3600.0)))),
                crash_rate=draw.choice((0.0, 0.2)),
                lost_rate=draw.choice((0.0, 0.2)),
                error_rate=draw.choice((0.0, 0.2)),
                duplicate_rate=draw.choice((0.0, 0.5)),
                death_is_seen=draw.random() < 0.5,
            ),
            joins=some(1, lambda: draw.uniform(0, 20)),
            intrusions=(*some(2, lambda: draw.uniform(0, 40)), *meddlers),
            orders=some(3, order),
            signals=tuple(draw.uniform(begin - 2.0, end) for begin, end in outages if draw.random() < 0.5),
        )


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(f"sqlite:///{folder}/study.db")
        optuna.create_study(storage=storage, study_name=STUDY)
        storage.close()
        return Path(folder, "study.db").read_bytes()


@cache
def _stage() -> Path:
    """The folder of one story after the other, in memory where there is room for files in it."""
    shared = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="sweeper-story-", dir=shared if shared.is_dir() else None)
    atexit.register(shutil.rmtree, folder)
    return Path(folder)


def _world(plot: Plot) -> World:
    """A world in which nothing has happened yet."""
    folder = _stage()
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "study.db").write_bytes(_template())
    return World(plot.seed, folder, plot.faults)


def tell_story(plot: Plot) -> list[str]:
    """Let it happen; returns what went against the promises, nothing where all were kept."""
    world = _world(plot)
    with world.natural_laws():
        try:
            world.loop.run_until_complete(asyncio.wait_for(_unfold(world, plot), HORIZON_S))
        except TimeoutError:
            world.problems.append(f"the study is not done after {world.now:.0f} s, {len(world.drivers)} launches")
        except Exception as error:
            world.problems.append(f"the story broke off: {type(error).__name__}: {error}")
        finally:
            _close(world)
        problems = world.problems + _broken_promises(world, plot)
    world.read_no_more()
    return problems


def traced(plot: Plot) -> tuple[int, float, list[str]]:
    """How a story went: operations of drivers, seconds, and what happened to each run."""
    world = _world(plot)
    with world.natural_laws():
        world.loop.run_until_complete(_unfold(world, plot))
        operations, seconds = world.operations, world.now
        _close(world)
        found = _Found.of(world)
    world.read_no_more()
    return operations, seconds, [f"{row['run']} {row['state']} {row['failure']}" for row in found.runs]


def _close(world: World) -> None:
    for driver in world.drivers:
        driver.die()
    world.loop.run_until_complete(_unwind())
    world.loop.run_until_complete(world.loop.shutdown_asyncgens())
    world.loop.close()


async def _unwind() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _unfold(world: World, plot: Plot) -> None:
    side = [asyncio.create_task(_joiner(world, plot, at)) for at in plot.joins]
    side += [asyncio.create_task(_intruder(world, plot, at)) for at in plot.intrusions]
    side += [asyncio.create_task(_user(world, *order)) for order in plot.orders]
    side += [asyncio.create_task(_signaller(world, plot, at)) for at in plot.signals]
    while True:
        outcome = await _live(world, plot, "opened")
        if outcome == "finished" and all(task.done() for task in side) and _is_complete(world):
            return
        await asyncio.sleep(world.random.choice((0.1, 2.0, 40.0)))


async def _live(world: World, plot: Plot, how: str) -> str:
    """A driver's whole life, in a task of its own; returns how it ended."""
    driver = Driver(world)

    async def life() -> str:
        DRIVER.set(driver)
        try:
            return await _drive(driver, plot, how)
        except Dead:
            return "dead"
        except Superseded:
            return "superseded"
        except Interrupted:
            return "stopped"
        except LaunchError:
            return "refused"

    driver.task = asyncio.create_task(life())
    try:
        return await driver.task
    except asyncio.CancelledError:
        if driver.is_dead:
            return "dead"
        raise
    finally:
        driver.die()  # a process that has ended does nothing more


async def _drive(driver: Driver, plot: Plot, how: str) -> str:
    """What `sweeper.multirun` does, with a simulated launcher."""
    loop = asyncio.get_running_loop()
    storage = SimulatedStorage(driver)
    record = AckedRecord(driver, storage)
    opened = AskTellStudy(STUDY, storage, optuna.samplers.RandomSampler(), optuna.pruners.NopPruner(), SEED)
    target = max([plot.n_trials, *storage.ask(lambda c: c.execute(select(sweeps.c.n_trials)).scalars().all())])
    await loop.run_in_executor(None, lambda: _begin(driver, record, target, how))
    await loop.run_in_executor(None, lambda: take_over(opened, record))
    lost = await loop.run_in_executor(None, lambda: given_up(record, STUDY))
    study = AckedStudy(driver, opened, target)
    brake, tally = Brake(), Tally(Budget(), False)
    driver.brake = brake
    sweep = Sweep(
        uuid=driver.uuid,
        study=study,
        launcher=SimulatedLauncher(driver, plot.n_jobs),
        record=record,
        spec=lambda asked: _spec(driver, asked),
        tally=tally,
        watcher=Watcher(driver),
        brake=brake,
        attempts=Attempts(retries=plot.retries),
        lost=lost,
        n_jobs=plot.n_jobs,
    )

    desk = Desk(
        study=STUDY,
        uuid=driver.uuid,
        record=record,
        sweep=sweep,
        target=study,
        reap=lambda: study.within(lambda: take_over(opened, record)),
        rhythm=Rhythm(LEASE_S, BEAT_S, 3.0),
    )
    broken: list[BaseException] = []
    try:
        await desk.conduct()
    except SweeperError as error:
        broken.append(error)
    finally:
        study.close()
        await loop.run_in_executor(None, lambda: _end(driver, opened, record, brake, tally, broken))
    return "stopped" if brake.signal else "finished"


def _end(
    driver: Driver, study: AskTellStudy, record: Record, brake: Brake, tally: Tally, broken: list[BaseException]
) -> None:
    with ended_on_record(study, record, driver.uuid, brake, tally):
        for error in broken:
            raise error


def _begin(driver: Driver, record: Record, target: int, how: str) -> None:
    """Open the sweep, and see that nobody is driven out whose lease is good and who was not seen to die."""
    world = driver.world
    before = _open_sweeps(world)
    (record.sweep_joined if how == "joined" else record.sweep_opened)(_row(driver, target)).result()
    beside = _open_sweeps(world).keys() - {driver.uuid}
    if how == "opened" and beside:
        world.problems.append(f"a second launch was let in at {world.now:.1f} s beside {beside}")
    for other in world.drivers:
        seen_to_be_gone = other.is_dead and world.faults.death_is_seen
        if before.get(other.uuid, 0.0) > world.now and other.uuid not in beside and not seen_to_be_gone:
            world.problems.append(f"{other.uuid} was taken over at {world.now:.1f} s, its lease was good")


def _spec(driver: Driver, asked: Asked) -> TrialSpec:
    world = driver.world
    run = f"{asked.number:08x}{asked.attempt:08x}{driver.index:08x}{world.random.getrandbits(32):08x}"
    folder = str(world.folder / f"{asked.number}-{asked.attempt}")
    return TrialSpec(STUDY, asked.number, run, asked.attempt, asked.params, (), {}, b"", b"", folder, 0)


def _row(driver: Driver, target: int) -> SweepRow:
    return SweepRow(
        sweep=driver.uuid,
        study=STUDY,
        command="",
        settings="{}",
        space="{}",
        sampler="RandomSampler",
        pruner="NopPruner",
        user="ada",
        host="alpha",
        pid=driver.index,
        process=driver.process,
        folder=str(driver.world.folder),
        cwd="/",
        n_trials=target,
        started_at=driver.world.wall(),
    )


class AckedRecord(Record):
    """Notes what the driver was told is durable."""

    def __init__(self, driver: Driver, storage: Storage) -> None:
        super().__init__(storage)
        self._driver = driver

    def run_opened(self, sweep: str, spec: TrialSpec) -> Future[None]:
        return self._noted(super().run_opened(sweep, spec), lambda acks: acks.opened.update({spec.run: spec}))

    def heard(self, events: Any) -> Future[None]:
        return self._noted(super().heard(events), lambda acks: acks.points.update(_points(events)))

    def heard_soon(self, events: Any) -> Future[None]:
        return self._noted(super().heard_soon(events), lambda acks: acks.points.update(_points(events)))

    def _noted(self, future: Future[None], note: Callable[[Any], None]) -> Future[None]:
        def done(_: Future[None]) -> None:
            if future.exception() is None and not self._driver.is_dead:
                note(self._driver.world.acks)

        future.add_done_callback(done)
        return future


def _points(events: Any) -> dict[tuple[str, str, int], float]:
    return {
        (event.run, name, event.step): value
        for event in events
        if isinstance(event, Measured)
        for name, value in event.metrics.items()
    }


class AckedStudy(Study):
    """The same for the ends of trials."""

    def __init__(self, driver: Driver, study: AskTellStudy, n_trials: int) -> None:
        super().__init__(study, lambda trial: {"x": trial.suggest_float("x", 0, 1)}, n_trials)
        self._driver = driver

    async def tell(self, asked: Asked, ended: Ended) -> None:
        await super().tell(asked, ended)
        if not self._driver.is_dead:
            self._driver.world.acks.told[asked.number] = ended


async def _joiner(world: World, plot: Plot, at: float) -> None:
    await asyncio.sleep(at)
    await _live(world, plot, "joined")


async def _intruder(world: World, plot: Plot, at: float) -> None:
    """Somebody launches the study a second time."""
    await asyncio.sleep(at)
    await _live(world, plot, "opened")


async def _signaller(world: World, plot: Plot, at: float) -> None:
    """Somebody ends every driver there is, and it ends within seconds, whatever its database does."""
    await asyncio.sleep(at)
    ended = [driver for driver in world.drivers if not driver.is_dead]
    for driver in ended:
        driver.interrupt()
    await asyncio.sleep(LONGEST_END_S)
    for driver in ended:
        if not driver.is_dead and not plot.faults.freezes:
            world.problems.append(f"{driver.uuid} was told to end at {at:.1f} s, and has not {LONGEST_END_S:g} s later")


def _open_sweeps(world: World) -> dict[str, float]:
    query = select(sweeps.c.sweep, sweeps.c.lease_until).where(sweeps.c.ended_at.is_(None))
    with world.reading() as connection:
        return dict(connection.execute(query).all())


async def _user(world: World, at: float, kind: str, argument: tuple[tuple[str, int], ...]) -> None:
    """Somebody asks something of whoever drives, waits for the answer, and takes a pause back later."""
    await asyncio.sleep(at)
    while world.outage_end() > world.now:
        await asyncio.sleep(1.0)
    petitions = await _ask(world, kind, dict(argument))
    if any(text is not None for text in petitions.values()):
        if kind == "extend":
            world.acks.extended += dict(argument)["by"]
        if kind == "kill":
            world.acks.killed[dict(argument)["number"]] = world.now
    while kind == "pause" and any(not driver.is_dead for driver in world.drivers):
        await asyncio.sleep(world.random.uniform(1, 20))
        if world.outage_end() <= world.now and any((await _ask(world, "resume", {})).values()):
            break


async def _ask(world: World, kind: str, argument: dict[str, int]) -> dict[str, str | None]:
    """The answers that came within a minute, those that were refusals left out."""
    from sweeper.errors import NotFound
    from sweeper.record.batch import Batch

    with world.reading() as connection:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            asked = Ask(STUDY, kind, argument, "bo", "beta").apply(Batch(connection))
            connection.exec_driver_sql("COMMIT")
        except NotFound:
            connection.exec_driver_sql("ROLLBACK")
            return {}
    found: dict[str, Any] = {}
    names = [one.request for one in asked]
    for _ in range(12):
        await asyncio.sleep(5.0)
        with world.reading() as connection:
            found = answers(connection, names)
        if len(found) == len(names):
            break
    return {name: found[name].text if name in found and found[name].was_taken else None for name in names}


def _is_complete(world: World) -> bool:
    with world.reading() as connection:
        states = connection.exec_driver_sql("SELECT state FROM trials").scalars().all()
        target = connection.execute(select(func.max(sweeps.c.n_trials))).scalar_one()
    return sum(state not in ("WAITING", "RUNNING") for state in states) >= target


def _broken_promises(world: World, plot: Plot) -> list[str]:
    """What is on record at the end, held against what drivers and users were told."""
    found = _Found.of(world)
    return [
        *_of_trials(world, plot, found),
        *_of_runs(world, plot, found),
        *_of_points(world, found),
    ]


@dataclass(frozen=True)
class _Found:
    """What is on record at the end."""

    trials: dict[int, optuna.trial.FrozenTrial]
    numbers: list[int]
    runs: list[dict[str, Any]]
    points: dict[tuple[str, str, int], float]
    target: int

    @classmethod
    def of(cls, world: World) -> _Found:
        storage = Storage(Database(engine_of(world.url), world.url, "sqlite"))
        trials = storage.get_all_trials(storage.get_study_id_from_name(STUDY), deepcopy=False)
        storage.close()
        with world.reading() as connection:
            rows = [dict(row) for row in connection.execute(select(runs)).mappings()]
            by_id = {row["id"]: row["run"] for row in rows}
            points = {
                (by_id[row["run_id"]], row["name"], row["step"]): row["value"]
                for row in connection.execute(select(metrics)).mappings()
            }
            target = connection.execute(select(func.max(sweeps.c.n_trials))).scalar_one()
        return cls({trial.number: trial for trial in trials}, [t.number for t in trials], rows, points, target)


def _of_trials(world: World, plot: Plot, found: _Found) -> Iterator[str]:
    acks = world.acks
    if found.numbers != list(range(len(found.numbers))):
        yield f"trial numbers are {found.numbers}"
    if len(found.numbers) != found.target:
        yield f"{len(found.numbers)} trials where {found.target} were asked for"
    if found.target < plot.n_trials + acks.extended:
        yield f"the target is {found.target}, and extensions by {acks.extended} of {plot.n_trials} were acknowledged"
    for number, trial in found.trials.items():
        if not trial.state.is_finished():
            yield f"trial {number} is {trial.state.name} at the end"
        if trial.params != _params_of(number):
            yield f"trial {number} has params {trial.params}, without any fault it has {_params_of(number)}"
        if (told := acks.told.get(number)) is not None and (told.state, told.values) != (
            trial.state,
            None if trial.values is None else tuple(trial.values),
        ):
            yield f"trial {number} was told {told.state.name} {told.values}, it is {trial.state.name} {trial.values}"


def _of_runs(world: World, plot: Plot, found: _Found) -> Iterator[str]:
    by_run = {row["run"]: row for row in found.runs}
    for run, spec in world.acks.opened.items():
        row = by_run.get(run)
        if row is None or (row["number"], row["attempt"]) != (spec.number, spec.attempt):
            yield f"run {run} of trial {spec.number} is not on record"
    attempts = [(row["number"], row["attempt"]) for row in found.runs]
    if len(set(attempts)) != len(attempts):
        yield "an attempt is on record twice"
    for row in found.runs:
        if row["state"] == "RUNNING":
            yield f"attempt {row['attempt']} of trial {row['number']} is RUNNING at the end"
    for number, trial in found.trials.items():
        failed = [row for row in found.runs if row["number"] == number and row["failure"] in ("crashed",)]
        if len(failed) > plot.retries + 1:
            yield f"trial {number} crashed {len(failed)} times, {plot.retries} retries are allowed"
        last = max((row for row in found.runs if row["number"] == number), key=lambda row: row["attempt"], default=None)
        if last is None:
            yield f"trial {number} is {trial.state.name} and has no run on record"
        elif last["state"] != trial.state.name:
            yield f"trial {number} is {trial.state.name}, its last attempt {last['attempt']} is {last['state']}"
        elif last["state"] == "COMPLETE" and trial.value != trial.params["x"] + number + last["attempt"] / 1024:
            yield f"trial {number} has the value {trial.value}, which its last attempt {last['attempt']} did not return"


def _of_points(world: World, found: _Found) -> Iterator[str]:
    for key, value in world.acks.points.items():
        if found.points.get(key) != value:
            yield f"the point {key} = {value} was acknowledged, on record is {found.points.get(key)}"
    for run, name, step in found.points:
        number, attempt = int(run[:8], 16), int(run[8:16], 16)
        expected = float(number * 100 + attempt * 10 + step)
        if found.points[run, name, step] != expected:
            yield f"run {run} has at {step} a point of another: {found.points[run, name, step]}"


@cache
def _params_of(number: int) -> dict[str, float]:
    """What the sampler chooses for a trial where nothing goes wrong: nothing else than where everything does."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler())
    seed_for(study.sampler, SEED, number)
    return {"x": study.ask().suggest_float("x", 0, 1)}

"""A slot as the driver sees it: calls to an actor, and what to make of its silence or death."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sweeper.errors import LaunchError
from sweeper.launch.actor import Arrived, SlotActor
from sweeper.launch.courier import Courier
from sweeper.launch.health import Health
from sweeper.launch.node import ACCELERATOR, NODE_ID
from sweeper.launch.parcel import Parcel
from sweeper.launch.travel import Travel
from sweeper.run.app import App
from sweeper.run.journal import so_far
from sweeper.trial import Ended, Event, Failure, Isolation, Resources, TrialSpec, lines_of

NAMESPACE = "sweeper"
LEASE_S = 60.0  # a slot that is silent for so long is given up
_ONCE = {"max_task_retries": 0}  # for calls that nobody misses, about which Ray would print lines
_BUSY_S = 3.0  # between two looks at a card that somebody else uses


@dataclass(frozen=True, slots=True)
class Placement:
    """How the actors of one launch are made."""

    app: App
    resources: Resources = field(default_factory=Resources)
    isolation: Isolation = Isolation.PROCESS
    node: str | None = None  # Ray's id of the one that they must be on; None: Ray chooses
    health: Health = field(default_factory=Health)
    notice: Callable[[str], None] = lambda _: None  # is told what the user should know
    lease_s: float = LEASE_S  # a slot that is silent for so long is given up
    travel: Travel | None = None  # to nodes that may not see the driver's folders; None: all of them do
    parcel: Parcel | None = None  # the code, for those that do not
    name: Callable[[], str] | None = None  # of a new actor that is to outlive its driver; None where none does

    @property
    def beat_s(self) -> float:
        """How often a slot whose trial has nothing to say says that."""
        return self.lease_s / 4

    def actor(self) -> Any:
        import ray

        need = self.resources
        outlives = {} if self.name is None else {"name": self.name(), "namespace": NAMESPACE, "lifetime": "detached"}
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if need.gpus == 0 else {}  # Ray no longer hides them for 0 GPUs
        actor = ray.remote(SlotActor).options(
            num_cpus=need.cpus,
            num_gpus=need.gpus,
            resources=dict(need.custom),
            **self._where(),
            max_restarts=0,
            max_task_retries=-1,  # asks again where a connection broke; no call does anything twice
            enable_task_events=False,  # the record is ours; Ray's own copy of it costs a tenth of a call
            **({} if self.parcel is None else {"runtime_env": self.parcel.environment()}),
            **outlives,
        )
        return actor.remote(self.app, hidden, self.isolation, self.travel)

    def _where(self) -> dict[str, Any]:
        """Ray's options for a node of the kind that is asked for, none of those that have had too many errors."""
        if self.node is not None:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            return {"scheduling_strategy": NodeAffinitySchedulingStrategy(self.node, soft=False)}
        labels = dict(self.resources.labels)
        if self.resources.accelerators:
            labels[ACCELERATOR] = f"in({','.join(self.resources.accelerators)})"
        if self.health.closed:
            labels[NODE_ID] = f"!in({','.join(sorted(self.health.closed))})"
        return {"label_selector": labels} if labels else {}


class NodeGone(Exception):
    """The node that a slot had to be on is there no more, or takes no more; or the slot has been given back."""


class RaySlot:
    """A slot whose actor is replaced when it is lost."""

    def __init__(
        self,
        placement: Placement,
        actor: Any = None,
        held: TrialSpec | None = None,
        arrived: Arrived | None = None,
    ) -> None:
        self._placement = placement
        self._actor: Any = placement.actor() if actor is None else actor
        self._arrived = arrived  # where it was placed, once it is ready
        self._obstacle: str | None = None  # why it takes no trial
        self.is_closed = False
        self._held = held  # the trial that it ran already when it was found
        self._latest = ""  # run

    @property
    def has_started(self) -> bool:
        """Whether the actor is placed and has imported the app."""
        return self._arrived is not None

    @property
    def node(self) -> str:
        """Ray's id of the one that it is on; empty as long as there is none."""
        return "" if self._arrived is None else self._arrived.node

    @property
    def unforkable(self) -> str | None:
        """Why the app's trials are spawned."""
        return None if self._arrived is None else self._arrived.unforkable

    async def started(self) -> None:
        """Wait until the actor is placed, at once or when there is room again, and has imported the app."""
        while not self.has_started:
            with self._replaced_when_lost():
                await self._arrive()

    async def _arrive(self) -> None:
        """Wait until the actor has imported the app; where it lacks the code, another one is to come with it."""
        arrived: Arrived = await self._actor.ready.remote()
        parcel = self._placement.parcel
        if arrived.lacks_code:
            if parcel is None:
                raise LaunchError(f"node {arrived.host} does not see the code")
            await asyncio.to_thread(parcel.send)
            self._replace()
            return
        self._arrived = arrived
        if arrived.apart is not None and parcel is not None and parcel.is_new_to(arrived.node):
            self._placement.notice(
                f"{arrived.host} does not see the sweep's folder: its runs lie there in {arrived.apart}"
            )

    async def ready(self) -> None:
        """Wait until a trial may begin as well: nobody else is on its cards."""
        while not await self.is_free():
            await asyncio.sleep(_BUSY_S)  # cards tell nobody when they are left

    async def is_free(self) -> bool:
        """Whether a trial may begin now; where it may not, the user is told why, once."""
        await self.started()
        if self.node in self._placement.health.closed:
            if self._placement.node is not None:
                raise NodeGone(f"{self.node} takes no more")
            self._replace()  # somewhere else
            return await self.is_free()
        if not self._placement.resources.gpus:
            return True
        with self._replaced_when_lost():
            why = await self._actor.obstacle.remote(self._placement.resources.gpus)
            if why is not None and why != self._obstacle:
                self._placement.notice(f"{why}: no trial is placed there meanwhile")
            self._obstacle = why
            return why is None
        return await self.is_free()

    @contextlib.contextmanager
    def _replaced_when_lost(self) -> Iterator[None]:
        """Where the actor dies meanwhile, a new one takes its place. Raises LaunchError where the app fails there."""
        from ray.exceptions import ActorUnschedulableError, RayActorError, RayTaskError, RuntimeEnvSetupError

        try:
            yield
        except RuntimeEnvSetupError as error:
            raise LaunchError(f"a node cannot unpack the code that it was sent: {error}") from error
        except RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, LaunchError) else LaunchError(str(error)) from error
        except (RayActorError, ActorUnschedulableError) as error:  # its node went while it waited
            if self.is_closed or self._placement.node is not None:
                raise NodeGone(str(error)) from error
            self._replace()

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        """Run one trial; ends with `Ended` of kind lost where the slot dies, or is silent beyond its lease.

        The trial that the slot held when it was found goes on, and is heard from its first event on.
        """
        self._latest = spec.run
        if self._held is not None and self._held.run == spec.run:
            async for events in self._follow(spec, self._actor.hear.remote(spec.run, 0, self._placement.beat_s)):
                yield events
            self.forget()
            return
        # the config travels in base and payload
        call = self._actor.begin.remote(replace(spec, config={}), self._placement.beat_s)
        async for events in self._follow(spec, call):
            yield events

    async def _follow(self, spec: TrialSpec, call: Any) -> AsyncIterator[tuple[Event, ...]]:
        from ray.exceptions import RayActorError

        heard = 0
        try:
            if self._arrived is None:  # it was found at work
                self._arrived = await self._actor.ready.remote()
            while True:
                async with asyncio.timeout(self._placement.lease_s):
                    events: tuple[Event, ...] = await call
                heard += lines_of(events)
                if events:
                    yield await self._with_files(events)
                    if isinstance(end := events[-1], Ended):
                        self._note(end)
                        self._actor.forget.options(**_ONCE).remote(spec.run)
                        return
                call = self._actor.hear.remote(spec.run, heard, self._placement.beat_s)
        except (RayActorError, TimeoutError, LookupError) as error:
            reason = _reason(error, self._placement.lease_s)
            if self._arrived is not None and self._arrived.apart is not None:
                reason += "; its checkpoints lay on that node alone, and the next attempt begins anew"
            self._replace()
            yield tuple(so_far(spec.folder, spec.run, heard, Failure.LOST, reason))

    async def _with_files(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """The events, once what they say is kept has reached the sweep's store."""
        travel = self._placement.travel
        if self._arrived is None or not self._arrived.is_far or travel is None:
            return events
        return await Courier(self._actor, travel.artifacts, self._placement.lease_s).bring(events)

    def _note(self, end: Ended) -> None:
        """Whether the node's hardware is to blame, and no more is placed there."""
        if (why := self._placement.health.heard(self.node, end)) is not None:
            self._placement.notice(why)

    def forget(self) -> None:
        """Let go of what was held: the next trial gets the code of this driver, not of the one that is gone."""
        self._held = None
        self._replace()

    async def answer(self, step: int, prune: bool) -> None:
        self._actor.answer.remote(step, prune)

    async def stop(self, failure: Failure, error: str) -> None:
        self._actor.stop.remote(self._latest, failure, error)

    async def close(self) -> None:
        self.kill()

    async def address(self) -> tuple[str, int]:
        """Where other nodes reach its trial, and a port that is free there."""
        found: tuple[str, int] = await self._actor.address.remote()
        return found

    def beat(self) -> None:
        """Tell the actor that its driver lives."""
        self._actor.beat.options(**_ONCE).remote()

    def kill(self) -> None:
        """Give its place back to the cluster for good; a trial that runs ends with it."""
        self.is_closed = True
        self._end()

    def _end(self) -> None:
        import ray

        with contextlib.suppress(Exception):  # whatever Ray says of an actor that is gone
            ray.kill(self._actor)

    def _replace(self) -> None:
        self._end()
        if not self.is_closed:  # whoever hears the old one still is told that it is gone
            self._actor = self._placement.actor()
        self._arrived = None


def _reason(error: BaseException, lease_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"the slot that ran the trial has not answered for {lease_s:g} s"
    if isinstance(error, LookupError):
        return "the slot no longer holds the trial"
    if getattr(error, "preempted", False):
        return "the node that ran the trial was preempted"
    text = str(error).lower()
    if "memory" in text and "monitor" in text:
        return "the slot that ran the trial was ended by Ray's memory monitor"
    return "the node that ran the trial is gone" if "node" in text and "died" in text else "the slot is gone"

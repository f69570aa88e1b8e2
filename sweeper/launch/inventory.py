"""The cards of a machine or of a cluster at this moment, and whose processes are on them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweeper import nvml, text
from sweeper.provenance.limit import ask
from sweeper.run.process import MARKER

_LIMIT_S = 10.0  # for a driver to answer
_NODES_S = 60.0  # for all nodes: a busy one takes its time to start a process
_NOISE = 1 << 30  # bytes on a card that has no process to be seen: the driver's own, and what it rounds up


@dataclass(frozen=True, slots=True)
class Look:
    """What a machine's driver told."""

    node: str  # host name
    cards: tuple[nvml.Card, ...]
    ours: frozenset[int]  # processes of trials, whichever sweep's
    error: str | None = None  # why it told nothing, or not all


def here() -> Look:
    """This machine, within a limit of time: a driver that hangs is an answer like any other."""
    node = socket.gethostname()
    if not nvml.is_present():
        return Look(node, (), frozenset())
    told: Any = ask({"cards": _told}, _LIMIT_S)["cards"]
    if isinstance(told, str):
        return Look(node, (), frozenset(), told.removeprefix("failed: "))
    cards = tuple(_card(row) for row in told["cards"])
    pids = {process.pid for card in cards for process in card.processes}
    return Look(node, cards, frozenset(filter(is_of_a_slot, pids)), "; ".join(told["broken"]) or None)


def of_cluster() -> dict[str, Look]:
    """Every node of the cluster that this process has joined, by Ray's id; one that does not answer is left out."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {
        node["NodeID"]: ray.remote(here)
        .options(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        .remote()
        .future()  # `ray.wait` may hear a signal no better than `ray.get` (`launch/answer`)
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    }
    ready, _ = concurrent.futures.wait(asked.values(), timeout=_NODES_S)
    found = {}
    for node, answer in asked.items():
        with contextlib.suppress(ray.exceptions.RayError):
            if answer in ready:
                found[node] = answer.result()
    return found


def records(looks: Iterable[Look], trials: Mapping[str, Sequence[str]]) -> Iterator[dict[str, object]]:
    """A record for each card; `trials` are those that run at the moment, by the UUID of each card that they see."""
    for look in looks:
        for card in look.cards:
            yield {
                "node": look.node,
                "index": card.index,
                "uuid": card.uuid,
                "name": card.name,
                "memory_total": card.memory_total,
                "memory_used": card.memory_used,
                "utilization": card.utilization,
                "power_w": card.power_w,
                "temperature_c": card.temperature_c,
                "trials": list(trials.get(card.uuid, ())),
                "others": [process.pid for process in card.processes if process.pid not in look.ours],
            }


def remarks(looks: Sequence[Look]) -> Iterator[str]:
    """What records cannot say: who has no card, and whose driver does not answer."""
    for look in looks:
        node = text.printable(look.node)
        if look.error is not None:
            yield f"{node}: the GPU driver does not answer: {text.printable(look.error)}"
        elif not look.cards:
            yield f"There is no GPU here: {node} has no NVIDIA driver, or no card that may be used."
    if not looks:
        yield "The cluster has no node that answers."


def obstacle(share: float) -> str | None:
    """Why a trial that holds this share of what is visible must not begin now: somebody else is on a card of it.

    Where the driver tells of no process, a whole card must be empty.
    """
    look = here()
    if look.error is not None:
        return f"the GPU driver of {look.node} does not answer ({look.error})"
    for card in look.cards:
        strange = [process.pid for process in card.processes if process.pid not in look.ours]
        if strange:
            return f"GPU {card.index} of {look.node} is in use by {', '.join(map(_described, strange))}"
        known = sum(process.memory or 0 for process in card.processes)
        if share >= 1 and not card.processes and card.memory_used - known > _NOISE:
            return f"GPU {card.index} of {look.node} has {card.memory_used >> 20} MiB in use, by whom is not to be seen"
    return None


def is_of_a_slot(pid: int) -> bool:
    """Whether a process is a trial's: everything below a slot carries a marker."""
    with contextlib.suppress(OSError):
        return any(
            line.startswith(f"{MARKER}=".encode()) for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        )
    return False


def _told() -> dict[str, object]:
    with nvml.session() as library:
        found = nvml.cards(library)
    return {
        "cards": [asdict(card) for card in nvml.seen(found)],
        "broken": [f"GPU {card.index}: {card.error}" for card in found if isinstance(card, nvml.Broken)],
    }


def _card(row: dict[str, Any]) -> nvml.Card:
    return nvml.Card(**row | {"processes": tuple(nvml.Process(**process) for process in row["processes"])})


def _described(pid: int) -> str:
    return " ".join(_words(pid))


def _words(pid: int) -> Iterator[str]:
    yield f"process {pid}"
    with contextlib.suppress(OSError):
        owner = Path(f"/proc/{pid}").stat().st_uid
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        yield f"({name}{'' if owner == os.getuid() else f' of user {owner}'})"

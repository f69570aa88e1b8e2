"""The nodes of a cluster as they offer themselves, read from Ray and, for the memory of cards, from their drivers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sweeper.launch.room import Offer

NODE_ID = "ray.io/node-id"  # labels that Ray gives by itself
ACCELERATOR = "ray.io/accelerator-type"
_OF_RAY = ("CPU", "GPU", "memory", "object_store_memory")


def offers(
    nodes: Sequence[Mapping[str, Any]], memories: Mapping[str, int], closed: Collection[str] = ()
) -> list[Offer]:
    """What `ray.nodes()` says, of nodes that are alive and not `closed`; `memories`: bytes of a node's cards."""
    return [_offer(node, memories) for node in nodes if node["Alive"] and node["NodeID"] not in closed]


def _offer(node: Mapping[str, Any], memories: Mapping[str, int]) -> Offer:
    offered: Mapping[str, float] = node["Resources"]
    labels = {str(key): str(value) for key, value in (node.get("Labels") or {}).items()}
    prefix = "accelerator_type:"
    named = [name.removeprefix(prefix) for name in offered if name.startswith(prefix)]
    return Offer(
        node=node["NodeID"],
        name=str(node.get("NodeManagerHostname") or node["NodeID"]),
        cpus=offered.get("CPU", 0.0),
        gpus=int(offered.get("GPU", 0.0)),
        accelerator=named[0] if named else labels.get(ACCELERATOR),
        gpu_memory=memories.get(node["NodeID"]),
        labels=labels,
        custom={
            name: amount
            for name, amount in offered.items()
            if name not in _OF_RAY and not name.startswith(("node:", prefix))
        },
    )

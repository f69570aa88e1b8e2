"""`scripts/bench share`: three sweeps on one real Ray cluster of 16 GPUs that are a count.

Ann (weight 2), bob (weight 1) and a third sweep of a higher priority that may hold a quarter of the cards; bob's driver
is killed and launched again, one node is removed and another one added. Prints what each had against max-min fairness,
once as the queue accounts for it (cards held, every half second) and once from the record (cards on which a trial ran),
over the time in which all three had trials to begin and a driver.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from sweeper.launch.cluster import running_cluster
from sweeper.launch.queue import standings
from sweeper.share.claim import Standing, Terms
from sweeper.share.level import Want, fair
from tests.launch.nodes import cluster
from tests.launch.sharing import APP, Launch, wait

NAMES = ("first", "ann", "bob")
Times = tuple[float, float]


@dataclass
class Watch:
    """What was seen of the queue, and what was done to the cluster when."""

    gpus: int  # of each of two nodes
    seen: list[tuple[float, dict[str, Standing]]] = field(default_factory=list)
    nodes: list[tuple[float, int]] = field(default_factory=list)  # from when on there were so many
    down: list[Times] = field(default_factory=list)  # when a driver was dead

    def look(self, over: threading.Event) -> None:
        while not over.wait(0.5):
            self.seen.append((time.time(), {row.study: row for row in standings()}))

    def of(self, name: str) -> str | None:
        """The sweep that stands in the queue now."""
        row = self.seen[-1][1].get(name)
        return None if row is None else row.sweep

    def cards(self, now: float) -> int:
        return self.gpus * next(count for since, count in reversed(self.nodes) if since <= now)

    def is_up(self, now: float) -> bool:
        return not any(begin <= now < end for begin, end in self.down)


def terms(gpus: int) -> dict[str, Terms]:
    return {"first": Terms(priority=1, most=gpus // 2), "ann": Terms(weight=2), "bob": Terms()}


def launch(folder: Path, address: str, name: str, given: argparse.Namespace) -> Launch:
    own = terms(given.gpus)[name]
    share = {"weight": own.weight, "priority": own.priority, "max": own.most}
    words = [f"hydra.sweeper.share.{key}={'null' if value is None else value}" for key, value in share.items()]
    os.environ["LOGNAME"] = name
    return Launch(folder, address, name, given.trials, "+until=''", *words, length=given.seconds)


def play(folder: Path, made: Any, given: argparse.Namespace, watch: Watch) -> list[Launch]:
    """The story; returns the launches that went to the end."""
    nodes = [made.add_node(num_cpus=4, num_gpus=given.gpus) for _ in range(2)]
    watch.nodes.append((time.time(), 2))
    over = threading.Event()
    looking = threading.Thread(target=watch.look, args=(over,))
    with running_cluster(made.address):
        import ray

        own = ray.get_runtime_context().get_node_id()  # drivers are at home there, and would die with it
        looking.start()
        running = {name: launch(folder, made.address, name, given) for name in ("ann", "bob")}
        wait(lambda: all(one.begun() > given.gpus // 2 for one in running.values()))
        running["first"] = launch(folder, made.address, "first", given)
        wait(lambda: running["first"].begun() >= given.trials // 10)
        say("bob's driver is killed")
        dead = watch.of("bob")
        running["bob"].process.kill()
        running["bob"].process.wait()
        killed = time.time()
        running["bob"] = launch(folder, made.address, "bob", given)
        wait(lambda: watch.of("bob") not in (None, dead))
        watch.down.append((killed, time.time()))
        wait(lambda: running["first"].begun() >= given.trials // 4)
        say("a node is removed")
        made.remove_node(next(node for node in nodes if node.node_id != own), allow_graceful=False)
        watch.nodes.append((time.time(), 1))
        time.sleep(10)
        made.add_node(num_cpus=4, num_gpus=given.gpus)
        watch.nodes.append((time.time(), 2))
        say("and another one added")
        for name, one in running.items():
            say(f"{name} ended with {one.status()[0]}")
        over.set()
        looking.join()
    return [running[name] for name in NAMES]


def due(cards: int, gpus: int) -> dict[str, float]:
    found = [
        Want(one.weight, float(one.most or cards), frozenset({"cards"}), priority=one.priority)
        for one in terms(gpus).values()
    ]
    return dict(zip(terms(gpus), fair(found, {"cards": cards}), strict=True))


def instants(runs: Mapping[str, Sequence[Any]], watch: Watch) -> Iterator[float]:
    """Every tenth of a second in which all three have a driver and trials to begin."""
    begun = [[run.started_at for run in each if run.started_at is not None] for each in runs.values()]
    now, end = max(map(min, begun)), min(map(max, begun))
    while now < end:
        if watch.is_up(now):
            yield now
        now += 0.1


def verdict(runs: Mapping[str, Sequence[Any]], watch: Watch) -> None:
    """Of each sweep: what it had of what was due, by the account and by the record."""
    moments = list(instants(runs, watch))
    times = {name: [(run.started_at, run.ended_at) for run in runs[name] if run.started_at] for name in NAMES}
    ran, owed, cards = dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 0.0), 0.0
    for now in moments:
        cards += watch.cards(now)
        for name, amount in due(watch.cards(now), watch.gpus).items():
            owed[name] += amount
            ran[name] += sum(begin <= now < end for begin, end in times[name])
    held, fitting, free = dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 0.0), 0.0
    looks = [(now, rows) for now, rows in watch.seen if moments[0] <= now <= moments[-1] and watch.is_up(now)]
    for now, rows in looks:
        has = {name: rows[name].held if name in rows else 0.0 for name in NAMES}
        free += max(0.0, watch.cards(now) - sum(has.values()))
        for name, amount in due(watch.cards(now), watch.gpus).items():
            held[name] += has[name]
            fitting[name] += amount
    print(f"all three wanted cards for {len(moments) / 10:.0f} s")
    for name in NAMES:
        by_account, by_record = held[name] / fitting[name], ran[name] / sum(ran.values()) / (owed[name] / cards)
        print(f"{name:<6} due {owed[name] / cards:>6.1%}  held of it {by_account:>7.1%}  of what ran {by_record:>7.1%}")
    print(
        f"cards that nobody held: {free / sum(watch.cards(now) for now, _ in looks):.1%}; on which none ran: "
        f"{1 - sum(ran.values()) / cards:.1%} (apps being imported, and between two trials)"
    )


def is_exact(runs: Sequence[Any], trials: int) -> bool:
    """Whether every trial is complete once, and no attempt failed of itself."""
    complete = sorted(run.number for run in runs if run.state == "COMPLETE")
    others = {run.failure for run in runs if run.state != "COMPLETE"}
    return complete == list(range(trials)) and others <= {"preempted", "lost"}


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench share", description=__doc__)
    parser.add_argument("--trials", type=int, default=500, help="of each sweep (500)")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a trial sleeps (2)")
    parser.add_argument("--gpus", type=int, default=8, help="of each of two nodes (8)")
    given = parser.parse_args()
    began, watch = time.monotonic(), Watch(given.gpus)
    with tempfile.TemporaryDirectory(prefix="sh") as path:  # a short path: Ray puts sockets there
        os.environ["RAY_TMPDIR"] = path
        folder = Path(path)
        (folder / "app.py").write_text(APP)
        with cluster(0) as made:
            runs = {one.name: one.runs() for one in play(folder, made, given, watch)}
        verdict(runs, watch)
        exact = {name: is_exact(each, given.trials) for name, each in runs.items()}
        attempts = {name: len(each) - given.trials for name, each in runs.items()}
        print(f"exact: {exact}; further attempts: {attempts}")
    print(
        f"{given.trials} trials of {given.seconds:g} s each on 2 x {given.gpus} cards: {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()

"""Many trials that hold different things, on unlike nodes of which one dies, and what the record must say of them."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweeper.errors import SweeperError
from sweeper.history import History, RunRow
from tests.gpu_bench.cluster import Nodes

SCRIPT = """
import os, socket, time
import hydra
import sweeper

def ranks():
    \"\"\"How many ranks have met at the first one's port.\"\"\"
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    place = (os.environ.get("MASTER_ADDR", ""), int(os.environ.get("MASTER_PORT", 0)))
    if rank:
        while True:
            try:
                socket.create_connection(place).sendall(b"%d" % rank)
                return rank
            except ConnectionRefusedError:
                time.sleep(0.02)
    met = {0}
    if size > 1:
        with socket.create_server(("", place[1])) as server:
            while len(met) < size:
                met.add(int(server.accept()[0].recv(9)))
    return len(met)

@hydra.main(version_base=None, config_path="conf", config_name="app")
def main(cfg):
    sweeper.log({"parent": os.getppid()}, step=0)
    folder, cards = os.path.split(os.environ.get("GPU_BENCH", "/-"))  # the head has no cards
    while os.path.exists(f"{folder}/hold-{cards}"):  # the node is about to die, and this trial is to die with it
        open(f"{folder}/held-{cards}", "w").close()
        time.sleep(0.02)
    seen = len([name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name])
    time.sleep(cfg.seconds)
    return seen * ranks()

if __name__ == "__main__":
    main()
"""
CONFIG = """
kind: two
seconds: 0.3
kinds:
  none: {gpus: 0, cards: [], nodes: 1, memory: null}
  two: {gpus: 2, cards: [H100], nodes: 1, memory: null}
  half: {gpus: 0.5, cards: [T4, A100], nodes: 1, memory: null}
  bytes: {gpus: 0, cards: [], nodes: 1, memory: 8GiB}
  pair: {gpus: 1, cards: [H100, A100, T4], nodes: 2, memory: null}
hydra:
  sweeper:
    resources:
      cpus: 0
      gpus: ${kinds.${kind}.gpus}
      accelerator: ${kinds.${kind}.cards}
      nodes: ${kinds.${kind}.nodes}
      gpu_memory: ${kinds.${kind}.memory}
"""
KINDS = "kind=choice(none, two, half, bytes, pair)"
STUDY = "mixed"
_VALUES = {"none": 0.0, "two": 2.0, "half": 1.0, "bytes": 1.0, "pair": 2.0}
_CARDS_OF = {"none": "", "two": "H", "half": "AT", "bytes": "HAT", "pair": "HAT"}
_GIB = {"H": 80, "A": 40, "T": 16}


def sweep(nodes: Nodes, n_trials: int, dies: str, *overrides: str) -> tuple[int, str]:
    """Run the trials, and kill a node once half of them are done and one is there; exit status, what was printed."""
    script = nodes.folder / "mixed.py"
    script.write_text(SCRIPT)
    (nodes.folder / "conf").mkdir(exist_ok=True)
    (nodes.folder / "conf" / "app.yaml").write_text(CONFIG)
    process = nodes.launch(script, STUDY, f"hydra.sweeper.n_trials={n_trials}", KINDS, *overrides)
    hold, held = nodes.folder / f"hold-cards-{dies}", nodes.folder / f"held-cards-{dies}"
    while process.poll() is None and not held.exists():
        if _done(nodes.folder) >= n_trials // 2:
            hold.touch()
        time.sleep(0.05)  # a database tells nobody when it has grown
    nodes.kill(dies)
    printed, _ = process.communicate()
    return process.returncode, printed


def _done(folder: Path) -> int:
    with contextlib.suppress(SweeperError):
        history = History(f"sqlite:///{folder}/sweeper.db")
        return sum(study.counts["COMPLETE"] for study in history.studies() if study.name == STUDY)
    return 0


def runs(folder: Path, study: str = STUDY) -> list[RunRow]:
    """Every attempt on record."""
    history = History(f"sqlite:///{folder}/sweeper.db")
    return [run for trial in history.trials(study) for run in history.runs(study, trial.number)]


def problems(folder: Path, n_trials: int) -> Iterator[str]:
    """Where the record is not as it must be."""
    found = runs(folder)
    ended = {run.number: run for run in found if run.state == "COMPLETE"}
    if missing := sorted(set(range(n_trials)) - set(ended)):
        yield f"trials {missing} are not complete"
    for run in ended.values():
        if (wrong := _wrong(run)) is not None:
            yield f"trial {run.number} ({run.config['kind']}): {wrong}"
    if not any(run.failure == "lost" for run in found):
        yield "no attempt was lost with the node"
    yield from (f"trial {run.number} has an attempt that ended as {run.failure}" for run in found if _is_odd(run))
    for uuid, share in most_on_each_card(found).items():
        if share > 1 + 1e-6:
            yield f"{uuid} was promised {share:.3f} times at one moment"


def _is_odd(run: RunRow) -> bool:
    return run.failure not in (None, "lost")


def _wrong(run: RunRow) -> str | None:
    kind, letters = run.config["kind"], {uuid[4:5] for uuid in run.gpus}
    if run.node is None or not letters <= set(_CARDS_OF[kind]):
        return f"it ran on {run.node}, {run.gpus}"
    if len(run.gpus) != _VALUES[kind]:
        return f"it saw {run.gpus}"
    share = {"none": 0.0, "two": 2.0, "half": 0.5, "pair": 1.0}.get(kind)
    if kind == "bytes":
        share = 8 / _GIB[letters.pop()]
    if run.gpu_share is None or abs(run.gpu_share - (share or 0.0)) > 1e-3:
        return f"it held {run.gpu_share}"
    return "its ranks were on one node" if kind == "pair" and len(letters) != 2 else None


def most_on_each_card(found: Sequence[RunRow]) -> dict[str, float]:
    """By UUID: the largest sum of shares that runs held of a card at one moment, by their times on record."""
    changes = defaultdict[str, list[tuple[float, float]]](list)
    for run in found:
        if run.started_at is not None and run.gpu_share:
            for uuid in run.gpus:
                share = min(run.gpu_share, 1.0)
                changes[uuid] += [(run.started_at, share), (run.ended_at or run.started_at, -share)]
    most = {}
    for uuid, of_card in changes.items():
        held, most[uuid] = 0.0, 0.0
        for _, change in sorted(of_card):
            held += change
            most[uuid] = max(most[uuid], held)
    return most


def slots_used(folder: Path) -> int:
    """How many processes the trials were forked from."""
    history = History(f"sqlite:///{folder}/sweeper.db")
    return len({history.last_metrics(run.run).get("parent") for run in runs(folder)})

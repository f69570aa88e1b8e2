"""The smallest study: a paraboloid with its minimum of 0 at x=2, y=-1."""

from dataclasses import dataclass

import hydra
from hydra.core.config_store import ConfigStore


@dataclass
class Point:
    x: float = 0.0
    y: float = 0.0


ConfigStore.instance().store(name="point", node=Point)


@hydra.main(version_base="1.3", config_name="point", config_path=None)
def main(cfg: Point) -> float:
    return (cfg.x - 2) ** 2 + (cfg.y + 1) ** 2


if __name__ == "__main__":
    main()

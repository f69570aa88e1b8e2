"""A trial that holds memory of a card, and asks for too much of it where it is told to."""

import time

import hydra
import torch


@hydra.main(version_base=None, config_path=None)
def main(cfg):
    held = torch.ones(int(cfg.gib * 2**28), device="cuda")  # 4 bytes each
    if cfg.greedy:
        held = torch.ones(2**40, device="cuda")
    until = time.monotonic() + 4  # that the meter sees it
    while time.monotonic() < until:
        held.mul_(1.0)
        torch.cuda.synchronize()
    return float(cfg.gib)


if __name__ == "__main__":
    main()

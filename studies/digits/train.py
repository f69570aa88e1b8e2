"""Handwritten digits: a small neural network trained in epochs; returns the best validation accuracy.

sweeper launch studies/digits/train.py            # the sweep of conf/digits.yaml
python studies/digits/train.py model=deep lr=0.01 # one run, no sweep
"""

import pickle
from pathlib import Path

import hydra
import numpy as np
import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import sweeper


@hydra.main(version_base="1.3", config_path="conf", config_name="digits")
def main(cfg: DictConfig) -> float:
    images, labels = load_digits(return_X_y=True)
    train_x, val_x, train_y, val_y = train_test_split(images / 16.0, labels, test_size=0.3, random_state=0)
    network = MLPClassifier(
        hidden_layer_sizes=tuple(cfg.model.layers),
        activation=cfg.model.activation,
        learning_rate_init=cfg.lr,
        alpha=cfg.weight_decay,
        batch_size=cfg.batch_size,
        random_state=cfg.seed,
    )
    best = 0.0
    for epoch in range(cfg.epochs):
        network.partial_fit(train_x, train_y, classes=np.arange(10))
        accuracy = float(network.score(val_x, val_y))
        sweeper.log({"train/loss": network.loss_, "val/accuracy": accuracy}, step=epoch)
        if accuracy > best:
            best = accuracy
            Path(HydraConfig.get().runtime.output_dir, "model.pkl").write_bytes(pickle.dumps(network))
        sweeper.report(accuracy, step=epoch)
        if sweeper.should_prune():
            raise optuna.TrialPruned
    return best


if __name__ == "__main__":
    main()

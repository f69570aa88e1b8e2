"""The search space: Hydra's override expressions to Optuna distributions, sampled params to overrides."""

from sweeper.space.parameter import Condition, Parameter
from sweeper.space.space import Space

__all__ = ["Condition", "Parameter", "Space"]

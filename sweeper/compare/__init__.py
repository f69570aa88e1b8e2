"""What differs between runs, most telling first, and where their curves part."""

from sweeper.compare.comparison import Comparison, Side, compare
from sweeper.compare.curve import MetricRow
from sweeper.compare.difference import ABSENT, Difference, config_differences

__all__ = ["ABSENT", "Comparison", "Difference", "MetricRow", "Side", "compare", "config_differences"]

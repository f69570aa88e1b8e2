"""How many trials share a card with `gpus: auto`: told by the memory that finished trials had at their peak.

Numbers alone: it knows no Ray, no study and no driver.
"""

from sweeper.packing.packing import Packing

__all__ = ["Packing"]

"""Hydra's door to sweeper. Light: Hydra imports this at every start of every app."""

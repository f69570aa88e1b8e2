"""Ink: figures, and the one HTML file of a study. matplotlib is imported here and nowhere else.

The room is not called `report`, as its command is: `sweeper.report` is what training code calls, and a package of that
name would take its place at import.
"""

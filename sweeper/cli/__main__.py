"""`python -m sweeper.cli`: the `sweeper` command where its script is not on the path."""

from sweeper.cli import main

main()

"""`sweeper scale`: more or fewer trials at once, while a sweep runs."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage, Study
from sweeper.cli.order import order


def scale(
    study: Study,
    n_jobs: Annotated[int, typer.Option(min=1, help="Most trials at once from now on.")],
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Run more or fewer trials at once; what runs already is not touched."""
    order(storage, study, "scale", {"n_jobs": n_jobs}, json)
